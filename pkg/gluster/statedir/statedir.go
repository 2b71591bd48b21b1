// SPDX-License-Identifier: Apache-2.0

// Package statedir is what the clients of a host have on disk. It is all that one process leaves to the next, so
// every name and file here is a format: a process of another version may have written it, or read it at this moment.
//
//	<state directory>/clients/keeper                              see Root.Keep
//	<state directory>/clients/<cluster>/<volume>/<option hash>/   a slot: the place of one client
//	    client.json    what it takes to start the client again
//	    lock           locked while a client is started, found or stopped
//	    users          locked, shared, by each process that uses the client
//	    log, log.1     what the slot's clients log, and stderr what the last one printed before it had its log open
//	    start-*/       one for each client that was started
//	        mnt        its mount point: a path that is a mount point for as long as it exists, see Start.Discard
//	        spare      another mount of it, see Start.Spare; clients that an older process has started have none
//	        ready      its pid, once it has answered
//	    dead-*/        what was start-*/ of a client that died, see Lock.Keep
//	    *.gone/        what is being removed
//	<state directory>/stale.json   what stays dead in containers, see Stale
//	<state directory>/ended/       a file for each client that has ended while its file system is there, see Ended
//	<state directory>/published/   a file for each target that is a pod's, see Published
//	<state directory>/holders.json, restarts.json   who has files of those, and what was restarted, see Holder and Restart
//	<state directory>/programs/, trial/   GlusterFS's programs for clients with a root of their own, see package programs, and a trial of those
//	<state directory>/kubernetes   the ID of the Kubernetes cluster that a controller works for
package statedir

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// Layout is the version of all that is described above. It changes with what makes a process of one version miss, or break, what
// one of another version has made.
const Layout = 1

const (
	descriptionFile = "client.json"
	lockFile        = "lock"
	usersFile       = "users"
)

// Root is the directory of all slots. It holds no symbolic link, so that mountinfo knows it by the same path.
type Root string

// Open returns the Root of a state directory, which it makes.
func Open(stateDir string) (Root, error) {
	dir := filepath.Join(stateDir, "clients")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the state directory: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("find the state directory: %w", err)
	}
	return Root(dir), nil
}

// StateDir is what Open was given, without symbolic links.
func (r Root) StateDir() string { return filepath.Dir(string(r)) }

// Trial is where it is tried, at a mounter's start, whether clients can have a root of their own.
func (r Root) Trial() string { return filepath.Join(r.StateDir(), "trial") }

// Contains says whether a path is below the Root.
func (r Root) Contains(path string) bool { return strings.HasPrefix(path, string(r)+"/") }

// Slot is the directory of the clients with this volume and these options, which are normalized. It need not exist.
func (r Root) Slot(v gluster.Volume, options []string) Slot {
	return Slot(filepath.Join(string(r), v.Cluster, v.Name, optionHash(options)))
}

// ContainsFor says whether a path is below the slots of a Gluster volume.
func (r Root) ContainsFor(v gluster.Volume, path string) bool {
	return strings.HasPrefix(path, filepath.Join(string(r), v.Cluster, v.Name)+"/")
}

// Slots lists the directories of slots that have a description.
func (r Root) Slots() ([]Slot, error) {
	files, err := filepath.Glob(filepath.Join(string(r), "*", "*", "*", descriptionFile))
	var slots []Slot
	for _, file := range files {
		slots = append(slots, Slot(filepath.Dir(file)))
	}
	return slots, err
}

// optionHash names a slot's directory. The names of options are too long for a path, and their values are not all safe.
func optionHash(options []string) string {
	if len(options) == 0 {
		return "default"
	}
	const length = 12
	sum := sha256.Sum256([]byte(strings.Join(options, ",")))
	return hex.EncodeToString(sum[:])[:length]
}

// Slot is the directory of one slot.
type Slot string

// Contains says whether a path is below the slot's directory.
func (s Slot) Contains(path string) bool { return strings.HasPrefix(path, string(s)+"/") }

// Log is what its clients log to, OldLog what they logged before, and Stderr what the last one printed before that.
func (s Slot) Log() string { return filepath.Join(string(s), "log") }

// OldLog is the log before the present one.
func (s Slot) OldLog() string { return filepath.Join(string(s), "log.1") }

// Stderr is what a client prints before it has its log open.
func (s Slot) Stderr() string { return filepath.Join(string(s), "stderr") }

// Make makes the directory, if it is not there.
func (s Slot) Make() error {
	if err := os.MkdirAll(string(s), 0o700); err != nil {
		return fmt.Errorf("make the state directory: %w", err)
	}
	return nil
}

// Description is what it takes to start a slot's client again.
type Description struct {
	gluster.Volume

	Options []string `json:"options"`
}

// Description reads the slot's description, which is valid: its names are safe as components of a path.
func (s Slot) Description() (Description, error) {
	var d Description
	path := filepath.Join(string(s), descriptionFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, d.Validate()
}

// Describe writes the slot's description, unless it says the same already.
func (s Slot) Describe(v gluster.Volume, options []string) error {
	data, err := json.Marshal(Description{Volume: v, Options: append([]string{}, options...)})
	if err != nil {
		return err
	}
	path := filepath.Join(string(s), descriptionFile)
	if old, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(old)) == string(data) {
		return nil
	}
	aside := path + ".new"
	if err := os.WriteFile(aside, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
