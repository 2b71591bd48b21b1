// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// The files of a slot's directory. Beside them is one directory start-*/ for each client, with its mount point mnt in it: a
// path that is a mount point for as long as it exists, see discard. Of a dead client it becomes dead-*/, see keep.
const (
	descriptionFile = "client.json" // what it takes to start the client again
	lockFile        = "lock"        // locked while a client is started, found or stopped
	usersFile       = "users"       // locked, shared, by each Host that uses the client
	logFile         = "log"
	oldLogFile      = "log.1"
	stderrFile      = "stderr"

	startPrefix = "start-"
	mountName   = "mnt"
	readyName   = "ready" // beside mnt: the pid of the client, which has answered once
	goneSuffix  = ".gone"
)

// ErrStarting: a start of the client goes on, though its caller has stopped waiting. It always comes with ErrUnreachable.
var ErrStarting = errors.New("the start of its client goes on")

// errAsking: as ErrStarting, where the mounter starts it.
var errAsking = errors.New("the mounter of this host, which starts its client, has not answered yet")

// slot is the place of one client: one (Gluster volume, client options).
type slot struct {
	host    *Host
	dir     string
	volume  gluster.Volume
	options []string // normalized

	mu     sync.Mutex
	client *Client // nil where none is known
	users  *os.File
	flight *flight
	deaths Deaths
}

// flight is one search for a client, or start, that several callers wait for.
type flight struct {
	attempt *attempt
	done    chan struct{}
	client  *Client // when done
	err     error   // when done
}

// description is the content of client.json.
type description struct {
	gluster.Volume

	Options []string `json:"options"`
}

func readDescription(path string) (description, error) {
	var d description
	data, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, d.Validate()
}

// optionHash names a slot's directory. The names of options are too long for a path, and their values are not all safe.
func optionHash(options []string) string {
	if len(options) == 0 {
		return "default"
	}
	const length = 12
	sum := sha256.Sum256([]byte(strings.Join(options, ",")))
	return hex.EncodeToString(sum[:])[:length]
}

func (s *slot) current() *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// ensure returns a client whose process runs, after waiting for its start if there was none.
func (s *slot) ensure(ctx context.Context, cluster gluster.Cluster) (*Client, error) {
	c, f := s.board(ctx, cluster)
	if c != nil {
		return c, nil
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		goesOn := ErrStarting
		if s.host.mounter != nil {
			goesOn = errAsking
		}
		return nil, f.attempt.explain(gluster.ErrUnreachable, fmt.Errorf("%w, the wait for it ended: %w", goesOn, context.Cause(ctx)))
	}
	return f.client, f.err
}

// board returns the running client, or the flight that will bring it.
func (s *slot) board(ctx context.Context, cluster gluster.Cluster) (*Client, *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasRunning() {
		s.client.used = time.Now()
		return s.client, nil
	}
	s.letGo()
	if s.flight == nil {
		f := &flight{done: make(chan struct{}), attempt: &attempt{slot: s, servers: cluster.Servers}}
		s.flight = f
		logger := klog.FromContext(ctx).WithValues("volume", s.volume, "options", s.options)
		s.host.starts.Go(func() { //nolint:contextcheck // others may wait for it when this caller leaves
			defer close(f.done)
			ctx, cancel := context.WithTimeout(klog.NewContext(s.host.life, logger), s.host.flightLimit())
			defer cancel()
			f.client, f.err = s.fly(ctx, f.attempt)
		})
	}
	return nil, s.flight
}

// fly finds a running client or starts one, and makes it the slot's.
func (s *slot) fly(ctx context.Context, a *attempt) (*Client, error) {
	c, users, err := s.findOrStart(ctx, a)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	if err != nil {
		return nil, err
	}
	s.take(ctx, c, users)
	return c, nil
}

func (s *slot) findOrStart(ctx context.Context, a *attempt) (_ *Client, _ *os.File, err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make the state directory: %w", err)
	}
	if s.host.mounter != nil {
		return s.findOrAsk(ctx, a)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, nil, a.explain(gluster.ErrUnreachable, err)
	}
	defer unlock()
	users, err := s.join()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			_ = users.Close()
		}
	}()
	c, err := s.find()
	if err == nil && c == nil {
		c, err = a.start(ctx)
	}
	return c, users, err
}

// adopt makes a running client the slot's, if there is one and the slot has none.
func (s *slot) adopt(ctx context.Context) error {
	if !s.isEmpty() {
		return nil
	}
	if s.host.mounter != nil {
		return s.adoptBound(ctx)
	}
	file, err := s.tryLock(lockFile, unix.LOCK_EX)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	s.forgetEnded()
	c, err := s.find() // which may take its time, so nobody is kept from looking at the slot
	if err != nil || c == nil {
		return err
	}
	users, err := s.join()
	if err != nil {
		c.process.forget()
		return err
	}
	return s.offer(ctx, c, users)
}

// isEmpty says that there is no running client, nor a flight that may bring one.
func (s *slot) isEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flight == nil && !s.hasRunning()
}

// hasRunning says whether the slot's client runs. The caller holds mu.
func (s *slot) hasRunning() bool { return s.client != nil && !s.client.process.hasExited() }

func (s *slot) forgetEnded() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasRunning() {
		s.letGo()
	}
}

// offer makes c the client of the slot, unless somebody else has begun to find or start one: that one waits for the lock that
// the caller has, and will find c.
func (s *slot) offer(ctx context.Context, c *Client, users *os.File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight != nil || s.hasRunning() {
		c.process.forget()
		return users.Close()
	}
	s.letGo()
	s.take(ctx, c, users)
	return nil
}

// take makes c the client of the slot, which is empty. The caller holds mu.
func (s *slot) take(ctx context.Context, c *Client, users *os.File) {
	if c.adopted {
		klog.FromContext(ctx).Info("Found a running client", "volume", s.volume, "options", s.options, "pid", c.process.pid, "mountpoint", c.mountpoint)
	}
	s.client, s.users = c, users
	c.used = time.Now()
	if s.host.mounter == nil {
		go s.host.watchDeath(c)
		s.host.tellChange()
	}
}

// forget makes the slot empty if c is still its client.
func (s *slot) forget(c *Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == c {
		s.letGo()
	}
}

// letGo makes the slot empty. The process is watched until its end, as a child must be reaped. The caller holds mu.
func (s *slot) letGo() {
	if s.client != nil {
		s.client.meta.Close()
		_ = s.users.Close() // of nil, too
	}
	s.client, s.users = nil, nil
}

// close makes the slot empty and stops watching its client. Detached ones are still watched: they are about to end.
func (s *slot) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.process.forget()
	}
	s.letGo()
}

// lock waits for the lock of the slot, which at most one process has. The kernel lets go of it when the process ends.
func (s *slot) lock(ctx context.Context) (unlock func(), err error) {
	file, err := waitFor(ctx, func() (*os.File, error) { return s.tryLock(lockFile, unix.LOCK_EX) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("another process is starting or stopping its client: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = file.Close() }, nil
}

// waitFor repeats try until it no longer says EWOULDBLOCK, or ctx is done.
func waitFor(ctx context.Context, try func() (*os.File, error)) (*os.File, error) {
	const pause = 10 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		file, err := try()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return file, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-ticker.C:
		}
	}
}

// join declares this Host to be a user of the slot's client. The caller has the lock, or waits while it is EWOULDBLOCK.
func (s *slot) join() (*os.File, error) { return s.tryLock(usersFile, unix.LOCK_SH) }

// tryLock returns a locked file, or EWOULDBLOCK. Closing the file unlocks it.
func (s *slot) tryLock(name string, how int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return file, nil
}
