// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// On replica 2 without quorum each side of a cut cable goes on alone. What both have made or changed meanwhile GlusterFS
// refuses with EIO for good, until somebody says which one counts. The files that are synced hold nothing, so neither
// counts: a file that both have changed is removed, and a name that each side has given to a file or directory of its
// own, which cannot be removed, is left alone. Either way something of another name takes its place.

// commitDirs are the directories with the files that are synced: the first, or what takes its place.
var commitDirs = []string{"commit", "commit-1", "commit-2", "commit-3"}

// inSplitBrain is whether GlusterFS may have said that its bricks disagree. A brick's disk that failed says the same; what
// is done about it is harmless then.
func inSplitBrain(err error) bool { return errors.Is(err, unix.EIO) }

// isUnusable is whether something is in split-brain or half made: a brick that is full to its last block makes a file, has
// no room for its gfid, and says ESTALE from then on to whoever opens it.
func isUnusable(err error) bool { return inSplitBrain(err) || errors.Is(err, unix.ESTALE) }

// drop removes a file that cannot be synced, if it can be removed. Whoever has it open, because it was sound for him,
// finds at his next force that it is gone, and looks for another.
func drop(dir *safepath.Dir, name string, cause error) {
	err := dir.Unlink(name)
	if errors.Is(err, fs.ErrNotExist) {
		return // somebody else has
	}
	klog.Background().Error(cause, "A file whose sync puts on disk what is done is in split-brain or half made; it holds nothing, and another takes its place",
		"file", dir.Name()+"/"+name, "removed", err == nil)
}
