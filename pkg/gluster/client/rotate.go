// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

const (
	// maxLogSize, in bytes, is that of each of the two logs of a client.
	maxLogSize = 5 << 20
	// fullLogSize is the size from which a log is rotated. What a flood writes until that is noticed fits into the rest.
	fullLogSize = 4 << 20
)

// rotateLogs rotates the logs that have grown too large.
func (h *Host) rotateLogs(ctx context.Context) {
	for _, s := range h.allSlots() {
		if err := s.rotateLog(); err != nil {
			klog.FromContext(ctx).Error(err, "Cannot rotate a client's log; trying again", "volume", s.volume, "options", s.options)
		}
	}
}

// rotateLog renames the log and makes the clients that write to it open a new one.
func (s *slot) rotateLog() error {
	log, oldLog := filepath.Join(s.dir, logFile), filepath.Join(s.dir, oldLogFile)
	full, err := sizeAtLeast(log, fullLogSize)
	if err != nil {
		return err
	}
	overfull, err := sizeAtLeast(oldLog, maxLogSize+1)
	if err != nil {
		return err
	}
	if overfull {
		// A client opens the new log with its next line, and ends that line in the old one. What a flood wrote there meanwhile, or a
		// client that missed its signal, is dropped. Clients append, so this leaves no hole.
		if err := os.Truncate(oldLog, maxLogSize); err != nil {
			return err
		}
	}
	if full {
		if err := os.Rename(log, oldLog); err != nil {
			return err
		}
	}
	if full || overfull {
		return s.reopenLogs()
	}
	return nil
}

// reopenLogs signals all clients of the slot. Detached ones that serve their last users write to its log too.
func (s *slot) reopenLogs() error {
	processes, err := clientProcesses()
	if err != nil {
		return err
	}
	var errs []error
	for mountpoint, pid := range processes {
		if !strings.HasPrefix(mountpoint, s.dir+"/") {
			continue
		}
		p, err := watchClient(pid, mountpoint)
		if p != nil {
			err = p.signal(unix.SIGHUP)
			p.forget()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func sizeAtLeast(path string, size int64) (bool, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size() >= size, err
}
