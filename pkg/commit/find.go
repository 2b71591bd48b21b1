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

const ownDir = ".glusterfs-csi"

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
func (c *Committer) find(root *safepath.Dir) (found, error) {
	files, err := c.findOrMake(root)
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
func (c *Committer) findOrMake(root *safepath.Dir) (files found, err error) {
	top, err := c.ensure(root, root, ownDir, ownDir)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	for _, name := range commitDirs {
		if files, err = c.findOrMakeIn(top, name); !inSplitBrain(err) {
			break
		}
	}
	return files, err
}

func (c *Committer) findOrMakeIn(top *safepath.Dir, name string) (_ found, err error) {
	dir, err := c.ensure(top, top, name, name)
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
	below := strconv.Itoa(next)
	if err := files.addNew(dir, below, func() (*safepath.Dir, error) { return c.ensure(dir, top, below, name+"."+below) }); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("GlusterFS puts files on none of its bricks")
	}
	return files, nil
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

// add opens a file, keeps it if it is the first of its set, and returns the set. What is in split-brain cannot be opened
// where both sides have made it; where both have changed it, a client with the option acl opens it all the same, and
// cannot change its times (TestTheControllersClientReplacesWhatIsInSplitBrain).
func (f found) add(dir *safepath.Dir, name string, flags int) (string, error) {
	file, err := dir.OpenFile(name, unix.O_RDWR|flags, 0o600)
	if err != nil {
		return "", err
	}
	err = changeTimes(file)
	var p gluster.Placement
	if err == nil {
		p, err = pathinfo(ofDescriptor(file))
	}
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
	p, err := pathinfo(procPath(dir.Fd()))
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
