// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// errNoMeta: .meta has not been opened, or the client was let go.
var errNoMeta = errors.New("the state of its client cannot be read")

// meta reads a client's state from the virtual directory .meta of its root, by a descriptor: by path each access asks a server for
// the root's attributes first, so it blocks while one is silent. Through the descriptor the client process itself answers, in a
// millisecond (GlusterFS 10.3). The descriptor follows the client to a new graph (options set, bricks added, replaced or removed:
// all tried), so it never needs to be opened again. It keeps the client from ending when it is detached: close it then.
type meta struct {
	mu     sync.Mutex
	dir    *os.File // nil until it is opened
	closed bool
	graph  *graph // read last; never changes
}

// reading is the state of a client at one moment. It never changes.
type reading struct {
	at     time.Time
	graph  *graph
	bricks []brickState // as graph.bricks
	sets   []setState   // as graph.sets
}

// open opens .meta below a mount point if that still has this device. It blocks while a server is silent.
func (m *meta) open(mountpoint string, device mount.Device) error {
	if m.isOpen() {
		return nil
	}
	fd, err := unix.Open(filepath.Join(mountpoint, ".meta"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open .meta: %w", err)
	}
	dir := os.NewFile(uintptr(fd), ".meta")
	var stat unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &stat); err != nil {
		return errors.Join(err, dir.Close())
	}
	if (mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}) != device {
		return errors.Join(fmt.Errorf("%w: it was unmounted at %s", errGone, mountpoint), dir.Close())
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.dir != nil {
		return dir.Close()
	}
	m.dir = dir
	return nil
}

// isOpen says whether there is nothing more to open.
func (m *meta) isOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed || m.dir != nil
}

// close lets go of the client for good. It does not block: a reading under way fails, or the kernel ends it with the process.
func (m *meta) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.dir != nil {
		_ = m.dir.Close()
		m.dir = nil
	}
}

// read asks the client process for its state. It blocks for as long as that process is stopped. It sends nothing to a server.
func (m *meta) read() (*reading, error) {
	const attempts = 5 // each meets another graph, or a lock taken at that moment
	var err error
	for range attempts {
		var r *reading
		if r, err = m.readOnce(); err == nil {
			return r, nil
		}
		if !errors.Is(err, errBusy) && !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return nil, err
}

func (m *meta) readOnce() (*reading, error) {
	g, err := m.activeGraph()
	if err != nil {
		return nil, err
	}
	r := &reading{at: time.Now(), graph: g}
	for _, b := range g.bricks {
		var state brickState
		err := m.file(privateFile(g, b.translator), func(f *os.File) (err error) { state, err = parseBrickState(f); return err })
		if err != nil {
			return nil, err
		}
		r.bricks = append(r.bricks, state)
	}
	for _, s := range g.sets {
		var state setState
		err := m.file(privateFile(g, s.translator), func(f *os.File) (err error) { state, err = parseSetState(f); return err })
		if err != nil {
			return nil, err
		}
		r.sets = append(r.sets, state)
	}
	return r, nil
}

func privateFile(g *graph, translator string) string {
	return filepath.Join("graphs", g.name, translator, "private")
}

// activeGraph returns the graph in use. Its name is where the link .meta/graphs/active leads to; it is read again only when that
// has changed.
func (m *meta) activeGraph() (*graph, error) {
	name, err := m.activeName()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	known := m.graph
	m.mu.Unlock()
	if known != nil && known.name == name {
		return known, nil
	}
	var g *graph
	err = m.file(filepath.Join("graphs", name, "volfile"), func(f *os.File) (err error) { g, err = parseVolfile(f); return err })
	if err != nil {
		return nil, err
	}
	g.name = name
	m.mu.Lock()
	defer m.mu.Unlock()
	m.graph = g
	return g, nil
}

func (m *meta) activeName() (string, error) {
	buffer := make([]byte, unix.PathMax)
	var n int
	err := m.beneath(func(dir int) (err error) {
		n, err = unix.Readlinkat(dir, "graphs/active", buffer)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read .meta/graphs/active: %w", err)
	}
	name := string(buffer[:n])
	if !isComponent(name) {
		return "", fmt.Errorf("the link .meta/graphs/active leads to %q", name)
	}
	return name, nil
}

// file calls fn with an open file below .meta.
func (m *meta) file(path string, fn func(*os.File) error) error {
	var fd int
	err := m.beneath(func(dir int) (err error) {
		fd, err = unix.Openat(dir, path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("open .meta/%s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	if err := fn(f); err != nil {
		return fmt.Errorf("read .meta/%s: %w", path, err)
	}
	return nil
}

// beneath calls fn with the descriptor, which stays open until it returns.
func (m *meta) beneath(fn func(dir int) error) error {
	m.mu.Lock()
	dir := m.dir
	m.mu.Unlock()
	if dir == nil {
		return errNoMeta
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return errNoMeta // closed
	}
	for {
		var fnErr error
		if err := conn.Control(func(fd uintptr) { fnErr = fn(int(fd)) }); err != nil {
			return errNoMeta
		}
		if !errors.Is(fnErr, unix.EINTR) {
			return fnErr
		}
	}
}
