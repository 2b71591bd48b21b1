// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

const (
	startPrefix = "start-"
	keptPrefix  = "dead-"
	mountName   = "mnt"
	spareName   = "spare"
	readyName   = "ready"
	goneSuffix  = ".gone"
)

// Start is the directory of one client that was started, start-*/ or dead-*/.
type Start string

// StartOf is the directory of the client with this mount point.
func StartOf(mountpoint string) Start { return Start(filepath.Dir(mountpoint)) }

// Mountpoint is that of the client.
func (s Start) Mountpoint() string { return filepath.Join(string(s), mountName) }

// StartedAt is the mount point that the client was started with, which is the last of its arguments for ever.
func (s Start) StartedAt() string {
	dir, name := filepath.Split(string(s))
	return filepath.Join(dir, startPrefix+strings.TrimPrefix(strings.TrimPrefix(name, keptPrefix), startPrefix), mountName)
}

// Spare is another mount point of the client's. A client that ends by itself (SIGTERM, or a server that refuses it: "Server
// authentication failed. Shutting down", GlusterFS 10.3) unmounts its own first, and then only this one tells that it is dead.
func (s Start) Spare() string { return filepath.Join(string(s), spareName) }

// MakeSpare mounts at Spare what fd refers to, the root of the client's mount, unless that was done before.
func (s Start) MakeSpare(fd int) error {
	err := os.Mkdir(s.Spare(), 0o700)
	if errors.Is(err, os.ErrExist) {
		at, err := mount.At(s.Spare())
		if err != nil || len(at) > 0 {
			return err
		}
	} else if err != nil {
		return err
	}
	return mount.Bind(fd, s.Spare(), 0)
}

// IsThere says whether the client has neither been kept nor discarded. It asks GlusterFS nothing.
func (s Start) IsThere() bool {
	_, err := os.Lstat(string(s))
	return err == nil
}

// MarkReady says that the client may be in use from now on, and which process it is: others may not be able to tell,
// as they see other mounts, or would have to believe what processes of pods call themselves.
func (s Start) MarkReady(pid int) error {
	return os.WriteFile(filepath.Join(string(s), readyName), []byte(strconv.Itoa(pid)+"\n"), 0o600)
}

// ReadyPID is what MarkReady has said.
func (s Start) ReadyPID() (pid int, ok bool) {
	data, err := os.ReadFile(filepath.Join(string(s), readyName))
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, err == nil && pid > 0
}

// Discard unmounts a client here and removes its directory. The mount point's path ends first: whoever still has it,
// in order to work on the Gluster volume, gets "no such file" and never an empty directory of the local disk.
func (s Start) Discard() error {
	gone := string(s)
	if !strings.HasSuffix(gone, goneSuffix) {
		gone += goneSuffix
		if err := os.Rename(string(s), gone); err != nil {
			return err
		}
	}
	mountpoint, spare := filepath.Join(gone, mountName), filepath.Join(gone, spareName)
	if err := errors.Join(mount.Detach(mountpoint), mount.Detach(spare)); err != nil {
		return err
	}
	for _, path := range []string{mountpoint, spare, filepath.Join(gone, readyName), gone} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a client's mount point: %w", err)
		}
	}
	return nil
}

// Starts lists the clients that were started and have not been discarded, but for those that are kept.
func (s Slot) Starts() ([]Start, error) {
	entries, err := os.ReadDir(string(s))
	if err != nil {
		return nil, err
	}
	var starts []Start
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), startPrefix) {
			starts = append(starts, Start(filepath.Join(string(s), entry.Name())))
		}
	}
	return starts, nil
}

// Kept lists the dead clients whose mounts are kept.
func (s Slot) Kept() ([]Start, error) {
	dirs, err := filepath.Glob(filepath.Join(string(s), keptPrefix+"*"))
	var kept []Start
	for _, dir := range dirs {
		kept = append(kept, Start(dir))
	}
	return kept, err
}

// IsKept says whether a mount point is that of a client whose mount is kept.
func (s Slot) IsKept(mountpoint string) bool {
	return strings.HasPrefix(mountpoint, filepath.Join(string(s), keptPrefix))
}
