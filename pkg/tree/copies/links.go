// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// links finds the copy of a file by another of its names. Each file that has several gets one more name, in Work,
// which is made of what its source is: so nothing is kept in memory, and the next attempt finds it, too.
type links struct {
	dir   *safepath.Dir
	locks [256]sync.Mutex // one of them while a file is copied, so that its next name waits
}

func linkName(s manifest.Source) string {
	var key []byte
	for _, n := range []int64{int64(s.Inode), s.Size, s.Mtime.Sec, s.Mtime.Nsec, s.Ctime.Sec, s.Ctime.Nsec} {
		key = binary.LittleEndian.AppendUint64(key, uint64(n))
	}
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:16])
}

// link makes the entry a further name of a file that was copied: by this copy, or by the previous one.
func (j *job) link(source *safepath.Dir, st unix.Stat_t, r *manifest.Record) (done bool, err error) {
	if !j.new {
		return false, nil // its content is there in part
	}
	if st.Nlink > 1 {
		done, err = j.linkWithin(r)
	}
	if !done && err == nil {
		done, err = j.linkUnchanged(r)
		if done && err == nil && st.Nlink > 1 {
			_, err = j.remember(r)
		}
	}
	if !done || err != nil {
		return false, err
	}
	if err := j.hash(source, r); err != nil {
		return false, err
	}
	return true, j.done(st, *r)
}

// refused makes no error of what only says that there is to be no link: what then cannot be copied either says why.
func refused(err error) error {
	for _, errno := range []error{unix.EMLINK, unix.ENOSPC, unix.EDQUOT, unix.EXDEV, unix.EPERM} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	if errors.Is(err, tree.ErrMoved) {
		return nil
	}
	return ignoreNotExist(err)
}

// linkWithin links the copy of another name of the same file.
func (j *job) linkWithin(r *manifest.Record) (bool, error) {
	name := linkName(r.Source)
	err := j.links.dir.Link(name, j.to, j.name)
	step("linked within the copy")
	if err == nil {
		r.Another = true
		return true, nil
	}
	if isGone(err) {
		return false, nil
	}
	if err := refused(err); err != nil {
		return false, err
	}
	j.count(func(r *Result) {
		r.Unkept.add(fmt.Sprintf("%s: is no link to the copy's other names of the file, which has as many as it may have", j.path()))
	})
	return false, ignoreNotExist(j.links.dir.Unlink(name)) // the names that come link to this one
}

// remember gives the copy the name by which the file's other names find it. False says that another copy of the same
// file has it: then this one is to be a link to that.
func (j *job) remember(r *manifest.Record) (bool, error) {
	name := linkName(r.Source)
	err := j.to.Link(j.name, j.links.dir, name)
	if errors.Is(err, fs.ErrExist) {
		has, err := j.links.dir.LookUp(name)
		if err != nil {
			return false, inDestination(err)
		}
		own, err := j.to.LookUp(j.name)
		return has.Ino == own.Ino, inDestination(err)
	}
	if err == nil {
		step("remembered for its other names")
		return true, nil
	}
	if refused := refused(err); refused != nil {
		return false, inDestination(refused)
	}
	j.count(func(r *Result) {
		r.Unkept.add(fmt.Sprintf("%s: its other names are no links to it: %v", j.path(), err))
	})
	return true, nil
}

// lock keeps others from copying the same file by another of its names. Who waits holds no permit.
func (j *job) lock(st unix.Stat_t) (unlock func()) {
	if st.Nlink <= 1 {
		return func() {}
	}
	mutex := &j.links.locks[st.Ino%uint64(len(j.links.locks))]
	if !mutex.TryLock() {
		j.worker.Without(mutex.Lock)
	}
	return mutex.Unlock
}
