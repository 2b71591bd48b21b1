// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// endedDir is in the state directory, with a file for each Ended.
const endedDir = "ended"

// Ended is a client that has died, or was replaced while it ran, and whose file system some processes may still have files of.
type Ended struct {
	gluster.Volume

	Device     mount.Device `json:"device"`
	Connection uint64       `json:"connection"` // tells its file system from others that had, or get, the device; see Connection of pkg/mount/holders
	Boot       string       `json:"boot"`       // of the host; see Boot
	PID        int          `json:"pid"`        // of the client
	Mountpoint string       `json:"mountpoint"` // by which its process is known
	Since      time.Time    `json:"since"`      // when it was found to have ended
	Repaired   time.Time    `json:"repaired"`   // when another had taken its place; zero while none has
	// Mounts are the IDs of its mounts in all mount namespaces, as they were found, by the directory (or file) of the Gluster volume
	// that they showed.
	Mounts map[string][]int `json:"mounts"`
}

// IsSame says whether two are the same client.
func (e *Ended) IsSame(other *Ended) bool {
	return e.Device == other.Device && e.Connection == other.Connection && e.Boot == other.Boot
}

// Boot tells one run of the host's kernel from another.
var Boot = sync.OnceValues(func() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
})

// WriteEnded remembers a client that has ended.
func (r Root) WriteEnded(e *Ended) error {
	if err := os.MkdirAll(filepath.Join(r.StateDir(), endedDir), 0o700); err != nil {
		return fmt.Errorf("remember a client that has ended: %w", err)
	}
	if err := writeJSON(r.endedFile(e), e); err != nil {
		return fmt.Errorf("remember a client that has ended: %w", err)
	}
	return nil
}

func (r Root) endedFile(e *Ended) string {
	return filepath.Join(r.StateDir(), endedDir, fmt.Sprintf("%d-%d.json", e.Device.Minor, e.Connection))
}

// ForgetEnded is for one whose file system is gone.
func (r Root) ForgetEnded(e *Ended) error {
	if err := os.Remove(r.endedFile(e)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget a client that has ended: %w", err)
	}
	return nil
}

// Ended lists the clients that have ended and that nobody has forgotten, by their time. Those of an earlier boot are forgotten here.
func (r Root) Ended() ([]Ended, error) {
	boot, err := Boot()
	if err != nil {
		return nil, err
	}
	var all []Ended
	err = eachFile(filepath.Join(r.StateDir(), endedDir), func(file string, e Ended) error {
		if e.Boot != boot {
			return os.Remove(file)
		}
		all = append(all, e)
		return nil
	})
	slices.SortFunc(all, func(a, b Ended) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Connection, b.Connection)) })
	return all, err
}

// eachFile calls do with what is in each file of a directory. Files without sense are removed.
func eachFile[T any](dir string, do func(file string, value T) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	errs := []error{err}
	for _, file := range files {
		value, isThere, err := readJSON[T](file)
		switch {
		case errors.Is(err, ErrSenseless):
			err = os.Remove(file)
		case err == nil && isThere: // else it was removed since
			err = do(file, value)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// ErrSenseless says that a file does not have what was written there: a power cut has left it empty. What it said has ended with that boot.
var ErrSenseless = errors.New("a power cut has left it without sense")

func readJSON[T any](path string) (value T, isThere bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return value, false, nil
	}
	if err == nil && json.Unmarshal(data, &value) != nil {
		err = ErrSenseless
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return value, true, err
}

// writeJSON replaces a file in one step. It does not wait for the disk, as publishing must not: see ErrSenseless.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	aside := path + ".new"
	if err := os.WriteFile(aside, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
