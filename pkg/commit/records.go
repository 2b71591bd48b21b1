// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// recordDirs have the driver's records, in themselves or in directories below. The times of a record mean nothing.
var recordDirs = []string{ownDir + "/trash", ownDir + "/volumes"}

// findRecords opens one record of each replica set that has one, and returns all sets. A record that goes later is
// missed at the next force, which looks again (TestAFullGlusterVolumeOfAnEarlierVersion).
func findRecords(root *safepath.Dir) (found, []gluster.Subvolume, error) {
	own, err := root.Open(ownDir)
	if err != nil {
		return nil, nil, err
	}
	defer own.Close()
	where, err := placeOf(own)
	if err != nil {
		return nil, nil, err
	}
	records := found{}
	for _, dir := range recordDirs {
		if err := records.addRecords(root, dir, len(where.Subvolumes), true); err != nil {
			records.close()
			return nil, nil, err
		}
	}
	return records, where.Subvolumes, nil
}

// addRecords adds the files in a directory, and in those in it whose names are of the driver's own directories, until
// there are enough.
func (f found) addRecords(root *safepath.Dir, path string, enough int, deeper bool) error {
	dir, err := root.Open(path)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	names, err := dir.Names(0)
	if err != nil {
		return err
	}
	for _, name := range names {
		if len(f) >= enough {
			return nil
		}
		st, err := dir.StatEntry(name)
		switch {
		case inSplitBrain(err):
		case ignoreNotExist(err) != nil:
			return err
		case err != nil:
		case st.Mode&unix.S_IFMT == unix.S_IFREG:
			if _, err := f.add(dir, name, unix.O_NOFOLLOW); ignoreNotExist(err) != nil && !inSplitBrain(err) {
				return err
			}
		case st.Mode&unix.S_IFMT == unix.S_IFDIR && deeper && len(name) == 2: // not a deleted volume's data
			if err := f.addRecords(root, path+"/"+name, enough, false); err != nil {
				return err
			}
		}
	}
	return nil
}
