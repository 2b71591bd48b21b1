// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// packChart writes the chart as `helm package` does, but for the times of its files, for which that takes the clock.
func packChart(dir, number string, modified time.Time, archive string) (err error) {
	if err := checkChart(dir, number); err != nil {
		return err
	}
	ignored, err := ignores(filepath.Join(dir, ".helmignore"))
	if err != nil {
		return err
	}
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	compressed := gzip.NewWriter(out)
	packed := tar.NewWriter(compressed)
	err = filepath.WalkDir(dir, func(where string, entry fs.DirEntry, err error) error { // in the order of names
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, where)
		if err != nil {
			return err
		}
		if name != "." && ignored(name, entry.IsDir()) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entry.IsDir() {
			return nil
		}
		text, err := os.ReadFile(where)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: path.Join(filepath.Base(dir), filepath.ToSlash(name)), Mode: 0o644, Size: int64(len(text)), ModTime: modified}
		if err := packed.WriteHeader(header); err != nil {
			return err
		}
		_, err = packed.Write(text)
		return err
	})
	return errors.Join(err, packed.Close(), compressed.Close())
}

// checkChart fails unless the chart is of this version.
func checkChart(dir, number string) error {
	text, err := os.ReadFile(filepath.Join(dir, "Chart.yaml"))
	if err != nil {
		return err
	}
	var about struct{ Version, AppVersion string }
	if err := yaml.Unmarshal(text, &about); err != nil {
		return err
	}
	if about.Version != number || about.AppVersion != "v"+number {
		return fmt.Errorf("%s has version %s and appVersion %s, and %s is to be released: change it, and run make manifests", dir, about.Version, about.AppVersion, number)
	}
	return nil
}

// ignores reads a .helmignore of the simple kind: names and patterns of names, with a slash at the end for directories.
func ignores(file string) (func(name string, dir bool) bool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var patterns []string
	for lines := bufio.NewScanner(strings.NewReader(string(text))); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, err := path.Match(line, ""); err != nil || strings.HasPrefix(line, "!") || strings.Contains(strings.TrimSuffix(line, "/"), "/") {
			return nil, fmt.Errorf("%s: %q is no simple pattern", file, line)
		}
		patterns = append(patterns, line)
	}
	return func(name string, dir bool) bool {
		for _, pattern := range patterns {
			bare, onlyDir := strings.CutSuffix(pattern, "/")
			if ok, _ := path.Match(bare, path.Base(name)); ok && (dir || !onlyDir) {
				return true
			}
		}
		return false
	}, nil
}
