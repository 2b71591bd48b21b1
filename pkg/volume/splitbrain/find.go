// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

const (
	// finders is how many entries are looked at at once: each is a question to the bricks.
	finders   = 16
	findBatch = 64
	// statusXattr is the virtual attribute by which a client says whether the bricks disagree on a file's data or
	// metadata. It is worked out from what the bricks say at this moment.
	statusXattr = "replica.split-brain-status"
)

// Find walks the volume and returns what its bricks disagree on, sorted by path, at most limit of it, and how many more
// there are. Nothing is changed. What cannot be looked at is in the error, beside what was found.
func (v *Volume) Find(ctx context.Context, limit int) (found []File, more int, err error) {
	own, err := v.store.KeepOut(ctx, false)
	if err != nil {
		return nil, 0, err
	}
	f := &finder{volume: v, limit: limit}
	err = tree.Walk(ctx, v.asked, f, tree.Options{
		Task: "looking for what is in split-brain", Workers: finders, Batch: findBatch, Own: own, Permit: v.store.Permit,
	})
	var walk *tree.WalkError
	if errors.As(err, &walk) && ctx.Err() == nil && walk.Count <= f.directories && !slices.ContainsFunc(walk.First, func(err error) bool { return !errors.Is(err, unix.EIO) }) {
		err = nil // these are the directories that were found, and cannot be entered
	}
	for i := range f.found {
		if lookErr := v.look(&f.found[i]); lookErr != nil {
			err = errors.Join(err, lookErr)
		}
	}
	slices.SortFunc(f.found, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return f.found, f.more, err
}

// At returns what the bricks disagree on at a path below the volume's directory, and false where they agree. Like Find
// it enters nothing that is another volume's, or the driver's: ErrNested.
func (v *Volume) At(ctx context.Context, rel string) (File, bool, error) {
	own, err := v.store.KeepOut(ctx, false)
	if err != nil {
		return File{Path: rel}, false, err
	}
	at, name, err := walk(v.asked, rel, func(dir *safepath.Dir) error {
		st, err := dir.Stat()
		if err != nil {
			return err
		}
		return own(dir, st)
	})
	if err != nil {
		return File{Path: rel}, false, err
	}
	defer at.Close()
	f := File{Path: rel}
	if f.Kind, err = kindOf(at, name); err != nil || f.Kind == "" {
		return f, false, err
	}
	return f, true, v.look(&f)
}

// finder is the visitor of a walk.
type finder struct {
	volume *Volume
	limit  int

	mu          sync.Mutex
	found       []File
	more        int
	directories int
}

func (f *finder) add(file File) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file.Kind == Directory {
		f.directories++
	}
	if len(f.found) == f.limit {
		f.more++
		return
	}
	f.found = append(f.found, file)
}

// Enter looks at the subdirectories: the walk itself cannot enter those that the bricks disagree on.
func (f *finder) Enter(d *tree.Directory, dir *safepath.Dir) error {
	list, err := dir.List(0)
	if err != nil {
		return err
	}
	defer list.Close()
	for {
		listed, err := list.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, each := range listed {
			if each.Kind != unix.S_IFDIR {
				continue
			}
			kind, err := kindOf(dir, each.Name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if kind != "" {
				f.add(File{Path: path.Join(d.Path(), each.Name), Kind: Directory})
			}
		}
	}
}

// Entry looks at what is no directory.
func (f *finder) Entry(_ tree.Worker, d *tree.Directory, dir *safepath.Dir, name string) error {
	kind, err := kindOf(dir, name)
	if err == nil && kind != "" {
		f.add(File{Path: path.Join(d.Path(), name), Kind: kind})
	}
	return err
}

// Leave does nothing.
func (f *finder) Leave(*tree.Directory) (again bool, err error) { return false, nil }

// kindOf says what the bricks disagree on of an entry, "" where they agree.
func kindOf(dir *safepath.Dir, name string) (Kind, error) {
	entry, st, err := dir.EntryAndStat(name)
	if errors.Is(err, unix.EIO) {
		return Name, nil
	}
	if err != nil {
		return "", err
	}
	defer entry.Close()
	kind, err := statusOf(entry)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		// What is said of a directory's data is about its entries, which GlusterFS merges.
		if kind == Metadata || kind == Both {
			return Directory, err
		}
		return "", err
	}
	return kind, err
}

func statusOf(entry *safepath.Dir) (Kind, error) {
	text, err := entry.Xattr(statusXattr)
	if errors.Is(err, unix.EAGAIN) {
		return "", fmt.Errorf("%w: one of its bricks does not answer, so it is not known whether they agree", err)
	}
	return parseStatus(text), err
}

