// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestParseIDRefusesWhatTheDriverCannotHaveGiven(t *testing.T) {
	for _, handle := range []string{
		"", "pvc-1", "pi/gv0", "pi/gv0/", "/gv0/x", "pi//x", "pi/gv0/x/y", "pi/gv0/..", "pi/../x", "../gv0/x", "pi/gv0/.x", "pi/gv0/-x",
		"pi/gv0/x\x00", "pi/gv0/\xff", "pi/gv0/x y", "pi/gv0/ü", "nfs-server#share#pvc-1", "0001-0009-rook-ceph-0000000000000001-uuid",
		"pi/gv0/" + strings.Repeat("x", 65), "pi/" + strings.Repeat("g", 64) + "/" + strings.Repeat("x", 61), // 129 bytes
	} {
		if id, err := ParseID(handle); !errors.Is(err, ErrInvalid) {
			t.Errorf("ParseID(%q) = %v, %v", handle, id, err)
		}
	}
}

func TestIDsFitCSIAndDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"pvc-6e1f", "a", strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 128), strings.Repeat("a", 127) + "b",
		"with space", "with/slash", "..", ".", "../x", "ü", "\x00", "-x", "x y", "x-y",
	} {
		id := IDFor(name)
		if other, has := seen[id]; has {
			t.Errorf("%q and %q have the same ID %q", name, other, id)
		}
		seen[id] = name
		if id != IDFor(name) || !IsID(id) {
			t.Errorf("IDFor(%q) = %q", name, id)
		}
		longest := ID{gluster.Volume{Cluster: strings.Repeat("c", 31), Name: strings.Repeat("v", 31)}, id}
		if back, err := ParseID(longest.String()); err != nil || back != longest {
			t.Errorf("ParseID(%q) = %v, %v", longest, back, err)
		}
	}
	if IDFor("pvc-6e1f") != "pvc-6e1f" {
		t.Error("a safe name is not its own ID")
	}
}

func TestRenderPath(t *testing.T) {
	vars := Vars{PVName: "pvc-1", PVCName: "data", PVCNamespace: "shop"}
	for template, want := range map[string]string{
		"${pv.name}":                          "pvc-1",
		"k8s/${pvc.namespace}/${pvc.name}":    "k8s/shop/data",
		"${pvc.namespace}-${pvc.name}":        "shop-data",
		"fixed":                               "fixed",
		"$pv.name":                            "$pv.name",
		"${pv.name}}":                         "pvc-1}",
		"dir.d/${pvc.namespace}.${pv.name}.d": "dir.d/shop.pvc-1.d",
	} {
		if got, err := RenderPath(template, vars); got != want || err != nil {
			t.Errorf("RenderPath(%q) = %q, %v, want %q", template, got, err, want)
		}
	}
	for _, template := range []string{
		"", "/", "/${pv.name}", "../${pv.name}", "a/../${pv.name}", "a/./b", "a//b", "a/", "${pv.name", "${}", "${pv}", "${PV.NAME}", "${pvc.labels}",
		".glusterfs-csi", ".glusterfs-csi/volumes", "a\x00b", "a\nb", strings.Repeat("x", 256), strings.Repeat("x/", 2048) + "x",
	} {
		if got, err := RenderPath(template, vars); !errors.Is(err, ErrInvalid) {
			t.Errorf("RenderPath(%q) = %q, %v", template, got, err)
		}
	}
	for _, vars := range []Vars{{}, {PVName: ".."}, {PVName: "a/b"}, {PVName: ".glusterfs-csi"}} {
		if got, err := RenderPath("${pv.name}", vars); !errors.Is(err, ErrInvalid) {
			t.Errorf("with %+v: %q, %v", vars, got, err)
		}
	}
	_, err := RenderPath("${pvc.name}", Vars{PVName: "x"})
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "--extra-create-metadata") {
		t.Errorf("got error %v", err)
	}
}

func TestParseMode(t *testing.T) {
	for text, want := range map[string]Mode{"2770": 0o2770, "02770": 0o2770, "0700": 0o700, "700": 0o700, "3777": 0o3777} {
		if got, err := ParseMode(text); got != want || err != nil {
			t.Errorf("ParseMode(%q) = %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "8", "0770x", "-770", "10000", "4770", "0070", "0600", "rwx", "0o770", "000000770"} {
		if got, err := ParseMode(text); err == nil {
			t.Errorf("ParseMode(%q) = %s", text, got)
		}
	}
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"pi/gv0/pvc-1", "pi/gv0/..", "a/b/c/d", "", "pi/gv0/\x00", strings.Repeat("a", 129)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, handle string) {
		id, err := ParseID(handle)
		if err == nil && (id.String() != handle || len(handle) > maxHandle || strings.Contains(handle, "..") && CheckPath(id.ID) != nil) {
			t.Errorf("ParseID(%q) = %v", handle, id)
		}
		if !IsID(IDFor(handle)) {
			t.Errorf("IDFor(%q) = %q", handle, IDFor(handle))
		}
	})
}

func TestStampsAreReadAsTheyAreWritten(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600))
	const want = "pvc-1.20260203T030506.000000007Z"
	if got := StampOf("pvc-1", at); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, id := range []string{"pvc-1", "a.b", want, "x.json"} {
		got, when, ok := ParseStamp(StampOf(id, at))
		if ok != (len(id) <= maxID) || got != id || !when.Equal(at) {
			t.Errorf("%s: got %s, %v, %v", id, got, when, ok)
		}
	}
	for _, text := range []string{
		"", "pvc-1", want + ".json", ".20260203T030506.000000007Z", "pvc-1.20261303T030506.000000007Z", "pvc-1.20260203T030506Z", "a/b." + want[6:],
		strings.Repeat("x", 65) + want[5:],
	} {
		if id, when, ok := ParseStamp(text); ok {
			t.Errorf("%q is read as %s, %v", text, id, when)
		}
	}
}

func FuzzRenderPath(f *testing.F) {
	for _, seed := range []string{"${pv.name}", "a/${pvc.namespace}/b", "../x", "${", "/", "${pv.name}/../.."} {
		f.Add(seed, "pvc-1", "shop")
	}
	f.Fuzz(func(t *testing.T, template, name, namespace string) {
		got, err := RenderPath(template, Vars{PVName: name, PVCNamespace: namespace})
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("RenderPath(%q): %v", template, err)
			}
			return
		}
		if CheckPath(got) != nil || strings.HasPrefix(got, "/") || strings.HasPrefix(got, OwnDir+"/") {
			t.Errorf("RenderPath(%q, %q) = %q", template, name, got)
		}
		for part := range strings.SplitSeq(got, "/") {
			if part == ".." || part == "." || part == "" {
				t.Errorf("RenderPath(%q, %q) = %q", template, name, got)
			}
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	uid, mode := uint32(1), Mode(0o2770)
	f.Add(NewRecord(Spec{Name: "pvc-1", Path: "a/pvc-1", Required: 1, OnDelete: Trash, Owner: Owner{UID: &uid, Mode: &mode}}).Encode())
	f.Add([]byte(`{"schema":1,"id":"x","path":"../x"}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Errorf("%v", err)
			}
			return
		}
		back, err := ParseRecord(r.Encode())
		if err != nil || CheckPath(r.Path) != nil || !IsID(r.ID) || back.Stamp() != r.Stamp() {
			t.Errorf("%q reads as %+v, written back: %+v, %v", data, r, back, err)
		}
	})
}
