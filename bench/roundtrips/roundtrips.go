// SPDX-License-Identifier: Apache-2.0

// Package roundtrips counts the requests that a GlusterFS client sends to its bricks. They
// are what an operation costs, on any machine, as far as the network is slower than the
// driver; and they are the same on a slow machine as on a fast one.
package roundtrips

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Counts are requests by their kind in GlusterFS's own words (LOOKUP, MKDIR, …), all bricks
// together.
type Counts map[string]int

// Total is the number of requests of all kinds.
func (c Counts) Total() int {
	total := 0
	for _, n := range c {
		total += n
	}
	return total
}

// String lists the kinds, the most frequent first.
func (c Counts) String() string {
	kinds := slices.SortedFunc(maps.Keys(c), func(a, b string) int {
		if c[a] != c[b] {
			return c[b] - c[a]
		}
		return strings.Compare(a, b)
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%s %d", kind, c[kind])
	}
	return strings.Join(kinds, ", ")
}

// Counter reads the counters of one client.
type Counter struct {
	root   *os.File
	volume string
}

// Open returns the counter of the client that is mounted at mountpoint, the root of a Gluster
// volume. Only one counter of a client may be in use: GlusterFS sets the numbers back to zero
// whenever they are read. Close it.
func Open(mountpoint, volume string) (*Counter, error) {
	root, err := os.OpenFile(filepath.Join(mountpoint, ".meta/graphs/active"), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Counter{root: root, volume: volume}, nil
}

// Close releases the mount.
func (c *Counter) Close() error { return c.root.Close() }

// settleTime is longer than a client waits with the last part of a transaction in case
// another write follows (cluster.post-op-delay-secs, 1 s by default).
const settleTime = 1500 * time.Millisecond

// Count returns the requests that operation leads to, those included that the client sends
// after it, for which it waits some seconds. Nobody else may use the client meanwhile.
func (c *Counter) Count(ctx context.Context, operation func() error) (Counts, error) {
	if _, err := c.settled(ctx); err != nil { // what came before
		return nil, err
	}
	if err := operation(); err != nil {
		return nil, err
	}
	return c.settled(ctx)
}

// settled returns the requests since the last reading, when no more of them come.
func (c *Counter) settled(ctx context.Context) (Counts, error) {
	all := Counts{}
	for {
		now, err := c.read()
		if err != nil {
			return nil, err
		}
		for kind, n := range now {
			all[kind] += n
		}
		timer := time.NewTimer(settleTime)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
		if now.Total() == 0 {
			return all, nil
		}
	}
}

// read returns the requests since the last reading.
func (c *Counter) read() (Counts, error) {
	all := Counts{}
	for i := 0; ; i++ {
		data, err := c.profile(i)
		if errors.Is(err, os.ErrNotExist) && i > 0 {
			return all, nil
		}
		if err == nil {
			err = parse(string(data), all)
		}
		if err != nil {
			return nil, fmt.Errorf("requests to brick %d of %s: %w", i, c.volume, err)
		}
	}
}

// profile reads what the client has counted for one brick. The path is walked from the held
// directory, which costs no request.
func (c *Counter) profile(i int) ([]byte, error) {
	fd, err := unix.Openat(int(c.root.Fd()), fmt.Sprintf("%s-client-%d/profile", c.volume, i), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "profile")
	defer f.Close()
	const most = 64 << 10
	data := make([]byte, most)
	n, err := f.Read(data)
	if n == 0 && err != nil {
		return nil, err
	}
	return data[:n], nil
}

// line is one of .meta/graphs/active/<volume>-client-<i>/profile in GlusterFS 10:
// gv0-client-0.latency.MKDIR = AVG:1222351.000000 CNT:1 TOTAL:1222351 MIN:1222351 MAX:1222351.
var line = regexp.MustCompile(`(?m)^\S+\.latency\.([A-Z]+) = AVG:\S+ CNT:(\d+) `)

func parse(profile string, into Counts) error {
	if !strings.Contains(profile, ".latency]") {
		return fmt.Errorf("not a profile that this version of GlusterFS is known to write: %.100q", profile)
	}
	for _, match := range line.FindAllStringSubmatch(profile, -1) {
		n, err := strconv.Atoi(match[2])
		if err != nil {
			return err
		}
		into[match[1]] += n
	}
	return nil
}
