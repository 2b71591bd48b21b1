// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/thread"
)

// The LAN is a bridge on a machine of its own, which is every other machine's gateway and forwards nothing: what is sent to any other
// address is lost without an answer.
const (
	bridgeName  = "lan"
	lanAddress  = "10.77.0.1"
	lanPrefix   = "/24"
	podNetwork  = "10.88.0.0/16"
	podPrefix   = "/24"
	cableInside = "eth0"
)

// links is a handle to the machine's network devices, for use.
func (m *machine) links(use func(*netlink.Handle) error) error {
	first, err := m.first()
	if err != nil {
		return err
	}
	space, err := netns.GetFromPid(first.pid)
	if err != nil {
		return fmt.Errorf("network of %s: %w", m.name, err)
	}
	defer func() { _ = space.Close() }()
	handle, err := netlink.NewHandleAt(space)
	if err != nil {
		return fmt.Errorf("network of %s: %w", m.name, err)
	}
	defer handle.Close()
	if err := use(handle); err != nil {
		return fmt.Errorf("network of %s: %w", m.name, err)
	}
	return nil
}

// layCables makes the bridge, on the machine that is the LAN.
func (m *machine) layCables() error {
	return m.links(func(h *netlink.Handle) error {
		err := h.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}})
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		return errors.Join(address(h, bridgeName, m.address+lanPrefix), address(h, "lo"))
	})
}

// plugIn connects a node with the LAN. It does nothing where that has been done.
func (n *Node) plugIn(lan *machine, others []*Node) error {
	first, err := n.machine.first()
	if err != nil {
		return err
	}
	err = lan.links(func(h *netlink.Handle) error {
		bridge, err := h.LinkByName(bridgeName)
		if err != nil {
			return err
		}
		err = h.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: n.Name, MasterIndex: bridge.Attrs().Index},
			PeerName:      cableInside,
			PeerNamespace: netlink.NsPid(first.pid),
		})
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("add %s: %w", n.Name, err)
		}
		return address(h, n.Name)
	})
	if err != nil {
		return err
	}
	return n.machine.links(func(h *netlink.Handle) error {
		if err := errors.Join(address(h, "lo"), address(h, cableInside, n.IP+lanPrefix)); err != nil {
			return err
		}
		err := route(h, "0.0.0.0/0", lan.address)
		for _, other := range others {
			err = errors.Join(err, route(h, other.pods, other.IP))
		}
		return err
	})
}

// plugOut takes away the cable of a node that has been stopped: the kernel would do it, but some time later.
func (n *Node) plugOut(lan *machine) error {
	return lan.links(func(h *netlink.Handle) error {
		cable, err := h.LinkByName(n.Name)
		var none netlink.LinkNotFoundError
		if errors.As(err, &none) {
			return nil
		}
		if err != nil {
			return err
		}
		err = h.LinkDel(cable)
		if errors.Is(err, unix.ENODEV) {
			return nil
		}
		return err
	})
}

// address gives a device its addresses, each with its prefix, and switches it on.
func address(h *netlink.Handle, device string, addresses ...string) error {
	link, err := h.LinkByName(device)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	for _, text := range addresses {
		parsed, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if err := h.AddrReplace(link, parsed); err != nil {
			return fmt.Errorf("address %s: %w", text, err)
		}
	}
	return h.LinkSetUp(link)
}

func route(h *netlink.Handle, destination, gateway string) error {
	_, network, err := net.ParseCIDR(destination)
	if err != nil {
		return err
	}
	if err := h.RouteReplace(&netlink.Route{Dst: network, Gw: net.ParseIP(gateway)}); err != nil {
		return fmt.Errorf("route to %s: %w", destination, err)
	}
	return nil
}

// dial connects from within the machine's network. The address must be numeric: a resolver's goroutines would be outside.
func (m *machine) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = m.inNetwork(func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// listen is a listener at a TCP address of the machine, which is numeric, too.
func (m *machine) listen(address string) (listener net.Listener, err error) {
	err = m.inNetwork(func() error {
		listener, err = net.Listen("tcp", address)
		return err
	})
	return listener, err
}

// inNetwork runs f on a thread within the machine's network. Sockets that it makes are there for good.
func (m *machine) inNetwork(f func() error) error {
	first, err := m.first()
	if err != nil {
		return err
	}
	return thread.Discard(func() error {
		space, err := os.Open("/proc/" + strconv.Itoa(first.pid) + "/ns/net")
		if err != nil {
			return err
		}
		defer func() { _ = space.Close() }()
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the network of %s: %w", m.name, err)
		}
		return f()
	})
}
