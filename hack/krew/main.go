// SPDX-License-Identifier: Apache-2.0

// Command krew packs what `make build-kubectl` made as krew, kubectl's package manager, takes it: an archive for each
// platform, with the licence, and the manifest that names them by their digests.
package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// platform is one entry of a krew manifest.
type platform struct {
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Bin    string `json:"bin"`
}

func main() {
	directory := flag.String("directory", "bin/kubectl", "where the programs are, in OS-ARCHITECTURE/, and the archives go")
	version := flag.String("version", "", "of the release, as v1.2.3")
	url := flag.String("url", "https://github.com/glusterfs-csi/glusterfs-csi/releases/download", "below which VERSION/ARCHIVE is to be found")
	flag.Parse()
	if err := run(*directory, *version, *url+"/"+*version); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(directory, version, url string) error {
	programs, err := filepath.Glob(filepath.Join(directory, "*-*", "kubectl-glusterfs*"))
	if err != nil || len(programs) == 0 {
		return errors.Join(err, fmt.Errorf("no programs in %s: make build-kubectl", directory))
	}
	var platforms []platform
	for _, program := range programs {
		system, architecture, _ := strings.Cut(filepath.Base(filepath.Dir(program)), "-")
		archive := fmt.Sprintf("kubectl-glusterfs_%s_%s.tar.gz", system, architecture)
		digest, err := pack(filepath.Join(directory, archive), program, "LICENSE")
		if err != nil {
			return err
		}
		p := platform{URI: url + "/" + archive, SHA256: digest, Bin: filepath.Base(program)}
		p.Selector.MatchLabels = map[string]string{"os": system, "arch": architecture}
		platforms = append(platforms, p)
	}
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": "krew.googlecontainertools.github.com/v1alpha2", "kind": "Plugin", "metadata": map[string]any{"name": "glusterfs"},
		"spec": map[string]any{
			"version": version, "homepage": "https://github.com/glusterfs-csi/glusterfs-csi",
			"shortDescription": "Look after volumes on GlusterFS",
			"description":      "Doctor, support bundle, undelete, recover and migrate for volumes on GlusterFS, of the driver glusterfs.csi.gluster.org.",
			"platforms":        platforms,
		},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "glusterfs.yaml"), text, 0o644)
}

// pack writes an archive of these files and returns its digest.
func pack(archive string, files ...string) (digest string, err error) {
	out, err := os.Create(archive)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := sha256.New()
	compressed := gzip.NewWriter(io.MultiWriter(out, sum))
	packed := tar.NewWriter(compressed)
	for _, file := range files {
		if err := add(packed, file); err != nil {
			return "", err
		}
	}
	if err := errors.Join(packed.Close(), compressed.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func add(to *tar.Writer, file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	mode := int64(0o644) // not the file's own, which depends on who has cloned and built it
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := to.WriteHeader(&tar.Header{Name: filepath.Base(file), Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err = to.Write(content)
	return err
}
