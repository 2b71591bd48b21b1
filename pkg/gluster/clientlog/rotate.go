// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"errors"
	"os"
)

const (
	// MaxSize is that of each of the two logs, in bytes.
	MaxSize = 5 << 20
	// fullSize is the size from which a log is rotated. What a flood writes until that is noticed fits into the rest.
	fullSize = 4 << 20
)

// Rotate renames a log that has grown too large, and says whether the clients that write to it have to open a new one.
func Rotate(log, oldLog string) (reopen bool, err error) {
	full, err := sizeAtLeast(log, fullSize)
	if err != nil {
		return false, err
	}
	overfull, err := sizeAtLeast(oldLog, MaxSize+1)
	if err != nil {
		return false, err
	}
	if overfull {
		// A client opens the new log with its next line, and ends that line in the old one. What a flood wrote there
		// meanwhile, or a client that missed its signal, is dropped. Clients append, so this leaves no hole.
		if err := os.Truncate(oldLog, MaxSize); err != nil {
			return false, err
		}
	}
	if full {
		if err := os.Rename(log, oldLog); err != nil {
			return false, err
		}
	}
	return full || overfull, nil
}

func sizeAtLeast(path string, size int64) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() >= size, err
}
