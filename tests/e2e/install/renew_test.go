// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"strings"
	"testing"
)

func TestTheMounterIsReplacedAsOperatorsAreTold(t *testing.T) {
	text, err := os.ReadFile("../../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	const node = "pi-worker1"
	for _, line := range append(awaitMounter(node), deleteMounter(node)) {
		if command := "kubectl " + strings.Join(line, " ") + "\n"; !strings.Contains(string(text), command) {
			t.Errorf("docs/install.md does not say %s", command)
		}
	}
}
