// SPDX-License-Identifier: Apache-2.0

// Package meta reads a client's own state from the virtual directory .meta of its mount: what bricks its graph of
// translators has, which of them are connected, and which sets of them have their quorum. It asks the client's
// process alone, and no server.
package meta

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// ErrNotOpen says that .meta has not been opened, or the client was let go.
var ErrNotOpen = errors.New("the state of its client cannot be read")

// Reader reads a client's state from the virtual directory .meta of its root, by a descriptor: by path each access
// asks a server for the root's attributes first, so it blocks while one is silent. Through the descriptor the client
// process itself answers, in a millisecond (GlusterFS 10.3). The descriptor follows the client to a new graph
// (options set, bricks added, replaced or removed: all tried), so it never needs to be opened again. It keeps the
// client from ending when it is detached: close it then.
type Reader struct {
	mu     sync.Mutex
	dir    *os.File // nil until it is opened
	closed bool
	graph  *Graph // read last; never changes
}

// Reading is the state of a client at one moment. It never changes.
type Reading struct {
	At     time.Time
	Graph  *Graph
	Bricks []BrickState // as Graph.Bricks
	Sets   []SetState   // as Graph.Sets
}

// IsDown says whether a replica set leaves this brick alone, connected or not: one that has refused the client, for one, stays
// connected for a moment each time.
func (r *Reading) IsDown(brick int) bool {
	for i, s := range r.Graph.Sets {
		if child := slices.Index(s.Children, r.Graph.Bricks[brick].Translator); child >= 0 && r.Sets[i].Down[child] {
			return true
		}
	}
	return false
}

// Open opens .meta below a mount point if that still has this device. It blocks while a server is silent.
func (m *Reader) Open(mountpoint string, device mount.Device) error {
	if m.isOpen() {
		return nil
	}
	fd, err := unix.Open(filepath.Join(mountpoint, ".meta"),
		unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open .meta: %w", err)
	}
	dir := os.NewFile(uintptr(fd), ".meta")
	var stat unix.Statx_t
	if err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &stat); err != nil {
		return errors.Join(err, dir.Close())
	}
	if (mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}) != device {
		return errors.Join(fmt.Errorf("it was unmounted at %s", mountpoint), dir.Close())
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
func (m *Reader) isOpen() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.closed || m.dir != nil
}

// Close lets go of the client for good. It does not block: a reading under way fails, or the kernel ends it with the
// process.
func (m *Reader) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.dir != nil {
		_ = m.dir.Close()
		m.dir = nil
	}
}

// Read asks the client process for its state. It blocks for as long as that process is stopped. It sends nothing to a
// server.
func (m *Reader) Read() (*Reading, error) {
	const attempts = 5 // each meets another graph, or a lock taken at that moment
	var err error
	for range attempts {
		var r *Reading
		if r, err = m.readOnce(); err == nil {
			return r, nil
		}
		if !errors.Is(err, errBusy) && !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return nil, err
}

func (m *Reader) readOnce() (*Reading, error) {
	g, err := m.activeGraph()
	if err != nil {
		return nil, err
	}
	r := &Reading{At: time.Now(), Graph: g}
	for _, b := range g.Bricks {
		state, err := parseFile(m, privateFile(g, b.Translator), parseBrickState)
		if err != nil {
			return nil, err
		}
		r.Bricks = append(r.Bricks, state)
	}
	for _, s := range g.Sets {
		state, err := parseFile(m, privateFile(g, s.Translator), parseSetState)
		if err != nil {
			return nil, err
		}
		r.Sets = append(r.Sets, state)
	}
	return r, nil
}

func privateFile(g *Graph, translator string) string {
	return filepath.Join("graphs", g.Name, translator, "private")
}

// activeGraph returns the graph in use. Its name is where the link .meta/graphs/active leads to; it is read again
// only when that has changed.
func (m *Reader) activeGraph() (*Graph, error) {
	name, err := m.activeName()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	known := m.graph
	m.mu.Unlock()
	if known != nil && known.Name == name {
		return known, nil
	}
	g, err := parseFile(m, filepath.Join("graphs", name, "volfile"), parseVolfile)
	if err != nil {
		return nil, err
	}
	g.Name = name
	m.mu.Lock()
	defer m.mu.Unlock()
	m.graph = g
	return g, nil
}

func (m *Reader) activeName() (string, error) {
	buffer := make([]byte, unix.PathMax)
	var n int
	err := m.withDir(func(dir int) (err error) {
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

// parseFile parses a file below .meta.
func parseFile[T any](m *Reader, path string, parse func(io.Reader) (T, error)) (parsed T, err error) {
	var fd int
	err = m.withDir(func(dir int) (err error) {
		fd, err = unix.Openat(dir, path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return parsed, fmt.Errorf("open .meta/%s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer func() { _ = f.Close() }()
	if parsed, err = parse(f); err != nil {
		return parsed, fmt.Errorf("read .meta/%s: %w", path, err)
	}
	return parsed, nil
}

// withDir calls fn with the descriptor, which stays open until it returns.
func (m *Reader) withDir(fn func(dir int) error) error {
	m.mu.Lock()
	dir := m.dir
	m.mu.Unlock()
	if dir == nil {
		return ErrNotOpen
	}
	conn, err := dir.SyscallConn()
	if err != nil {
		return ErrNotOpen // closed
	}
	for {
		var fnErr error
		if err := conn.Control(func(fd uintptr) { fnErr = fn(int(fd)) }); err != nil {
			return ErrNotOpen
		}
		if !errors.Is(fnErr, unix.EINTR) {
			return fnErr
		}
	}
}
