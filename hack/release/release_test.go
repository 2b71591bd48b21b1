// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAReleaseIsTheSameEachTime(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := read(t, program)
	var sums []string
	for _, umask := range []os.FileMode{0o644, 0o600} { // as two people have cloned it, at two times
		t.Chdir(t.TempDir())
		write(t, map[string]string{
			"CHANGELOG.md":        "# Changelog\n\n## 1.2.3\n\n- It [works](docs/a.md#b), see [the web](https://example.org).\n\n## 1.2.2\n\n- Old.\n",
			chart + "/Chart.yaml": "version: 1.2.3\nappVersion: v1.2.3\n", chart + "/.helmignore": "ci/\n*.bak\n", chart + "/templates/a.yaml": "a", chart + "/a.bak": "",
			chart + "/README.md":            "helm install glusterfs-csi " + chart + " -f my-values.yaml: [install](../../../docs/install.md#a)\n",
			"deploy/kubernetes/base/z.yaml": "z", "deploy/kubernetes/a.yaml": "a", "deploy/examples/e.yaml": "e", "deploy/monitoring/m.json": "m", "deploy/other": "o",
			chart + "/ci/values.yaml": "", images + "/glusterfs-csi.tar": "image", images + "/glusterfs-csi-amd64.spdx.json": "{}", images + "/glusterfs-csi-arm64.spdx.json": "{}",
			plugins + "/kubectl-glusterfs_linux_amd64.tar.gz": "archive", plugins + "/glusterfs.yaml": "manifest", plugins + "/linux-amd64/kubectl-glusterfs": binary,
			"bin/release/of-the-one-before": "",
		})
		if err := os.Chmod(chart+"/templates/a.yaml", umask); err != nil {
			t.Fatal(err)
		}
		if err := run("v1.2.3", time.Unix(1_800_000_000, 0), "bin/release"); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, read(t, "bin/release/SHA256SUMS"))
	}
	if sums[0] != sums[1] {
		t.Errorf("two runs differ:\n%s\n%s", sums[0], sums[1])
	}
	var names []string
	for line := range strings.Lines(sums[0]) {
		names = append(names, strings.Fields(line)[1])
	}
	want := []string{
		"NOTES.md", "glusterfs-csi-1.2.3.tgz", "glusterfs-csi-v1.2.3-image.tar", "glusterfs-csi-v1.2.3-linux-amd64.spdx.json",
		"glusterfs-csi-v1.2.3-linux-arm64.spdx.json", "glusterfs-csi-v1.2.3-manifests.tar.gz", "glusterfs.yaml", "kubectl-glusterfs-v1.2.3.spdx.json", "kubectl-glusterfs_linux_amd64.tar.gz",
	}
	if !slices.Equal(names, want) {
		t.Errorf("released are %q, want %q", names, want)
	}
	const tree = "https://github.com/glusterfs-csi/glusterfs-csi/blob/v1.2.3/"
	notes := read(t, "bin/release/NOTES.md")
	if !strings.HasPrefix(notes, "# glusterfs-csi v1.2.3\n") || !strings.Contains(notes, "]("+tree+"docs/install.md#from-a-release)") ||
		!strings.HasSuffix(notes, "\n\n- It [works]("+tree+"docs/a.md#b), see [the web](https://example.org).\n") {
		t.Errorf("the notes are %q", notes)
	}
	if left := strings.Split(notes, "- It [works]")[0]; !strings.Contains(left, "## What is new\n\n") || strings.Contains(left, "%!") {
		t.Errorf("the notes begin %q", left)
	}
	names, packed := unpacked(t, read(t, "bin/release/glusterfs-csi-1.2.3.tgz"))
	if want := []string{"glusterfs-csi/.helmignore", "glusterfs-csi/Chart.yaml", "glusterfs-csi/README.md", "glusterfs-csi/templates/a.yaml"}; !slices.Equal(names, want) {
		t.Errorf("in the chart are %q, want %q", names, want)
	}
	if readme := "helm install glusterfs-csi glusterfs-csi-1.2.3.tgz -f my-values.yaml: [install](" + tree + "docs/install.md#a)\n"; packed["glusterfs-csi/README.md"] != readme {
		t.Errorf("the chart's README is %q, want %q", packed["glusterfs-csi/README.md"], readme)
	}
	names, _ = unpacked(t, read(t, "bin/release/glusterfs-csi-v1.2.3-manifests.tar.gz"))
	if want := []string{"deploy/examples/e.yaml", "deploy/kubernetes/a.yaml", "deploy/kubernetes/base/z.yaml", "deploy/monitoring/m.json"}; !slices.Equal(names, want) {
		t.Errorf("of manifests there are %q, want %q", names, want)
	}
}

// unpacked are the files of an archive, which have nobody's name and one time.
func unpacked(t *testing.T, archive string) ([]string, map[string]string) {
	t.Helper()
	plain, err := gzip.NewReader(strings.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	texts := map[string]string{}
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return names, texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Gid != 0 || header.Uname != "" || header.Mode != 0o644 || header.ModTime.Unix() != 1_800_000_000 {
			t.Errorf("%+v", header)
		}
		text, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		names, texts[header.Name] = append(names, header.Name), string(text)
	}
}

func TestWhatDoesNotBelongTogetherIsNotReleased(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, map[string]string{chart + "/Chart.yaml": "version: 1.2.2\nappVersion: v1.2.3\n", changelog: "# Changelog\n\n## 1.2.3\n\n## 1.2.2\n\n- Old.\n"})
	for name, err := range map[string]error{
		"a chart of another version": packChart(chart, "1.2.3", time.Time{}, "chart.tgz"),
		"a version without v":        run("1.2.3", time.Time{}, "out"),
		"nothing built":              run("v1.2.3", time.Time{}, "out"),
	} {
		if err == nil {
			t.Errorf("%s is released", name)
		}
	}
	for _, number := range []string{"1.2.3", "1.2.4", "2.2"} {
		if notes, err := notesOf(changelog, number); err == nil {
			t.Errorf("the notes of %s are %q", number, notes)
		}
	}
}
