// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

const (
	glusterdPort = 24007

	dialTimeout = time.Second
	// faultTimeout bounds every change of a server or brick; they take milliseconds, or seconds on a busy machine.
	faultTimeout = 30 * time.Second

	// fakeGsyncd stands for the Python program of geo-replication, which glusterd runs 22 times when it starts: the most
	// expensive part of a start by far, and nothing here replicates to other sites.
	fakeGsyncd = "#!/bin/sh\necho gsyncd.py 10.3\n"
)

// server is one glusterd with the bricks and self-heal daemon it starts.
type server struct {
	address string
	dir     string // its own, below the cluster's
	pid     int    // of its glusterd, whose mount namespace is the server's
	exited  chan struct{}
	wire    *wire.Wire  // at whose far end it is; nil: it is on loopback
	alive   atomic.Bool // neither killed nor stopped by a test

	mu    sync.Mutex
	disks []*disk // of its bricks that have a file system of their own
}

// StopServer freezes a server by SIGSTOP, as a machine that hangs: glusterd, bricks and self-heal daemon keep their
// connections and answer nothing. Whoever waits for it waits, until ContinueServer or ping-timeout (42 s).
func (c *Cluster) StopServer(i int) error {
	s := c.servers[i]
	s.alive.Store(false)
	return s.signal(syscall.SIGSTOP, func(p process) bool { return p.state == 'T' })
}

// ContinueServer undoes StopServer.
func (c *Cluster) ContinueServer(i int) error {
	s := c.servers[i]
	err := s.signal(syscall.SIGCONT, func(p process) bool { return p.state != 'T' })
	s.alive.Store(err == nil)
	return err
}

// KillServer ends all of a server's processes by SIGKILL. Its address refuses connections then.
func (c *Cluster) KillServer(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	s := c.servers[i]
	s.alive.Store(false)
	if err := killDaemons(ctx, s.processes); err != nil {
		return fmt.Errorf("kill server %s: %w", s.address, err)
	}
	s.wait()
	return nil
}

// StartServer starts a killed server, and returns when the bricks it has in started volumes accept connections again.
func (c *Cluster) StartServer(i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	if err := c.servers[i].start(ctx); err != nil {
		return err
	}
	return c.awaitBricks(ctx, func(b brick) bool { return b.server == c.servers[i] })
}

func (s *server) processes() ([]process, error) { return glusterBelow(s.dir) }

func (s *server) signal(signal syscall.Signal, done func(process) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	if err := signalAll(ctx, signal, s.processes, done); err != nil {
		return fmt.Errorf("server %s: %w", s.address, err)
	}
	return nil
}

func (s *server) ownDisks() []*disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.disks)
}

func (s *server) addDisk(d *disk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks = append(s.disks, d)
}

func (s *server) removeDisk(d *disk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disks = slices.DeleteFunc(s.disks, func(other *disk) bool { return other == d })
}

// wait waits until a killed glusterd has been reaped.
func (s *server) wait() {
	if s.exited != nil {
		<-s.exited
	}
}

// socket is glusterd's for the gluster command. Within the server's mount namespace it has its default path.
func (s *server) socket() string { return filepath.Join(s.dir, "run", "glusterd.socket") }

// start runs glusterd and returns when it takes commands and connections.
func (s *server) start(ctx context.Context) error {
	// A socket that a killed glusterd left would look like a living one's.
	if err := os.Remove(s.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, dir := range []string{"lib", "log", "run/gluster", "bricks", "ssl"} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(s.dir, "gsyncd"), []byte(fakeGsyncd), 0o755); err != nil {
		return err
	}
	cmd, err := s.command()
	if err != nil {
		return err
	}
	err = inNewNamespace(thisRun.dir, s.dir, func() error {
		if err := enterServersRoot(thisRun.dir); err != nil {
			return err
		}
		if err := s.cover(); err != nil {
			return err
		}
		for _, d := range s.ownDisks() {
			if err := d.mount(); err != nil {
				return err
			}
		}
		if s.wire != nil {
			if err := s.wire.Enter(); err != nil {
				return err
			}
		}
		return cmd.Start()
	})
	if err != nil {
		return fmt.Errorf("start glusterd %s: %w", s.address, err)
	}
	s.pid = cmd.Process.Pid
	exited := make(chan struct{})
	s.exited = exited
	go func() {
		_ = cmd.Wait() // it has been killed, or its log says why
		close(exited)
	}()
	if err := s.awaitReady(ctx); err != nil {
		return fmt.Errorf("start glusterd %s: %w: %s", s.address, err, errorLines(filepath.Join(s.dir, "log/glusterd.log")))
	}
	s.alive.Store(true)
	return nil
}

