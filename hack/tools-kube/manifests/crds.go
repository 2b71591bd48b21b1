// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// snapshotClient is the module that defines snapshots; its version in go.mod is the one that the chart has.
const snapshotClient = "github.com/kubernetes-csi/external-snapshotter/client/v8"

// crdsFile is where the chart has the definitions, below its own directory.
const crdsFile = "files/snapshot-crds.yaml"

// keep has Helm leave an object where it is when the release goes.
const keep = "    helm.sh/resource-policy: keep\n"

// snapshotCRDs are the definitions of snapshots as the module has them, but for one more annotation.
func snapshotCRDs() (string, error) {
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}} {{.Version}}", snapshotClient).Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w", snapshotClient, err)
	}
	dir, version, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	text := "# Made from " + snapshotClient + "\n# " + version + " by `make manifests`. License: Apache-2.0.\n"
	for _, plural := range []string{"volumesnapshotclasses", "volumesnapshotcontents", "volumesnapshots"} {
		crd, err := os.ReadFile(filepath.Join(dir, "config/crd/snapshot.storage.k8s.io_"+plural+".yaml"))
		if err != nil {
			return "", err
		}
		const annotations = "  annotations:\n"
		before, after, found := strings.Cut(string(crd), annotations)
		if !found {
			return "", fmt.Errorf("the definition of %s has no annotations", plural)
		}
		text += "---\n" + strings.TrimPrefix(before, "---\n") + annotations + keep + after
	}
	return text, nil
}

// ensureCRDs writes the chart's file of definitions, or, to check, fails if it is another.
func ensureCRDs(file string, check bool) error {
	want, err := snapshotCRDs()
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(file, []byte(want), 0o644)
	}
	have, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if string(have) != want {
		return fmt.Errorf("%s is not what %s has: run `make manifests`", file, snapshotClient)
	}
	return nil
}
