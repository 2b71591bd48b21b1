// SPDX-License-Identifier: Apache-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	// splitStatus is the virtual attribute by which a client says whether the bricks disagree on a file.
	splitStatus = "replica.split-brain-status"
	splitYes    = "split-brain:yes"
	// maxSplitKept bounds what is remembered of one client, and maxSplitNamed what is named in one message.
	maxSplitKept  = 1000
	maxSplitNamed = 3
)

// running are the clients that tell of the bricks, and are asked for files: not those from which nothing is bound. Of
// these some are to lack bricks, and some settle what is in split-brain as soon as they look it up, with nothing kept.
func (o *Observer) running() []*client.Client {
	return slices.DeleteFunc(o.host.Running(), (*client.Client).BindsNothing)
}

// splits are the files that the bricks disagree on, as far as somebody on this host has met one: his client has
// logged an input/output error then. Each is asked for until its bricks agree again. The zero value knows none.
type splits struct {
	mu sync.Mutex
	of map[*client.Client]*splitFiles
}

// splitFiles are those of one client, by their paths from the Gluster volume's root.
type splitFiles struct {
	split   map[string]bool // false: it is not known yet
	agreed  map[string]bool // which were met and are well: the log names them for as long as its end has them
	pending bool            // they are being asked for; the only one who changes the maps then
}

// look reads what clients have logged, and begins to ask for what that names. It waits for no answer.
func (s *splits) look(ctx context.Context, clients []*client.Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[*client.Client]*splitFiles{}
	for _, c := range clients {
		f := s.of[c]
		if f == nil {
			f = &splitFiles{split: map[string]bool{}, agreed: map[string]bool{}}
		}
		now[c] = f
		if f.pending {
			continue
		}
		logged := c.Unreadable()
		maps.DeleteFunc(f.agreed, func(file string, _ bool) bool { return !slices.Contains(logged, file) })
		for _, file := range logged {
			if _, known := f.split[file]; !known && !f.agreed[file] && len(f.split) < maxSplitKept {
				f.split[file] = false
			}
		}
		if len(f.split) > 0 {
			f.pending = true
			files := slices.Sorted(maps.Keys(f.split))
			go s.ask(context.WithoutCancel(ctx), c, f, files)
		}
	}
	s.of = now
}

// ask asks for each file whether its bricks agree.
func (s *splits) ask(ctx context.Context, c *client.Client, f *splitFiles, files []string) {
	answers := map[string]error{}
	panics.Catch(ctx, "question whether bricks disagree on files", func() {
		root, err := safepath.OpenRoot(c.Mountpoint())
		if err != nil {
			return
		}
		defer root.Close()
		for _, file := range files {
			answers[file] = splitError(root, strings.TrimPrefix(file, "/"))
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	f.pending = false
	for file, err := range answers {
		switch {
		case errors.Is(err, unix.EIO):
			f.split[file] = true
		case err == nil || isGone(err):
			delete(f.split, file)
			f.agreed[file] = true
		default: // nobody knows, as while a brick is away: what is known stays
		}
	}
}

func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ESTALE) || errors.Is(err, safepath.ErrLink)
}

// splitError is EIO if the bricks disagree on what is at a path, nil if they agree.
func splitError(root *safepath.Dir, rel string) error {
	if err := safepath.Check(rel); err != nil {
		return unix.ENOENT // it is not worth a question
	}
	parent, err := root.Open(path.Dir(rel))
	if err != nil {
		return err
	}
	defer parent.Close()
	entry, st, err := parent.EntryAndStat(path.Base(rel))
	if err != nil {
		return err
	}
	defer entry.Close()
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		_, err := entry.Stat()
		return err
	}
	status, err := entry.Xattr(splitStatus)
	if err == nil && strings.Contains(status, splitYes) {
		err = unix.EIO
	}
	return err
}

// Split returns the files of a Gluster volume that the bricks disagree on, as far as somebody on this host has met
// them: paths from its root, sorted.
func (o *Observer) Split(v gluster.Volume) []string {
	o.splits.mu.Lock()
	defer o.splits.mu.Unlock()
	found := map[string]bool{}
	for c, f := range o.splits.of {
		if c.Volume() != v {
			continue
		}
		for file, is := range f.split {
			if is {
				found[file] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// SplitMessage says what is the matter with files of a Gluster volume, and what to do.
func SplitMessage(v gluster.Volume, files []string) string {
	named := strings.Join(files[:min(len(files), maxSplitNamed)], ", ")
	if more := len(files) - maxSplitNamed; more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("files of %s cannot be read, since its bricks disagree on them (split-brain), %d in all: %s; `glusterfs-csi volume split-brain VOLUME` shows what each has, and with --keep has one count",
		v, len(files), named)
}

// addSplit adds the files that the bricks disagree on, of what is mounted at a place or of all.
func (o *Observer) addSplit(r *findings, v gluster.Volume, at *Place) {
	files := o.Split(v)
	if at != nil {
		files = slices.DeleteFunc(files, func(file string) bool { return !at.isOf(file, "") })
	}
	if len(files) > 0 {
		r.add(Degraded, SplitBrain, SplitMessage(v, files))
	}
}
