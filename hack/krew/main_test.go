// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheManifestHasTheArchivesDigests(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, file := range []string{"LICENSE", "bin/linux-arm64/kubectl-glusterfs", "bin/windows-amd64/kubectl-glusterfs.exe"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(file), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := run("bin", "v1.0.0", "https://example.org/v1.0.0"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("bin/glusterfs.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Spec struct{ Platforms []platform }
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil || len(manifest.Spec.Platforms) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, p := range manifest.Spec.Platforms {
		content, err := os.ReadFile(filepath.Join("bin", filepath.Base(p.URI)))
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != p.SHA256 {
			t.Errorf("%s has another digest", p.URI)
		}
	}
}
