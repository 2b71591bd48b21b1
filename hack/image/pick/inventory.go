// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/spdx"
)

// release is what scanners go by to tell the distribution. It is base-files' own.
var release = []string{"etc/os-release", "etc/debian_version"}

// database is dpkg's, for whoever asks which packages there are: dpkg-query, and scanners for known faults.
const database = "var/lib/dpkg"

// inventory writes dpkg's database of the packages of which something is in the image, and the SBOM.
func (p *picker) inventory(root, driver, version string, created time.Time) error {
	status := strings.Builder{}
	sbom := spdx.New("glusterfs-csi", version, "CONTAINER", created)
	info := filepath.Join(root, database, "info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return err
	}
	errs := []error{os.WriteFile(filepath.Join(info, "format"), []byte("1\n"), 0o644)}
	for _, of := range p.packages() {
		control, err := os.ReadFile(filepath.Join(of.dir, controlDir, "control"))
		if err != nil {
			return fmt.Errorf("unpack %s with its control files, by dpkg-deb --control: %w", of.name, err)
		}
		paragraph, fields := installed(string(control))
		status.WriteString(paragraph + "\n")
		sbom.AddDebian(of.name, of.version, of.architecture, source(of, fields))
		name := of.name
		if fields["Multi-Arch"] == "same" { // so dpkg names them
			name += ":" + of.architecture
		}
		errs = append(errs, p.infoFiles(filepath.Join(info, name), of))
	}
	if err := sbom.AddGo(driver, version); err != nil {
		return err
	}
	text, err := sbom.Encode()
	return errors.Join(append(errs, err,
		os.WriteFile(filepath.Join(root, database, "status"), []byte(status.String()), 0o644),
		os.WriteFile(filepath.Join(root, share, "sbom.spdx.json"), text, 0o644))...)
}

// installed is a package's paragraph of dpkg's status, and its fields.
func installed(control string) (paragraph string, fields map[string]string) {
	lines := strings.Split(strings.TrimRight(control, "\n"), "\n")
	fields = map[string]string{}
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			fields[name] = strings.TrimSpace(value)
		}
	}
	at := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Package:") })
	lines = slices.Insert(lines, at+1, "Status: install ok installed")
	return strings.Join(lines, "\n") + "\n", fields
}

// source is the source package, with its version where that is another than the package's: known faults are told by it.
func source(of pkg, fields map[string]string) string {
	if fields["Source"] == "" {
		return of.name
	}
	return fields["Source"]
}

// infoFiles writes which files of the package are there, by the package's own names for them, and their digests, which dpkg --verify takes.
func (p *picker) infoFiles(name string, of pkg) error {
	there := map[string]bool{}
	for file := range p.picked {
		if f := p.all[file]; f.pkg == of {
			there[f.own()] = true
		}
	}
	there["usr/share/doc/"+of.name+"/copyright"] = true
	listed := map[string]bool{"/.": true}
	for file := range there {
		for at := file; at != "."; at = path.Dir(at) {
			listed["/"+at] = true
		}
	}
	digests, err := os.ReadFile(filepath.Join(of.dir, controlDir, "md5sums"))
	if err != nil {
		return err
	}
	var kept strings.Builder
	for line := range strings.Lines(string(digests)) {
		if _, file, _ := strings.Cut(strings.TrimSpace(line), "  "); there[file] {
			kept.WriteString(line)
		}
	}
	list := strings.Join(sorted(listed), "\n") + "\n"
	return errors.Join(os.WriteFile(name+".list", []byte(list), 0o644), os.WriteFile(name+".md5sums", []byte(kept.String()), 0o644))
}
