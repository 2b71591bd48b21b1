// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// layout is as buildah makes one of two images.
func layout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	text := `{"schemaVersion":2,"manifests":[
		{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:aa","size":1,"annotations":{"org.opencontainers.image.ref.name":"amd64"}},
		{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:bb","size":2,"annotations":{"org.opencontainers.image.ref.name":"arm64"}}]}`
	err := errors.Join(os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755), os.WriteFile(filepath.Join(dir, "index.json"), []byte(text), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheIndexNamesEachImageByItsPlatform(t *testing.T) {
	dir := layout(t)
	whole, err := joined(dir)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := os.ReadFile(filepath.Join(dir, "blobs/sha256", whole.Digest[len("sha256:"):]))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(blob)
	if whole.Digest != "sha256:"+hex.EncodeToString(sum[:]) || whole.Size != int64(len(blob)) || whole.MediaType != indexType {
		t.Errorf("the index is described as %+v", whole)
	}
	var got index
	if err := json.Unmarshal(blob, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []platform{{"amd64", "linux", ""}, {"arm64", "linux", "v8"}} {
		if m := got.Manifests[i]; m.Platform == nil || *m.Platform != want || m.Annotations != nil || m.Size != int64(i+1) {
			t.Errorf("image %d is %+v", i, m)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := joined(dir); err == nil {
		t.Error("an index of no image is made")
	}
}

func TestArchivesOfEqualDirectoriesAreEqual(t *testing.T) {
	var archives [][]byte
	for _, mode := range []os.FileMode{0o644, 0o600} {
		dir, file := layout(t), filepath.Join(t.TempDir(), "a.tar")
		if err := os.Chmod(filepath.Join(dir, "index.json"), mode); err != nil {
			t.Fatal(err)
		}
		if err := archiveOf(dir, time.Unix(1_800_000_000, 0), file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, text)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives differ")
	}
	first, err := tar.NewReader(bytes.NewReader(archives[0])).Next()
	if err != nil || first.Name != "blobs/" || first.Uid != 0 {
		t.Errorf("%+v, %v", first, err)
	}
}

func TestTheNameIsTheChartsOwn(t *testing.T) {
	got, err := name("../../deploy/helm/glusterfs-csi")
	if err != nil || filepath.Base(got)[:len("glusterfs-csi:v")] != "glusterfs-csi:v" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := name(t.TempDir()); err == nil {
		t.Errorf("of no chart: %q", got)
	}
}
