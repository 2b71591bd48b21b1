// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// TestADoctorsExitCodeIsTheWorst that it has found, by the numbers of `kubectl glusterfs doctor`.
func TestADoctorsExitCodeIsTheWorst(t *testing.T) {
	well, warned, fault := answers.Finding{Severity: answers.OK}, answers.Finding{Severity: answers.Warning}, answers.Finding{Severity: answers.Error}
	for _, test := range []struct {
		found []answers.Finding
		code  int
	}{
		{nil, 0},
		{[]answers.Finding{well, well}, 0},
		{[]answers.Finding{well, warned, well}, 3},
		{[]answers.Finding{fault, well, warned}, 4},
		{[]answers.Finding{warned, fault}, 4},
	} {
		if code := exitCode(worst(test.found)); code != test.code {
			t.Errorf("%+v: %d, want %d", test.found, code, test.code)
		}
	}
	// Nobody reaches the server of this clusters file.
	if stdout, err := execute(t, "doctor"); exitCode(err) != 4 {
		t.Errorf("%v\n%s", err, stdout)
	}
}