func (s *server) command() (*exec.Cmd, error) {
	path, err := program("glusterd")
	if err != nil {
		return nil, err
	}
	option := func(name, value string) string { return "--xlator-option=management." + name + "=" + value }
	// Its children inherit these paths on their command lines, by which they are found again.
	cmd := exec.Command(path, "--no-daemon",
		option("working-directory", filepath.Join(s.dir, "lib")),
		option("run-directory", filepath.Join(s.dir, "run/gluster")),
		option("logging-directory", filepath.Join(s.dir, "log")),
		option("glusterd-sockfile", s.socket()),
		option("transport.socket.bind-address", s.address),
		"--log-file="+filepath.Join(s.dir, "log/glusterd.log"),
		"--pid-file="+filepath.Join(s.dir, "run/glusterd.pid"))
	// A session of its own: an interrupt from the terminal is for the test, which then closes the cluster.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// cover puts the server's own directories over GlusterFS's fixed paths in the calling thread's mount namespace. The default
// socket at /run/glusterd.socket is what `gluster volume heal NAME info` needs.
func (s *server) cover() error {
	covers := map[string]string{"/var/lib/glusterd": "lib", "/var/log/glusterfs": "log", "/run": "run", sslDirectory: "ssl"}
	for _, pattern := range []string{"/usr/lib*/glusterfs/gsyncd", "/usr/lib/*/glusterfs/gsyncd", "/usr/libexec/glusterfs/gsyncd"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, path := range found {
			covers[path] = "gsyncd"
		}
	}
	for target, source := range covers {
		if err := unix.Mount(filepath.Join(s.dir, source), target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover %s: %w", target, err)
		}
	}
	return s.coverTemporary()
}

// temporary is where glusterd writes files whose names have nothing of its own: when a replica set gets another brick all
// servers write /tmp/gv0.tcp-fuse.vol at the same moment, and on one machine that fails (TestAServersTemporaryFilesAreItsOwn).
const temporary = "/tmp"

// coverTemporary gives the server a temporary directory of its own, in which this run's directory is where it was.
func (s *server) coverTemporary() error {
	own := filepath.Join(s.dir, "tmp")
	shown := own
	if isBelow(thisRun.dir, temporary) {
		shown = filepath.Join(own, strings.TrimPrefix(thisRun.dir, temporary))
	}
	if err := os.MkdirAll(shown, 0o755); err != nil {
		return err
	}
	if shown != own {
		if err := unix.Mount(thisRun.dir, shown, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("show %s in %s: %w", thisRun.dir, own, err)
		}
	}
	if err := unix.Mount(own, temporary, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cover %s: %w", temporary, err)
	}
	return nil
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	return Poll(ctx, func() error {
		select {
		case <-s.exited:
			giveUp()
			return errors.New("it exited")
		default:
		}
		return errors.Join(dial("unix", s.socket()), dial("tcp4", net.JoinHostPort(s.address, strconv.Itoa(glusterdPort))))
	})
}

// dial says whether somebody accepts connections there.
func dial(network, address string) error {
	conn, err := net.DialTimeout(network, address, dialTimeout)
	if err != nil {
		return err
	}
	return conn.Close()
}

// errorLines are the last few lines that GlusterFS logged as errors.
func errorLines(log string) string {
	const enough = 5
	data, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, "] E [") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found[max(0, len(found)-enough):], "\n")
}
