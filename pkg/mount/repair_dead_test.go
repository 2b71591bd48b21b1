// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && !quick

package mount

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A file that was opened through a mount keeps its ID when that is replaced, by which who has it is found.
func TestARepairTellsTheIDsOfDeadMounts(t *testing.T) {
	l := newLoss(t, isolate(t))
	first, second := l.bind(t, "pvc-1", "pods/1"), l.bind(t, "pvc-2", "pods/2")
	var want []DeadMount
	for target, root := range map[string]string{first: "/pvc-1", second: "/pvc-2"} {
		at, err := At(target)
		must(t, "At", err)
		want = append(want, DeadMount{at[0].ID, l.dead, root})
	}
	file, err := os.Open(filepath.Join(first, "file"))
	must(t, "open", err)
	defer file.Close()
	report := l.repair(t)
	if len(report.Dead) != len(want) {
		t.Errorf("there were %+v, want %+v", report.Dead, want)
	}
	for _, m := range want {
		if !slices.Contains(report.Dead, m) {
			t.Errorf("%+v is not among %+v", m, report.Dead)
		}
	}
	id, err := mountID("/proc", int(file.Fd()))
	must(t, "mountID", err)
	if !slices.ContainsFunc(report.Dead, func(m DeadMount) bool { return m.ID == id && m.Root == "/pvc-1" }) {
		t.Errorf("the open file has mount %d, which is not among %+v", id, report.Dead)
	}
	if again := l.repair(t); len(again.Dead) > report.OnTop {
		t.Errorf("after the repair there are %+v", again.Dead)
	}
}
