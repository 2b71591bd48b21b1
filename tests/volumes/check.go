// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/check"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
)

// Finds fails the test unless Check finds just that. The times in the names of trash entries are left out.
func Finds(t *testing.T, s *lifecycle.Volumes, repair bool, want ...string) {
	t.Helper()
	got := checked(t, s, repair)
	for i, found := range got {
		kind, subject, _ := strings.Cut(found, " ")
		got[i] = kind + " " + volume.IDOfStamp(subject)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("it found %q, want %q", got, want)
	}
}

// checked returns "kind subject" of what Check finds, and lets each be repaired if it is to be.
func checked(t *testing.T, s *lifecycle.Volumes, repair bool) []string {
	t.Helper()
	problems, err := Checker(s).Check(Background)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range problems {
		found = append(found, string(p.Kind)+" "+p.Subject)
		if p.Why == "" || p.Cure == "" || strings.HasPrefix(p.Cure, "nothing") == p.Repairable() || !slices.Contains(check.Kinds, p.Kind) {
			t.Errorf("it does not say enough: %+v", p)
		}
		if !repair {
			continue
		}
		if done, err := Checker(s).Repair(p, Unlocked); err != nil || done != p.Repairable() {
			t.Errorf("repair %s %s: %v, %v", p.Kind, p.Subject, done, err)
		}
	}
	return found
}
