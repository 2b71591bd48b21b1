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

// packChart writes the chart as `helm package` does, but for the times of its files, for which that takes the clock,
// and for links into the repository, which lead nowhere within the archive.
func packChart(dir, number string, modified time.Time, archive string) error {
	if err := checkChart(dir, number); err != nil {
		return err
	}
	ignored, err := ignores(filepath.Join(dir, ".helmignore"))
	if err != nil {
		return err
	}
	unpacked := strings.NewReplacer("](../../../", "]("+tree+number+"/", "glusterfs-csi "+dir+" ", "glusterfs-csi "+filepath.Base(archive)+" ")
	return pack(archive, modified, []string{dir}, func(name string, isDir bool, text []byte) (string, []byte, bool) {
		inside, err := filepath.Rel(dir, name)
		if err != nil || inside != "." && ignored(inside, isDir) {
			return "", nil, false
		}
		return path.Join(filepath.Base(dir), filepath.ToSlash(inside)), []byte(unpacked.Replace(string(text))), true
	})
}

// packManifests writes what kubectl applies, below the names that the documents have for it.
func packManifests(modified time.Time, archive string) error {
	return pack(archive, modified, manifests, func(name string, _ bool, text []byte) (string, []byte, bool) {
		return filepath.ToSlash(name), text, true
	})
}

// pack writes the files of these directories, in the order of names, each as keep says: its name and text in the
// archive, or false for none.
func pack(archive string, modified time.Time, directories []string, keep func(name string, isDir bool, text []byte) (string, []byte, bool)) (err error) {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	compressed := gzip.NewWriter(out)
	packed := tar.NewWriter(compressed)
	for _, directory := range directories {
		err = errors.Join(err, filepath.WalkDir(directory, func(where string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			var text []byte
			if !entry.IsDir() {
				if text, err = os.ReadFile(where); err != nil {
					return err
				}
			}
			name, text, isKept := keep(where, entry.IsDir(), text)
			switch {
			case entry.IsDir() && !isKept:
				return fs.SkipDir
			case entry.IsDir() || !isKept:
				return nil
			}
			header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: modified} // owner and group are 0
			if err := packed.WriteHeader(header); err != nil {
				return err
			}
			_, err = packed.Write(text)
			return err
		}))
	}
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
