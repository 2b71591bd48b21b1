// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mount

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestAChangeOfTheMountsIsTold(t *testing.T) {
	changes, err := Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	if err := unix.Mount("none", target, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	<-changes
	if err := Detach(target); err != nil {
		t.Fatal(err)
	}
	<-changes
}
