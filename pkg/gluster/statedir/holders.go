// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/pods"
)

const (
	// holdersFile is in the state directory. It is there as long as it has something to say.
	holdersFile = "holders.json"
	// restartsFile is in the state directory.
	restartsFile = "restarts.json"
)

// Holder is what a process has of one directory of a client that has ended: files that stay dead until it opens them anew.
type Holder struct {
	gluster.Volume

	Connection uint64    `json:"connection"` // of the client, see Ended
	Since      time.Time `json:"since"`      // when the client was found to have ended
	Replaced   bool      `json:"replaced"`   // the client still runs, for those who have files of it: they work
	Root       string    `json:"root"`       // the directory of the Gluster volume that was mounted; "" where it is not known
	Pod        string    `json:"pod"`        // its UID in Kubernetes; "" of a process that is in no pod
	Container  string    `json:"container"`  // the name of its control group; "" of a process that is in none
	PID        int       `json:"pid"`
	Start      uint64    `json:"start"`   // when the process was started, in the kernel's ticks since the boot
	Command    string    `json:"command"` // what the process calls itself
	Files      int       `json:"files"`
	Writable   int       `json:"writable"` // of the files
	Mapped     int       `json:"mapped"`
	Cwd        bool      `json:"cwd"`
	RootDir    bool      `json:"rootDir"`
}

// IsBroken says whether what the process has is dead and worth a word. A working directory alone is not: nothing is lost
// by it.
func (h Holder) IsBroken() bool { return !h.Replaced && h.Files+h.Mapped > 0 }

// Describe says what a process has of a dead client, and the cure.
func (h Holder) Describe() string {
	who := fmt.Sprintf("process %d (%s), which is in no pod: it", h.PID, h.Command)
	if h.Pod != "" {
		who = fmt.Sprintf("pod %s, container %.12s: its process %d (%s)", h.Pod, pods.Container{Group: h.Container}.ID(), h.PID, h.Command)
	}
	var has []string
	if h.Files > 0 {
		has = append(has, fmt.Sprintf("open: %d (for writing: %d)", h.Files, h.Writable))
	}
	if h.Mapped > 0 {
		has = append(has, fmt.Sprintf("mapped: %d", h.Mapped))
	}
	return fmt.Sprintf("restart %s still has files of a client that died at %s, in directory %s of %s, %s; what it writes there is lost, and what it "+
		"reads fails, until it opens them anew", who, h.Since.UTC().Format(time.RFC3339), h.Root, h.Volume, strings.Join(has, ", "))
}

// WriteHolders replaces what is said of holders. It is for the one process that looks for them.
func (r Root) WriteHolders(all []Holder) error {
	return writeList(filepath.Join(r.StateDir(), holdersFile), all)
}

// Holders reads what WriteHolders has written, be it by a process that has ended.
func (r Root) Holders() ([]Holder, error) {
	return readList[Holder](filepath.Join(r.StateDir(), holdersFile))
}

// Restart is a container that was told to end, as it had files of a client that has died.
type Restart struct {
	Holder // the process of the container because of which

	First      int       `json:"first"`      // the container's first process
	FirstStart uint64    `json:"firstStart"` // when that was started
	Told       time.Time `json:"told"`       // when it was sent SIGTERM
	Killed     time.Time `json:"killed"`     // when it was sent SIGKILL; zero while it was not
}

// Describe says which container it was, and why.
func (s Restart) Describe() string {
	return fmt.Sprintf("container %.12s was ended at %s, as the class of its volume says onClientDeath: restart: its process %d (%s) still had files of a client "+
		"that died at %s, in directory %s of %s, open for writing: %d, mapped: %d", pods.Container{Group: s.Container}.ID(), s.Told.UTC().Format(time.RFC3339),
		s.PID, s.Command, s.Since.UTC().Format(time.RFC3339), s.Root, s.Volume, s.Writable, s.Mapped)
}

// WriteRestarts replaces the list of restarts. It is for the one process that restarts.
func (r Root) WriteRestarts(all []Restart) error {
	return writeList(filepath.Join(r.StateDir(), restartsFile), all)
}

// Restarts reads what WriteRestarts has written.
func (r Root) Restarts() ([]Restart, error) {
	return readList[Restart](filepath.Join(r.StateDir(), restartsFile))
}

// writeList replaces a file that is there as long as the list has something.
func writeList[T any](path string, all []T) error {
	var err error
	if len(all) > 0 {
		err = writeJSON(path, all)
	} else if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("tell other processes: %w", err)
	}
	return nil
}

func readList[T any](path string) ([]T, error) {
	all, _, err := readJSON[[]T](path)
	return all, err
}
