// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestOneProcessLooksAfterTheClientsOfAStateDirectory(t *testing.T) {
	root, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		first, err := root.Keep()
		if err != nil {
			t.Fatal(err)
		}
		_, err = root.Keep()
		if !errors.Is(err, ErrKept) {
			t.Fatalf("a second one: %v", err)
		}
		for _, text := range []string{root.StateDir(), fmt.Sprintf("process %d (", os.Getpid()), "stop that one first"} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("the error does not say %q: %v", text, err)
			}
		}
		if slots, err := root.Slots(); len(slots) > 0 || err != nil {
			t.Errorf("its file is taken for a slot: %v, %v", slots, err)
		}
		first.Close()
	}
}
