// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestAnArchiveHoldsTheImage(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := Image{
		Names:      []string{"localhost/a:1", "docker.io/library/b:2"},
		Entrypoint: []string{"/usr/bin/p"}, User: "1:2",
		Files: []File{{Path: "/tmp", Mode: 0o1777, Folder: true}, {Path: "/usr/bin/p", From: program}, {Path: "/usr/bin/q", Link: "p"}},
	}
	archive := filepath.Join(t.TempDir(), "made.tar")
	if err := made.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := hasNames(archive, made.Names[:1]); err != nil {
		t.Error(err)
	}
	if err := hasNames(archive, []string{"localhost/a:2"}); err == nil {
		t.Error("the archive holds a name that nobody gave it")
	}
	for _, text := range made.Names {
		tag, err := name.NewTag(text)
		if err != nil {
			t.Fatal(err)
		}
		read, err := tarball.ImageFromPath(archive, &tag)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		config, err := read.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(config.Config.Entrypoint, made.Entrypoint) || config.Config.User != made.User || config.OS != "linux" {
			t.Errorf("%s: config %+v", text, config.Config)
		}
	}
}

func TestALayerHasEveryFileOnceBelowItsFolders(t *testing.T) {
	layer, err := Image{Files: []File{
		{Path: "/etc/a", Text: "A"}, {Path: "/etc/b/c", Text: "C", Mode: 0o600}, {Path: "/etc/d", Link: "a"}, {Path: "/tmp", Folder: true, Mode: 0o1777},
	}}.layer()
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		name, link, content string
		mode                int64
	}
	var got []entry
	for r := tar.NewReader(bytes.NewReader(layer)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry{header.Name, header.Linkname, string(content), header.Mode})
	}
	want := []entry{
		{"etc/", "", "", 0o755}, {"etc/a", "", "A", 0o755}, {"etc/b/", "", "", 0o755}, {"etc/b/c", "", "C", 0o600},
		{"etc/d", "a", "", 0o777}, {"tmp/", "", "", 0o1777},
	}
	if !slices.Equal(got, want) {
		t.Errorf("layer\n%v, want\n%v", got, want)
	}
}

func TestTheSameImageGivesTheSameBytes(t *testing.T) {
	made := Image{Names: []string{"localhost/a:1", "localhost/b:1"}, Files: []File{{Path: "/a", Text: "A"}}}
	var archives [2][]byte
	for i := range archives {
		file := filepath.Join(t.TempDir(), "a.tar")
		if err := made.Write(file); err != nil {
			t.Fatal(err)
		}
		var err error
		if archives[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of one image differ")
	}
}

func TestImagesOfManifestsAreFound(t *testing.T) {
	directory := t.TempDir()
	for file, content := range map[string]string{
		"pod.yaml":            "containers:\n  - image: example.org/x/one:v1 # why\n  - name: b\n    image: \"example.org/two:v2\"\n",
		"templates/pod.yaml":  "image: {{ .Values.image }}\n",
		"values.yaml":         "image:\n  repository: example.org/three\nsidecar: {a: b}\nother:\n  image: example.org/x/one:v2\n",
		"templates/other.yml": "image: example.org/four:v1\n",
	} {
		path := filepath.Join(directory, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := namesIn(directory)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found["one"], []string{"example.org/x/one:v1", "example.org/x/one:v2"}) ||
		!slices.Equal(found["two"], []string{"example.org/two:v2"}) || len(found) != 2 {
		t.Errorf("found %v", found)
	}
}

func TestBusyboxIsStaticAndNamesNoUserOfTheTests(t *testing.T) {
	made, err := busybox(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range made.Files {
		for _, user := range []string{":1000:", ":1001:"} {
			if strings.Contains(file.Text, user) {
				t.Errorf("%s has %s", file.Path, user)
			}
		}
	}
	if !slices.ContainsFunc(made.Files, func(f File) bool { return f.Path == "/bin/sh" }) {
		t.Error("there is no shell")
	}
}

func TestSQLiteHasItsLibraries(t *testing.T) {
	made, err := sqlite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := func(part string) bool {
		return slices.ContainsFunc(made.Files, func(f File) bool { return strings.Contains(f.Path, part) && f.From == f.Path })
	}
	for _, part := range []string{"/usr/bin/sqlite3", "/libsqlite3.so", "/libc.so", "/ld-linux", "/bin/busybox"} {
		if !has(part) {
			t.Errorf("there is no %s", part)
		}
	}
}
