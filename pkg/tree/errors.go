// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// errorsNamed is how many errors a walk tells; the others are counted.
const errorsNamed = 5

// WalkError is what went wrong in a walk.
type WalkError struct {
	First []error // in the order in which they came
	Count int     // of all
}

// Error names the first ones.
func (e *WalkError) Error() string {
	var text []string
	for _, err := range e.First {
		text = append(text, err.Error())
	}
	if more := e.Count - len(e.First); more > 0 {
		text = append(text, fmt.Sprintf("and %d errors more", more))
	}
	return strings.Join(text, "; ")
}

// Unwrap gives errors.Is and errors.As the first ones.
func (e *WalkError) Unwrap() []error { return e.First }

type errorList struct {
	mu  sync.Mutex
	all WalkError
}

func (l *errorList) add(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Count++
	if len(l.all.First) < errorsNamed {
		l.all.First = append(l.all.First, err)
	}
}

func (l *errorList) result() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all.Count == 0 {
		return nil
	}
	return &WalkError{First: slices.Clone(l.all.First), Count: l.all.Count}
}

// ignoreNotExist makes no error of what says that something is not there, or, by GlusterFS, not there any more.
func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) {
		return nil
	}
	return err
}

// isNoDirectory says of an error in opening a directory that something else is there: a file, a link or a mount.
func isNoDirectory(err error) bool {
	return errors.Is(err, unix.ENOTDIR) || errors.Is(err, safepath.ErrLink)
}

// isOfFileSystem says whether every other entry would give the same error, each perhaps after a long time.
func isOfFileSystem(err error) bool {
	for _, errno := range []error{unix.ENOTCONN, unix.ECONNABORTED, unix.ETIMEDOUT, unix.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
