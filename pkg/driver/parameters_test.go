// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

func TestParametersRefused(t *testing.T) {
	tests := map[string]struct {
		key, value string
		says       []string
	}{
		"misspelt":                      {"giid", "0", []string{`"giid"`, `did you mean "gid"`}},
		"another case":                  {"ondelete", "trash", []string{`did you mean "onDelete"`}},
		"of the in-tree plugin":         {"volumetype", "replicate:2", []string{`did you mean "volume"`, "cluster, consistency, gid, mode, onClientDeath, onDelete, path, quota, uid, volume"}},
		"unknown":                       {"replication", "3", []string{"unknown", "cluster, consistency, gid, mode, onClientDeath, onDelete, path, quota, uid, volume"}},
		"unknown of the sidecar's":      {"csi.storage.k8s.io/fstype", "ext4", []string{"unknown"}},
		"uid negative":                  {"uid", "-1", []string{"uid", "0 to 4294967294"}},
		"uid that means nobody changes": {"uid", "4294967295", []string{"0 to 4294967294"}},
		"uid too large":                 {"uid", "99999999999", []string{"uid"}},
		"uid a name":                    {"uid", "www-data", []string{`"www-data"`}},
		"uid hexadecimal":               {"uid", "0x3e9", []string{"uid"}},
		"gid with a space":              {"gid", " 0", []string{"gid"}},
		"gid empty":                     {"gid", "", []string{"gid", "leave it out"}},
		"mode not octal":                {"mode", "0788", []string{"mode", "octal"}},
		"mode that locks the owner out": {"mode", "0070", []string{"owner"}},
		"mode with setuid":              {"mode", "4770", []string{"setuid"}},
		"onClientDeath unknown":         {"onClientDeath", "kill", []string{`"kill" is neither report nor restart`}},
		"consistency unknown":           {"consistency", "eventual", []string{`"eventual" is neither relaxed nor strict`}},
		"onDelete unknown":              {"onDelete", "shred", []string{"trash, delete, retain"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := parseParameters(map[string]string{test.key: test.value})
			if status.Code(err) != codes.InvalidArgument {
				t.Fatalf("%v, want InvalidArgument", err)
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it does not say %s: %v", word, err)
				}
			}
		})
	}
}

func TestParametersRead(t *testing.T) {
	p, err := parseParameters(map[string]string{
		"cluster": "pi", "volume": "gv0", "path": "a/${pv.name}", "uid": "1001", "gid": "0", "mode": "0750", "onDelete": "retain",
		pvNameKey: "pvc-1", pvcNameKey: "data", pvcNamespaceKey: "shop",
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.cluster != "pi" || p.volume != "gv0" || p.path != "a/${pv.name}" || p.onDelete != volume.Retain ||
		p.owner.String() != "uid=1001 gid=0 mode=0750" || p.vars != (volume.Vars{PVName: "pvc-1", PVCName: "data", PVCNamespace: "shop"}) {
		t.Errorf("%+v", p)
	}
	p, err = parseParameters(nil)
	if err != nil || p.path != "${pv.name}" || p.onDelete != volume.Trash || p.owner != (volume.Owner{}) {
		t.Errorf("defaults: %+v, %v", p, err)
	}
}

func TestVolumeAttributesOfAStaticVolume(t *testing.T) {
	a, err := parseContext(map[string]string{"path": "old/data", "uid": "1001", "storage.kubernetes.io/csiProvisionerIdentity": "x"})
	if err != nil || a.path != "old/data" || a.strict || a.owner.String() != "uid=1001" {
		t.Errorf("%+v, %v", a, err)
	}
	_, err = parseContext(map[string]string{"paht": "x"})
	if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), `did you mean "path"`) {
		t.Error(err)
	}
}

// TestWhatKubeletAndTheSidecarsAddIsNoAttribute: these are all that kubelet 1.37, external-provisioner 6.3 and
// external-snapshotter 8.7 pass.
func TestWhatKubeletAndTheSidecarsAddIsNoAttribute(t *testing.T) {
	added := map[string]string{"storage.kubernetes.io/csiProvisionerIdentity": "x"}
	for _, key := range []string{"pod.name", "pod.namespace", "pod.uid", "serviceAccount.name", "serviceAccount.tokens", "ephemeral"} {
		added["csi.storage.k8s.io/"+key] = "x"
	}
	if _, err := parseContext(added); err != nil {
		t.Error(err)
	}
	_, err := parseSnapshotParameters(map[string]string{
		"csi.storage.k8s.io/volumesnapshot/name": "x", "csi.storage.k8s.io/volumesnapshot/namespace": "x", "csi.storage.k8s.io/volumesnapshotcontent/name": "x",
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAKeyWithASlashIsUnknown(t *testing.T) {
	for _, key := range []string{"glusterfs.csi.gluster.org/consistency", "example.org/csi.storage.k8s.io/consistency"} {
		_, err := parseContext(map[string]string{key: strict})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), `did you mean "consistency"`) {
			t.Errorf("volume attribute %s: %v", key, err)
		}
	}
	for _, key := range []string{"glusterfs.csi.gluster.org/volume", "snapshot.storage.kubernetes.io/volume"} {
		_, err := parseSnapshotParameters(map[string]string{key: "gv1"})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), `did you mean "volume"`) {
			t.Errorf("parameter %s: %v", key, err)
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("uid", "1001", "mode", "2770")
	f.Add("path", "${pv.name}", "onDelete", "trash")
	f.Add("giid", "", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, key1, value1, key2, value2 string) {
		raw := map[string]string{key1: value1, key2: value2}
		p, err := parseParameters(raw)
		if err != nil {
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("%q: %v", raw, err)
			}
			return
		}
		for key := range raw {
			if setters[key] == nil {
				t.Errorf("the key %q was taken", key)
			}
		}
		if p.owner.Mode != nil && *p.owner.Mode&0o700 != 0o700 || p.owner.UID != nil && *p.owner.UID == 1<<32-1 {
			t.Errorf("%q was read as %+v", raw, p)
		}
	})
}
