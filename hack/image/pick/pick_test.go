// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/spdx"
)

func TestATextLinksNothingHoweverShort(t *testing.T) {
	for _, text := range []string{"", "12.4\n", "#!/bin/sh\nexec true, and much more than an ELF file's header would have\n"} {
		file := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if needed, err := needs(file); err != nil || len(needed) > 0 {
			t.Errorf("%q links %q, %v", text, needed, err)
		}
	}
}

func write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}

// What dpkg is told of a package is what of it is there, by the names that it had before /usr was merged.
func TestTheInventoryIsOfWhatWasPicked(t *testing.T) {
	unpacked, root := t.TempDir(), t.TempDir()
	of := filepath.Join(unpacked, "libthing1_1%3a2.0-3_arm64")
	write(t, map[string]string{
		of + "/DEBIAN/control": "Package: libthing1\nSource: thing (2.0-3)\nVersion: 1:2.0-3\nArchitecture: arm64\nMulti-Arch: same\nDescription: a\n more\n",
		of + "/DEBIAN/md5sums": "0123  lib/thing/one\n4567  lib/thing/two\n89ab  usr/share/doc/libthing1/copyright\n",
		of + "/lib/thing/one":  "one", of + "/lib/thing/two": "two", of + "/usr/share/doc/libthing1/copyright": "free",
	})
	p, err := open(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.take("usr/lib/thing/one"); err != nil {
		t.Fatal(err)
	}
	driver, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(contents(p, root), p.inventory(root, driver, "v1.2.3", time.Unix(0, 0))); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"var/lib/dpkg/status":                       "Package: libthing1\nStatus: install ok installed\nSource: thing (2.0-3)\nVersion: 1:2.0-3\nArchitecture: arm64\nMulti-Arch: same\nDescription: a\n more\n\n",
		"var/lib/dpkg/info/libthing1:arm64.list":    "/.\n/lib\n/lib/thing\n/lib/thing/one\n/usr\n/usr/share\n/usr/share/doc\n/usr/share/doc/libthing1\n/usr/share/doc/libthing1/copyright\n",
		"var/lib/dpkg/info/libthing1:arm64.md5sums": "0123  lib/thing/one\n89ab  usr/share/doc/libthing1/copyright\n",
	} {
		if text, err := os.ReadFile(filepath.Join(root, file)); err != nil || string(text) != want {
			t.Errorf("%s is %q, %v, want %q", file, text, err, want)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, share, "sbom.spdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	document, err := spdx.Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if p := document.Find("libthing1"); p == nil || p.Version != "1:2.0-3" || p.Comment != "source package: thing (2.0-3)" {
		t.Errorf("the SBOM has %+v", p)
	}
	if document.Find("libthing2") != nil {
		t.Error("the SBOM has what was not picked")
	}
}
