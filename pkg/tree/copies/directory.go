// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// private is the mode of a directory in which something is still to be made: nobody else reaches what has not its
// owner yet, and nothing inherits a group.
const private = 0o700

// directory is what is kept of one while the walk is in it.
type directory struct {
	id       manifest.Directory
	to       *tree.Mirrored
	previous *tree.Mirrored // nil where there is none
	empty    bool           // the destination was, so nothing is looked for in it
}

// use calls fn with the directory of the copy.
func (d *directory) use(fn func(to *safepath.Dir) error) (err error) {
	reached := d.to.Use(func(to *safepath.Dir) error {
		err = fn(to)
		return nil
	})
	return errors.Join(inDestination(reached), err)
}

// Enter makes the directory, and removes from it what is not in the source.
func (c *copier) Enter(d *tree.Directory, from *safepath.Dir) error {
	here := &directory{to: c.top, previous: c.previousTop}
	if d.Parent() != nil {
		var err error
		if here, err = c.makeBelow(d.Parent().Data.(*directory), d.Name()); err != nil { //nolint:forcetypeassert // set here
			return err
		}
	}
	d.Data = here
	if here.empty {
		return nil
	}
	return here.use(func(to *safepath.Dir) error {
		if err := reopened(to); err != nil {
			return inDestination(err)
		}
		for {
			found, removed, err := c.removeForeign(from, to)
			if err != nil {
				return err
			}
			here.empty = found == 0
			if removed == 0 {
				return nil
			}
		}
	})
}

func (c *copier) makeBelow(parent *directory, name string) (*directory, error) {
	here := &directory{id: parent.id.Below(name), empty: true}
	err := parent.use(func(to *safepath.Dir) error {
		err := to.Mkdir(name, private)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		have, err := to.LookUp(name)
		if err != nil {
			return err
		}
		if have.Mode&unix.S_IFMT == unix.S_IFDIR {
			here.empty = false
			return nil
		}
		if err := c.putAway(to, name, have.Mode&unix.S_IFMT); err != nil {
			return err
		}
		return to.Mkdir(name, private)
	})
	if err == nil {
		here.to, err = parent.to.Subdirectory(name)
	}
	if err != nil {
		return nil, c.end(inDestination(err))
	}
	step("directory made")
	if parent.previous != nil {
		if here.previous, err = parent.previous.Subdirectory(name); err != nil {
			here.previous = nil // it was not there then, and its files are copied
		}
	}
	return here, nil
}

// reopened makes a directory private again that an earlier attempt had completed, or that the caller has given another
// owner.
func reopened(to *safepath.Dir) error {
	st, err := to.Stat()
	if err == nil && (int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid()) {
		err = to.Chown(os.Geteuid(), os.Getegid())
	}
	if err == nil && st.Mode&0o7777 != private {
		err = to.Chmod(private)
	}
	if err != nil {
		return err
	}
	names, err := to.XattrNames()
	for _, name := range names {
		if isCopied(name) && err == nil {
			err = to.RemoveXattr(name)
		}
	}
	return err
}

// removeForeign says how many entries are in the destination, and how many of them it has removed. It asks the source
// for each by its name, since the two are listed in orders of their own: so in a directory that an earlier attempt has
// begun, one request for each entry that is there comes first.
func (c *copier) removeForeign(from, to *safepath.Dir) (found, removed int, err error) {
	list, err := to.List(0)
	if err != nil {
		return 0, 0, inDestination(err)
	}
	defer list.Close()
	for {
		listed, err := list.Next()
		if errors.Is(err, io.EOF) {
			return found, removed, nil
		}
		if err != nil {
			return 0, 0, inDestination(err)
		}
		for _, each := range listed {
			found++
			if _, err := from.LookUp(each.Name); err == nil || !isGone(err) {
				continue // an error comes again when it is visited
			}
			have, err := to.LookUp(each.Name)
			if isGone(err) {
				continue
			}
			if err == nil {
				err = c.putAway(to, each.Name, have.Mode&unix.S_IFMT)
			}
			if err != nil {
				return 0, 0, err
			}
			removed++
		}
	}
}

// Leave gives the directory its attributes, and writes it down. What was changed in it since it was entered is not
// all in the copy, so its time is the one that it had then.
func (c *copier) Leave(d *tree.Directory) (again bool, err error) {
	here := d.Data.(*directory) //nolint:forcetypeassert // set in Enter
	defer func() {
		here.to.Forget()
		if here.previous != nil {
			here.previous.Forget()
		}
	}()
	if d.Failed() {
		return false, nil
	}
	st := d.Stat()
	path := d.Path
	step("before a directory's attributes")
	xattrs := map[string]string{}
	err = d.Use(func(from *safepath.Dir) (err error) {
		xattrs, err = ofWhatIsThere(from)
		return err
	})
	if errors.Is(err, tree.ErrMoved) || isGone(err) {
		c.vanished(path())
	} else if err != nil {
		return false, err
	}
	err = here.use(func(to *safepath.Dir) error {
		if err := c.setOwner(to, st, private, path, xattrs); err != nil {
			return err
		}
		return to.SetTimes(st.Atim, st.Mtim)
	})
	if err != nil {
		return false, c.end(inDestination(fmt.Errorf("set the attributes of a directory of the copy: %w", err)))
	}
	c.progress.entries.Add(1)
	c.count(func(r *Result) { r.Entries++ })
	if d.Parent() == nil {
		return false, nil
	}
	parent := d.Parent().Data.(*directory) //nolint:forcetypeassert // set in Enter
	source := manifest.SourceOf(st)
	source.Size = 0 // is the file system's own affair
	return false, c.written(c.manifest.Add(manifest.Record{In: parent.id, Name: d.Name(), Kind: unix.S_IFDIR, Source: source}))
}

// ofWhatIsThere are the extended attributes of a directory; fs.ErrNotExist if it was removed since it was opened, which
// not every file system says by itself.
func ofWhatIsThere(from *safepath.Dir) (map[string]string, error) {
	st, err := from.Stat()
	if err == nil && st.Nlink == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	return xattrsOf(from)
}

// written is for an error in writing the manifest, after which a copy is not worth going on with.
func (c *copier) written(err error) error {
	if err != nil {
		err = c.end(fmt.Errorf("write the manifest of the copy: %w", inDestination(err)))
		c.cancel(err)
	}
	return err
}
