// SPDX-License-Identifier: Apache-2.0

// Command release collects what is released, from what `make image` and `make krew` have made and from the source, in one
// directory. Of the same commit it has the same bytes each time: nothing in it is of when, where and by whom it was made.
//
//	release -version v1.2.3 [-output bin/release]
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/spdx"
)

// Where things are, below the root of the repository.
const (
	chart     = "deploy/helm/glusterfs-csi"
	changelog = "CHANGELOG.md"
	images    = "bin/image"
	plugins   = "bin/kubectl"
)

// manifests are directories of what kubectl applies, in the order of names.
var manifests = []string{"deploy/examples", "deploy/kubernetes", "deploy/monitoring"}

func main() {
	version := flag.String("version", "", "of the release, as v1.2.3: the chart's appVersion")
	created := flag.Int64("created", 0, "time of the commit, in seconds since 1970")
	output := flag.String("output", "bin/release", "directory, which is made anew")
	flag.Parse()
	if err := run(*version, time.Unix(*created, 0), *output); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(version string, created time.Time, output string) error {
	number, ok := strings.CutPrefix(version, "v")
	if !ok {
		return fmt.Errorf("the version %q does not begin with v", version)
	}
	if err := errors.Join(os.RemoveAll(output), os.MkdirAll(output, 0o755)); err != nil {
		return err
	}
	for from, to := range copies(version) {
		if err := copyFiles(from, output, to); err != nil {
			return err
		}
	}
	notes, err := notesOf(changelog, number)
	if err != nil {
		return err
	}
	sbom, err := pluginSBOM(version, created)
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(output, "NOTES.md"), []byte(notes), 0o644),
		os.WriteFile(filepath.Join(output, "kubectl-glusterfs-"+version+".spdx.json"), sbom, 0o644),
		packChart(chart, number, created, filepath.Join(output, "glusterfs-csi-"+number+".tgz")),
		packManifests(created, filepath.Join(output, "glusterfs-csi-"+version+"-manifests.tar.gz")),
	)
	if err != nil {
		return err
	}
	return writeSums(output)
}

// copies are files by patterns, and what they are called in the release, or "" for the same.
func copies(version string) map[string]string {
	return map[string]string{
		filepath.Join(images, "glusterfs-csi.tar"):             "glusterfs-csi-" + version + "-image.tar",
		filepath.Join(images, "glusterfs-csi-amd64.spdx.json"): "glusterfs-csi-" + version + "-linux-amd64.spdx.json",
		filepath.Join(images, "glusterfs-csi-arm64.spdx.json"): "glusterfs-csi-" + version + "-linux-arm64.spdx.json",
		filepath.Join(plugins, "*.tar.gz"):                     "",
		filepath.Join(plugins, "glusterfs.yaml"):               "",
	}
}

func copyFiles(pattern, directory, name string) error {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("there is no %s: run make release, which makes it", pattern)
	}
	for _, file := range found {
		to := name
		if to == "" {
			to = filepath.Base(file)
		}
		if err := copyFile(file, filepath.Join(directory, to)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// pluginSBOM is one for all platforms: the modules are the same.
func pluginSBOM(version string, created time.Time) ([]byte, error) {
	document := spdx.New("kubectl-glusterfs", version, "APPLICATION", created)
	if err := document.AddGo(filepath.Join(plugins, "linux-amd64", "kubectl-glusterfs"), version); err != nil {
		return nil, err
	}
	return document.Encode()
}

// writeSums writes SHA256SUMS of all that is there, as sha256sum --check takes it.
func writeSums(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	var lines []string
	for _, entry := range entries {
		digest, err := digestOf(filepath.Join(directory, entry.Name()))
		if err != nil {
			return err
		}
		lines = append(lines, digest+"  "+entry.Name()+"\n")
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[sha256.Size*2:], b[sha256.Size*2:]) })
	text := strings.Join(lines, "")
	fmt.Print(text)
	return os.WriteFile(filepath.Join(directory, "SHA256SUMS"), []byte(text), 0o644)
}

func digestOf(file string) (string, error) {
	in, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
