// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/onemaker"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// most is how many files of a directory are made for each set that is wanted, before they are made by name on those that
// GlusterFS puts none on: of two sets one is missed by all of them once in 10^19 times.
const most = 64

// ensure opens a directory in its parent. Where it is missing one process makes it, by a file in claims that is called
// after claim: see pkg/onemaker. What a kill leaves of that the reconciler removes, as in the driver's own directory and
// in the root alone.
func (c *Committer) ensure(parent, claims *safepath.Dir, name, claim string) (*safepath.Dir, error) {
	dir, err := parent.Open(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	wait := onemaker.Wait{IsAtIt: func(maker string) bool { return c.makings.Age(maker) < onemaker.Recent }, Pause: time.Sleep}
	err = wait.Make(claims, claim, func() (bool, error) {
		there, err := parent.Open(name)
		if err == nil {
			there.Close()
		}
		return err == nil, ignoreNotExist(err)
	}, func() error { return ignoreExist(parent.Mkdir(name, 0o700)) })
	if err != nil {
		return nil, err
	}
	_, _ = wait.Look(func() (bool, error) {
		dir, err = parent.Open(name)
		return err == nil, ignoreNotExist(err)
	})
	return dir, err
}

// addNew makes a directory, whose files GlusterFS puts on all sets that are not being taken out, and files in it until
// each of those has one. If all had one before, it goes again.
func (f found) addNew(dir *safepath.Dir, name string, ensure func() (*safepath.Dir, error)) (err error) {
	below, err := ensure()
	if err != nil {
		return err
	}
	defer below.Close()
	where, err := placeOf(below)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = dir.Rmdir(name) // if it is empty: attempts leave nothing behind
		}
	}()
	before := len(f)
	made, err := f.makeIn(below, where)
	if err != nil || len(f) > before {
		return err
	}
	if err := unlinkNumbers(below, made); err != nil {
		return err
	}
	if err := dir.Rmdir(name); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return ignoreNotExist(err)
	}
	return nil
}

// makeIn makes files in a directory until each set has one, and returns their numbers. GlusterFS puts none on a set that
// had less than cluster.min-free-disk when the directory was made, or that is being taken out.
func (f found) makeIn(below *safepath.Dir, where gluster.Placement) (made []int, err error) {
	hit := map[string]bool{}
	var unneeded []int
	note := func(n int, set string) {
		made = append(made, n)
		if hit[set] {
			unneeded = append(unneeded, n)
		}
		hit[set] = true
	}
	hashed := max(1, where.Ranges)
	for n := 0; len(hit) < hashed && n < most*hashed; n++ {
		set, err := f.make(below, strconv.Itoa(n))
		if err != nil {
			return nil, err
		}
		note(n, set)
	}
	if len(hit) >= len(where.Subvolumes) {
		return made, nil
	}
	for _, subvolume := range where.Layout {
		if hit[subvolume] { // a set without replicas has another name
			continue
		}
		n := len(made)
		set, err := f.makeOn(below, where.Distribute, subvolume, strconv.Itoa(n))
		if err != nil {
			return nil, fmt.Errorf("GlusterFS puts no file of %s on %s, and none could be made there by name: %w", below.Name(), subvolume, err)
		}
		note(n, set)
	}
	if len(hit) < len(where.Subvolumes) {
		return nil, fmt.Errorf("the %d files of %s are on %d of %d replica sets: %w", len(made), below.Name(), len(hit), len(where.Subvolumes), errMoved)
	}
	return made, unlinkNumbers(below, unneeded)
}

// make makes a file, adds it, and returns its set.
func (f found) make(below *safepath.Dir, name string) (string, error) {
	set, err := f.add(below, name, unix.O_CREAT)
	if isForWantOfRoom(err) {
		_ = below.Unlink(name) // it may be half made
	}
	return set, err
}

// makeOn makes a file on a subvolume of distribute's, however full that is, adds it, and returns its set. GlusterFS makes
// what is to be called <name>@<distribute>:<subvolume> there, and calls it <name> (dht_filter_loc_subvol_key, in 9.2,
// 10.3 and 11.1): TestOnASetThatIsAlmostFullAFileIsMadeByName.
func (f found) makeOn(below *safepath.Dir, distribute, subvolume, name string) (set string, err error) {
	placed := name + "@" + distribute + ":" + subvolume
	file, err := below.OpenFile(placed, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err == nil {
		err = file.Close() // nothing was written
	}
	if err == nil {
		set, err = f.add(below, name, 0)
	}
	if err != nil {
		_, _ = below.Unlink(placed), below.Unlink(name) // it may be half made, or be called as it was not to be
	}
	return set, err
}

func unlinkNumbers(dir *safepath.Dir, numbers []int) error {
	for _, n := range numbers {
		if err := dir.Unlink(strconv.Itoa(n)); ignoreNotExist(err) != nil {
			return err
		}
	}
	return nil
}
