// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

const (
	deviceName = "wire"
	maxPacket  = 1500 // as Ethernet's
)

// namespaceVariable is the process that has a network namespace of its own, by its number.
const namespaceVariable = "GLUSTERFS_CSI_TEST_NETWORK"

// OwnNamespace returns in a process whose network namespace is its own, with nothing but loopback: it starts the program
// again in one, under the same process number, the first time. It must be called before anything is open or running.
func OwnNamespace() error {
	own := strconv.Itoa(os.Getpid())
	if os.Getenv(namespaceVariable) == own {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Setenv(namespaceVariable, own); err != nil {
		return err
	}
	return thread.Discard(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("a network namespace: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		return syscall.Exec(program, os.Args, os.Environ()) // the thread becomes the process
	})
}

// openDevice makes a TUN device in the calling thread's namespace, with these hosts' addresses, and returns the
// descriptor to which its packets come. The device goes with that.
func openDevice(hosts ...int) (fd int, err error) {
	fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("/dev/net/tun: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, unix.Close(fd))
		}
	}()
	request, err := unix.NewIfreq(deviceName)
	if err != nil {
		return -1, err
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return -1, fmt.Errorf("a TUN device: %w", err)
	}
	return fd, configure(func(socket int) error {
		for i, host := range hosts {
			name := deviceName
			if i > 0 {
				name += ":" + strconv.Itoa(i) // one address more
			}
			if err := addAddress(socket, name, netip.MustParseAddr(Network+strconv.Itoa(host))); err != nil {
				return err
			}
		}
		return errors.Join(setNumber(socket, deviceName, unix.SIOCSIFMTU, maxPacket), up(socket, deviceName))
	})
}

func loopbackUp() error {
	return configure(func(socket int) error { return up(socket, "lo") })
}

// configure calls f with a socket of the calling thread's namespace, by which its devices are set.
func configure(f func(socket int) error) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(f(socket), unix.Close(socket))
}

func addAddress(socket int, name string, address netip.Addr) error {
	for _, set := range []struct {
		what  uint
		value [4]byte
	}{
		{unix.SIOCSIFADDR, address.As4()},
		{unix.SIOCSIFNETMASK, [4]byte{255, 255, 255, 0}},
	} {
		request, err := unix.NewIfreq(name)
		if err == nil {
			err = request.SetInet4Addr(set.value[:])
		}
		if err == nil {
			err = unix.IoctlIfreq(socket, set.what, request)
		}
		if err != nil {
			return fmt.Errorf("give %s the address %v: %w", name, address, err)
		}
	}
	return nil
}

func up(socket int, name string) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring %s up: %w", name, err)
	}
	return nil
}

func setNumber(socket int, name string, what uint, value uint32) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint32(value)
	if err := unix.IoctlIfreq(socket, what, request); err != nil {
		return fmt.Errorf("set the size of packets of %s: %w", name, err)
	}
	return nil
}
