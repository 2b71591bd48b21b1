// SPDX-License-Identifier: Apache-2.0

// Package thread runs what changes its thread for good, as by entering another namespace, on one that is used for nothing else.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Discard runs f on a thread that ends with it. It is never the first thread, which cannot end before the process, and by which /proc/PID shows
// the process.
func Discard(f func() error) error {
	answer := make(chan error)
	go run(f, answer)
	return <-answer
}

// run never unlocks its thread, so that the runtime ends it with the goroutine.
func run(f func() error, answer chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		done := make(chan error)
		go run(f, done) // held here, the first thread is not taken again
		err := <-done
		runtime.UnlockOSThread()
		answer <- err
		return
	}
	answer <- panics.Guard("work on a thread of its own", f)
}
