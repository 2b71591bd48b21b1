// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keeperFile is locked by the process that looks after the clients, and says which one that is.
const keeperFile = "keeper"

// ErrKept says that another process looks after the clients of this state directory.
var ErrKept = errors.New("another process looks after its clients")

// Keeper is that this process, and no other, looks after the clients of a state directory: it ends and repairs them.
// The kernel lets go of it when the process ends.
type Keeper struct{ file *os.File }

// Keep makes this process the Keeper. It does not wait: its error is ErrKept, and says who is it, while there is
// another one. Starting, finding and using clients takes no Keeper.
func (r Root) Keep() (*Keeper, error) {
	file, err := lockFileAt(filepath.Join(string(r), keeperFile), unix.LOCK_EX)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("--state-dir %s: %w: %s; two would repair and end the same clients: stop that one first, "+
			"or give this one a directory of its own", r.StateDir(), ErrKept, r.keeper())
	}
	if err != nil {
		return nil, fmt.Errorf("become the one that looks after the clients of a state directory: %w", err)
	}
	if err := describeKeeper(file); err != nil {
		return nil, errors.Join(fmt.Errorf("say who looks after the clients of a state directory: %w", err), file.Close())
	}
	return &Keeper{file: file}, nil
}

// Close lets another process become the Keeper.
func (k *Keeper) Close() { _ = k.file.Close() }

// describeKeeper writes which process this is. In Kubernetes the host name is that of the pod.
func describeKeeper(file *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	command := filepath.Base(os.Args[0])
	if len(os.Args) > 1 {
		command += " " + os.Args[1]
	}
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err = fmt.Fprintf(file, "process %d (%s) on %s, since %s\n", os.Getpid(), command, host,
		time.Now().UTC().Format(time.RFC3339))
	return err
}

// keeper is what the present Keeper has written.
func (r Root) keeper() string {
	const enough = 512
	file, err := os.Open(filepath.Join(string(r), keeperFile))
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil || len(text) == 0 {
		return "it has not said yet which process it is"
	}
	return strings.TrimSpace(string(text))
}
