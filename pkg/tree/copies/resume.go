// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"maps"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// found looks at what an earlier attempt has left at the name, and removes it unless it is done or can be gone on with.
func (j *job) found(source *safepath.Dir, st unix.Stat_t, r *manifest.Record) (done bool, err error) {
	have, was, err := j.to.EntryAndStat(j.name)
	if isGone(err) {
		j.new = true
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer have.Close()
	done, err = j.isDone(source, have, st, was, r)
	if err != nil {
		return false, err
	}
	if done && st.Nlink > 1 {
		done, err = j.remember(r)
		if err != nil {
			return false, err
		}
	} else if !done && j.canGoOn(have, st, was) {
		return false, nil
	}
	if !done {
		j.new = true
		return false, j.putAway(j.to, j.name, was.Mode&unix.S_IFMT)
	}
	j.count(func(r *Result) { r.Found++ })
	return true, j.done(st, *r)
}

// isDone says whether the copy has the content of the source, and sees to it that it has its attributes.
func (j *job) isDone(source, have *safepath.Dir, st, was unix.Stat_t, r *manifest.Record) (bool, error) {
	if was.Mode&unix.S_IFMT != r.Kind || !manifest.SourceOf(was).SameContent(r.Source) || was.Rdev != st.Rdev {
		return false, nil
	}
	if known, err := j.isKnown(r); known || err != nil {
		return known, err
	}
	if r.Kind == unix.S_IFLNK {
		was, err := have.LinkContent()
		if err != nil {
			return false, inDestination(err)
		}
		is, err := source.LinkContent()
		if err != nil || is != was {
			return false, err
		}
	}
	if same, err := j.sameAttributes(source, have, st, was); !same || err != nil {
		return false, err
	}
	return true, j.hash(source, r)
}

// isKnown says whether an earlier attempt has written the entry down, and its source is the same since.
func (j *job) isKnown(r *manifest.Record) (bool, error) {
	known, found, err := j.manifest.Known(j.here.id, j.name)
	if err != nil {
		return false, inDestination(err)
	}
	if !found || known.Source != r.Source || j.options.Hash && !known.Hashed && r.Kind == unix.S_IFREG {
		return false, nil
	}
	r.Hash, r.Hashed, r.Another = known.Hash, known.Hashed, known.Another
	return true, nil
}

// sameAttributes sets what differs, unless the copy has other names: those may belong to the previous copy.
func (j *job) sameAttributes(source, have *safepath.Dir, st, was unix.Stat_t) (bool, error) {
	want, err := xattrsOf(source)
	if err != nil {
		return false, err
	}
	xattrs, err := xattrsOf(have)
	if err != nil {
		return false, inDestination(err)
	}
	same := was.Uid == st.Uid && was.Gid == st.Gid && was.Mode == st.Mode && maps.Equal(want, xattrs)
	if same || was.Nlink > 1 {
		return same, nil
	}
	err = have.Chown(int(st.Uid), int(st.Gid)) // back to this process's owner, too
	for name := range xattrs {
		if _, wanted := want[name]; !wanted && err == nil {
			err = have.RemoveXattr(name)
		}
	}
	if err == nil {
		err = j.setOwner(have, st, ^uint32(0), j.path, want)
	}
	return err == nil, inDestination(err)
}
