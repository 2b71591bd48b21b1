// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// granters bounds the entries being changed at once. A pod waits for them, so it is what a
	// brick serves at a time.
	granters = 16
	// grantBatch is about how many entries of a directory one goroutine takes at a time: as many
	// as are changed before the kernel forgets what it learnt of each by reading their names,
	// which is a second. Else it asks the bricks again.
	grantBatch = 32
	// grantDepth bounds the descriptors held by one chain of directories.
	grantDepth = 1024
	// grantReport is how often a long walk says where it is.
	grantReport = 10 * time.Second
)

// Granted says whether dir shows that its whole tree is the group's already: group,
// setgid and group rwx. The root of a tree is changed last, so that is enough.
func Granted(dir *safepath.Dir, gid uint32) (bool, error) {
	st, err := dir.Stat()
	if err != nil {
		return false, explain(err)
	}
	return st.Gid == gid && st.Mode&wantDir == wantDir, nil
}

const wantDir = 0o2070

// GrantGroup lets the group read and write everything below dir, and dir itself at the
// very end; interrupted, it is begun again. Nothing is taken away from anyone: bits are
// added, never cleared. Links are not followed; a link's own group is set. It stops
// early when ctx is done.
func GrantGroup(ctx context.Context, dir *safepath.Dir, gid uint32) error {
	st, err := dir.Stat()
	if err != nil {
		return explain(err)
	}
	logger := klog.FromContext(ctx)
	logger.Info("Granting a volume to a group", "path", dir.Name(), "gid", gid, "formerGid", st.Gid)
	if st.Gid != 0 && st.Gid != gid {
		logger.Info("Pods with different fsGroups take this volume from each other at every start", "path", dir.Name(), "gid", gid, "formerGid", st.Gid)
	}
	g := &granter{gid: gid}
	stop := g.report(logger, dir.Name())
	defer stop()
	var ctxOfGroup context.Context
	g.group, ctxOfGroup = errgroup.WithContext(ctx)
	g.group.SetLimit(granters)
	err = g.content(ctxOfGroup, dir, 0)
	if waitErr := g.group.Wait(); waitErr != nil {
		err = waitErr // the first; err may be no more than its echo
	}
	if err == nil {
		err = g.one(dir, st)
	}
	if err != nil {
		return explain(fmt.Errorf("grant %s to group %d: %w", dir.Name(), gid, err))
	}
	return nil
}

type granter struct {
	gid     uint32
	group   *errgroup.Group
	visited atomic.Int64
}

// report logs the progress until the returned function is called.
func (g *granter) report(logger klog.Logger, path string) (stop func()) {
	start := time.Now()
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(grantReport)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				logger.Info("Still granting a volume to a group", "path", path, "gid", g.gid, "entries", g.visited.Load(), "since", time.Since(start).Round(time.Second))
			case <-done:
				logger.Info("Granting ended", "path", path, "gid", g.gid, "entries", g.visited.Load(), "took", time.Since(start).Round(time.Millisecond))
				return
			}
		}
	}()
	return func() { close(done) }
}

// spread runs task on another goroutine where one is to be had, else here.
func (g *granter) spread(task func() error) error {
	if g.group.TryGo(task) {
		return nil
	}
	return task()
}

func (g *granter) content(ctx context.Context, dir *safepath.Dir, depth int) error {
	if depth > grantDepth {
		return fmt.Errorf("%s: directories are nested more than %d deep", dir.Name(), grantDepth)
	}
	list, err := dir.List(grantBatch)
	if err != nil {
		return err
	}
	defer list.Close()
	// Each batch holds dir by a descriptor of its own: this one is closed before a
	// batch that was spread has come to its end.
	for {
		names, err := list.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		held, err := dir.Open(".")
		if err != nil {
			return err
		}
		err = g.spread(func() error {
			defer held.Close()
			return g.entries(ctx, held, names, depth)
		})
		if err != nil {
			return err
		}
	}
}

func (g *granter) entries(ctx context.Context, dir *safepath.Dir, names []string, depth int) error {
	for _, name := range names {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := gone(g.entry(ctx, dir, name, depth)); err != nil {
			return err
		}
	}
	return nil
}

func (g *granter) entry(ctx context.Context, dir *safepath.Dir, name string, depth int) error {
	entry, err := dir.Entry(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	st, err := entry.Stat()
	if err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := g.content(ctx, entry, depth+1); err != nil {
			return err
		}
	}
	return g.one(entry, st)
}

// one grants a single entry.
func (g *granter) one(entry *safepath.Dir, st unix.Stat_t) error {
	g.visited.Add(1)
	if st.Gid != g.gid {
		if err := entry.Chown(-1, int(g.gid)); err != nil {
			return err
		}
	}
	kind := st.Mode & unix.S_IFMT
	if kind == unix.S_IFLNK {
		return nil
	}
	want := st.Mode&0o7777 | 0o060
	if kind == unix.S_IFDIR {
		want |= wantDir
	} else if st.Mode&0o111 != 0 {
		want |= 0o010
	}
	// A change of group clears setuid and setgid of a program: put back what it had.
	if want != st.Mode&0o7777 || st.Gid != g.gid && want&0o6000 != 0 {
		return entry.Chmod(want)
	}
	return nil
}
