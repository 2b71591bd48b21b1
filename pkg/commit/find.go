// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	ownDir = ".glusterfs-csi"

	// most is how many files of a directory are made for each set that is wanted: of two sets one is
	// missed by all of them once in 10^19 times.
	most = 64
)

// found are open files, one of each replica set.
type found map[string]*os.File

func (f found) close() {
	for _, file := range f {
		_ = file.Close()
	}
}

// hold replaces each by a descriptor that is open for nothing.
func (f found) hold() (found, error) {
	defer f.close()
	held := found{}
	for set, file := range f {
		var err error
		if held[set], err = reopen(file, unix.O_PATH); err != nil {
			delete(held, set)
			held.close()
			return nil, err
		}
	}
	return held, nil
}

// find opens one file of each replica set, and makes what is missing. Where there is no room for that, because the Gluster
// volume was full before this driver came, it opens what there is of records.
func find(root *safepath.Dir) (found, error) {
	files, err := findOrMake(root)
	if !isForWantOfRoom(err) {
		return files, err
	}
	records, sets, otherErr := findRecords(root)
	if otherErr != nil || len(records) == 0 {
		records.close()
		return nil, errors.Join(err, otherErr)
	}
	if missing := slices.DeleteFunc(sets, func(s gluster.Subvolume) bool { return records[s.Name] != nil }); len(missing) > 0 {
		klog.Background().Error(err, "There is no room for the file whose sync puts on disk what is done, so a power cut may undo it; free space",
			"glusterVolume", root.Name(), "notSynced", fmt.Sprint(missing))
	}
	return records, nil
}

// findOrMake goes on in another directory where nothing can be made or found in one because that is in split-brain.
func findOrMake(root *safepath.Dir) (files found, err error) {
	for _, name := range commitDirs {
		if files, err = findOrMakeIn(root, name); !inSplitBrain(err) {
			break
		}
	}
	return files, err
}

func findOrMakeIn(root *safepath.Dir, name string) (_ found, err error) {
	dir, err := makeDirs(root, ownDir, name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	where, err := placeOf(dir)
	if err != nil {
		return nil, err
	}
	files := found{}
	defer func() {
		if err != nil {
			files.close()
		}
	}()
	numbers, err := numbersIn(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range numbers {
		if err := files.addOf(dir, n, len(where.Subvolumes)); err != nil && !isUnusable(err) {
			return nil, err
		}
	}
	if len(files) >= len(where.Subvolumes) {
		return files, nil
	}
	next := 0
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	if err := files.addNew(dir, strconv.Itoa(next)); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("GlusterFS puts files on none of its bricks")
	}
	return files, nil
}

// makeDirs opens a directory below another, and makes each one that is missing.
func makeDirs(root *safepath.Dir, names ...string) (*safepath.Dir, error) {
	at, err := root.Open(".")
	for _, name := range names {
		if err != nil {
			return nil, err
		}
		next, openErr := at.Open(name)
		if errors.Is(openErr, fs.ErrNotExist) {
			if openErr = ignoreExist(at.Mkdir(name, 0o700)); openErr == nil {
				next, openErr = at.Open(name)
			}
		}
		at.Close()
		at, err = next, openErr
	}
	return at, err
}

// addOf adds files of an existing directory, until there are enough.
func (f found) addOf(dir *safepath.Dir, number, enough int) error {
	below, err := dir.Open(strconv.Itoa(number))
	if err != nil {
		return ignoreNotExist(err) // somebody else's, who found that it was not needed
	}
	defer below.Close()
	numbers, err := numbersIn(below)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if len(f) >= enough {
			return nil
		}
		name := strconv.Itoa(n)
		switch _, err := f.add(below, name, 0); {
		case isUnusable(err):
			drop(below, name, err)
		case ignoreNotExist(err) != nil:
			return err
		}
	}
	return nil
}

// addNew makes a directory, whose files GlusterFS puts on all sets that are not being taken out, and files in it until
// each of those has one. If all had one before, it goes again.
func (f found) addNew(dir *safepath.Dir, name string) (err error) {
	below, err := makeDirs(dir, name)
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
	hit := map[string]bool{}
	made := 0
	for wanted := max(1, where.Ranges); len(hit) < wanted; made++ {
		if made == most*wanted {
			return fmt.Errorf("of %d files in %s, none is on %d of %d replica sets: their bricks are more than 90 %% full (cluster.min-free-disk), or a rebalance is under way",
				made, below.Name(), wanted-len(hit), wanted)
		}
		set, err := f.add(below, strconv.Itoa(made), unix.O_CREAT)
		if err != nil {
			if isForWantOfRoom(err) {
				_ = below.Unlink(strconv.Itoa(made)) // it may be half made
			}
			return err
		}
		hit[set] = true
	}
	if len(f) > before {
		return nil
	}
	for n := range made {
		if err := below.Unlink(strconv.Itoa(n)); ignoreNotExist(err) != nil {
			return err
		}
	}
	if err := dir.Rmdir(name); err != nil && !errors.Is(err, unix.ENOTEMPTY) {
		return ignoreNotExist(err)
	}
	return nil
}

// add opens a file, keeps it if it is the first of its set, and returns the set. What is in split-brain cannot be opened,
// whether both sides have made or changed it.
func (f found) add(dir *safepath.Dir, name string, flags int) (string, error) {
	file, err := dir.OpenFile(name, unix.O_RDWR|flags, 0o600)
	if err != nil {
		return "", err
	}
	p, err := pathinfo(int(file.Fd()))
	if err == nil && len(p.Subvolumes) != 1 {
		err = fmt.Errorf("%s lies on %d replica sets", file.Name(), len(p.Subvolumes))
	}
	if err != nil {
		return "", errors.Join(err, file.Close())
	}
	set := p.Subvolumes[0].Name
	if f[set] != nil {
		return set, file.Close()
	}
	f[set] = file
	return set, nil
}

// placeOf asks where a directory lies.
func placeOf(dir *safepath.Dir) (gluster.Placement, error) {
	fd, err := unix.Openat(dir.Fd(), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return gluster.Placement{}, &os.PathError{Op: "open", Path: dir.Name(), Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	p, err := pathinfo(fd)
	if err != nil {
		return gluster.Placement{}, fmt.Errorf("%s: %w", dir.Name(), err)
	}
	return p, nil
}

// numbersIn are the names in a directory that are numbers, sorted.
func numbersIn(dir *safepath.Dir) ([]int, error) {
	names, err := dir.Names(0)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil && strconv.Itoa(n) == name {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

func isForWantOfRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
