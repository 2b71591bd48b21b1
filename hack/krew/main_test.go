// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
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
		Spec struct {
			Description string
			Platforms   []platform
		}
	}
	if err := yaml.Unmarshal(text, &manifest); err != nil || len(manifest.Spec.Platforms) != 2 {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, does := range []string{"Doctor", "bundle", "undelete", "recover", "migrate"} {
		if !strings.Contains(manifest.Spec.Description, does) {
			t.Errorf("%q says nothing of %s", manifest.Spec.Description, does)
		}
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

// Modes are those of who has cloned and built it, by his umask; archives have none of that.
func TestArchivesAreTheSameWhoeverHasBuiltThem(t *testing.T) {
	var digests []string
	for _, umask := range []os.FileMode{0o022, 0o077} {
		t.Chdir(t.TempDir())
		for file, mode := range map[string]os.FileMode{"LICENSE": 0o666, "kubectl-glusterfs": 0o777} {
			if err := os.WriteFile(file, []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, mode&^umask); err != nil {
				t.Fatal(err)
			}
		}
		digest, err := pack("a.tar.gz", "kubectl-glusterfs", "LICENSE")
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if digests[0] != digests[1] {
		t.Errorf("two archives of the same differ: %q", digests)
	}
}
