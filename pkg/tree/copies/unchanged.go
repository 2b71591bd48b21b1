// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// linkUnchanged links the previous copy's file, if the source is what it was then.
func (j *job) linkUnchanged(r *manifest.Record) (bool, error) {
	if j.here.previous == nil {
		return false, nil
	}
	was, _, found, err := j.previous.Find(j.here.id, j.name)
	if err != nil || !found || was.Source != r.Source || was.Kind != r.Kind {
		return false, nil //nolint:nilerr // what the previous copy does not tell is copied
	}
	if linked, err := j.linkPrevious(r); !linked || err != nil {
		return false, err
	}
	r.Hash, r.Hashed = was.Hash, was.Hashed
	j.count(func(r *Result) { r.Linked++ })
	return true, nil
}

// linkPrevious links the previous copy's file, if it is still what its manifest says.
func (j *job) linkPrevious(r *manifest.Record) (bool, error) {
	err := j.here.previous.Use(func(previous *safepath.Dir) error { return previous.Link(j.name, j.to, j.name) })
	step("linked to the previous copy")
	if err != nil {
		return false, refused(err)
	}
	have, err := j.to.LookUp(j.name)
	if err != nil {
		return false, inDestination(err)
	}
	if have.Mode&unix.S_IFMT == r.Kind && manifest.SourceOf(have).SameContent(r.Source) {
		return true, nil
	}
	return false, j.putAway(j.to, j.name, 0)
}