// parseStatus reads "data-split-brain:yes    metadata-split-brain:no    Choices:gv0-client-0,gv0-client-1".
func parseStatus(text string) Kind {
	fields := strings.Fields(text)
	data, metadata := slices.Contains(fields, "data-split-brain:yes"), slices.Contains(fields, "metadata-split-brain:yes")
	switch {
	case data && metadata:
		return Both
	case data:
		return Data
	case metadata:
		return Metadata
	}
	return ""
}

// look adds what each side has of a file.
func (v *Volume) look(f *File) error {
	above, _, err := parent(v.asked, f.Path)
	if err != nil {
		return err
	}
	defer above.Close()
	gfid, err := store.GFIDOf(above)
	if err != nil {
		return err
	}
	f.Copies = nil
	sets := make([]Set, len(v.sides)) // as each side names the one that has the file
	var set Set
	isApart := false
	for i, side := range v.sides {
		c := Copy{side: i}
		if side == nil {
			c.Err = fmt.Errorf("the volume's directory is another one there: %w", volume.ErrForeign)
		} else {
			sets[i], c.Err = v.lookAt(side, gfid, f.Path, &c)
		}
		if sets[i].Translator != "" {
			isApart = isApart || set.Translator != "" && set.Translator != sets[i].Translator
			set = sets[i]
		}
		if c.Err == nil && c.Stat.Mode&unix.S_IFMT == unix.S_IFDIR {
			f.Kind = Directory
		}
		f.Copies = append(f.Copies, c)
	}
	if set.Translator == "" && len(v.clients.Sets) == 1 {
		set = v.clients.Sets[0]
	}
	for i := range f.Copies {
		if !isApart {
			sets[i] = set
		}
		if i < len(sets[i].Bricks) {
			f.Copies[i].Brick = sets[i].Bricks[i]
		}
	}
	f.Why = v.unsettleable(*f, set, isApart)
	return nil
}

// lookAt adds what one side has, and returns the replica set that it is of.
func (v *Volume) lookAt(top *safepath.Dir, parentGFID, rel string, c *Copy) (Set, error) {
	at, name, err := parent(top, rel)
	if err != nil {
		return Set{}, err
	}
	defer at.Close()
	if have, err := store.GFIDOf(at); err != nil || have != parentGFID {
		return Set{}, errors.Join(err, fmt.Errorf("the directory above is another one there: %w", volume.ErrForeign))
	}
	entry, err := at.Entry(name)
	if err != nil {
		return Set{}, err
	}
	defer entry.Close()
	st, err := entry.Stat() // as the brick has it now, which the lookup of a name that was known does not always say
	if err != nil {
		return Set{}, err
	}
	c.Stat = st
	if c.gfid, err = store.GFIDOf(entry); err != nil {
		return Set{}, err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return Set{}, nil
	}
	where, err := entry.Xattr(gluster.PathInfoXattr)
	if err != nil {
		return Set{}, err
	}
	placed, err := gluster.ParsePlacement(strings.TrimRight(where, "\x00"))
	if err != nil {
		return Set{}, err
	}
	i := slices.IndexFunc(v.clients.Sets, func(s Set) bool { return s.Translator == placed.Subvolumes[0].Name })
	if i < 0 {
		return Set{}, fmt.Errorf("it is on %q, which is no replica set", placed.Subvolumes[0].Name)
	}
	return v.clients.Sets[i], nil
}

// unsettleable says why Settle would not do it, "" where it would.
func (v *Volume) unsettleable(f File, set Set, isApart bool) string {
	byHand := fmt.Sprintf("look at both sides, and use `gluster volume heal %s split-brain source-brick HOST:PATH /%s/%s` on a server", v.store.Volume.Name, v.record.Path, f.Path)
	if f.Kind == Directory {
		return "it is a directory, and what one side has in it would be lost: " + byHand
	}
	if isApart {
		return "each side has it on another replica set: " + byHand
	}
	if len(set.Bricks) != 2 {
		return "its replica set does not consist of two bricks: " + byHand
	}
	for _, c := range f.Copies {
		switch {
		case c.Err != nil:
			return fmt.Sprintf("what %s has cannot be read (%v): %s", c.Brick.Address, c.Err, byHand)
		case c.Stat.Mode&unix.S_IFMT != unix.S_IFREG:
			return "it is no regular file: " + byHand
		}
	}
	return ""
}
