// SPDX-License-Identifier: Apache-2.0

package spdx

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func written(t *testing.T) []byte {
	t.Helper()
	d := New("glusterfs-csi", "v1.2.3", "CONTAINER", time.Unix(1_800_000_000, 0))
	d.AddDebian("glusterfs-client", "10.3-5+b1", "arm64", "glusterfs 10.3-5")
	d.AddDebian("libcom-err2", "1:1.47.0~x", "arm64", "e2fsprogs")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.AddGo(program, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	text, err := d.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestADocumentIsValidAndTheSameEachTime(t *testing.T) {
	text := written(t)
	if !bytes.Equal(text, written(t)) {
		t.Error("two runs differ")
	}
	d, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"glusterfs-client": "pkg:deb/debian/glusterfs-client@10.3-5+b1?arch=arm64&distro=debian-12",
		"libcom-err2":      "pkg:deb/debian/libcom-err2@1:1.47.0~x?arch=arm64&distro=debian-12",
		"stdlib":           "pkg:golang/stdlib@",
	} {
		p := d.Find(name)
		if p == nil || !strings.HasPrefix(p.References[0].Locator, want) {
			t.Errorf("%s: %+v, want %s", name, p, want)
		}
	}
	if d.Find("github.com/glusterfs-csi/glusterfs-csi") == nil {
		t.Error("the program itself is not there")
	}
}

func TestWhatSPDXDoesNotAllowIsRefused(t *testing.T) {
	text := string(written(t))
	for name, change := range map[string][2]string{
		"another version":            {`"SPDX-2.3"`, `"SPDX-3.0"`},
		"no namespace":               {`"documentNamespace": "https:`, `"documentNamespace": "`},
		"a time that is none":        {`"created": "2027`, `"created": "`},
		"an identifier with a space": {`SPDXRef-1-glusterfs-client`, `SPDXRef-1 glusterfs-client`},
		"two of one identifier":      {`SPDXRef-2-libcom-err2`, `SPDXRef-1-glusterfs-client`},
		"a field that is not SPDX's": {`"spdxVersion"`, `"colour": 1, "spdxVersion"`},
		"no version of a package":    {`"versionInfo": "v1.2.3"`, `"versionInfo": ""`},
		"nothing described":          {`"DESCRIBES"`, `"CONTAINS"`},
		"a purl that is none":        {`"pkg:deb`, `"deb`},
	} {
		changed := strings.ReplaceAll(text, change[0], change[1])
		if changed == text {
			t.Errorf("%s: the text has no %s", name, change[0])
		}
		if _, err := Decode([]byte(changed)); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}
