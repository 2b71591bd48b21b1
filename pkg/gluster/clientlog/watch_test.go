// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsWrittenToALogIsTold(t *testing.T) {
	dir := t.TempDir()
	w, err := newWatch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 3
	for range rounds {
		w.arm([]string{dir, filepath.Join(dir, "has not come")})
		log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err = log.WriteString("a line of a flood\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		<-w.written()
		if len(w.tells) > 0 {
			t.Error("it is told twice")
		}
	}
}
