// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestCreateVolumeRefusesBadRequestsAndLeavesNothing(t *testing.T) {
	c := healthy(t)
	r := onGV0(t)
	block := &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: manyWriters},
	}
	capabilities := func(c ...*csi.VolumeCapability) func(*csi.CreateVolumeRequest) {
		return func(request *csi.CreateVolumeRequest) { request.VolumeCapabilities = c }
	}
	for name, test := range map[string]struct {
		parameters []string
		change     func(*csi.CreateVolumeRequest)
		code       codes.Code
		says       []string
	}{
		"a misspelt parameter":            {parameters: []string{"onDelet", "trash"}, says: []string{`did you mean "onDelete"`}},
		"an unknown parameter":            {parameters: []string{"replicas", "3"}, says: []string{"unknown", "cluster, consistency, gid, mode, onClientDeath, onDelete, path, quota, uid, volume"}},
		"a mode that is not octal":        {parameters: []string{"mode", "rwx"}, says: []string{"mode", "octal"}},
		"a uid that is a name":            {parameters: []string{"uid", "www-data"}, says: []string{"uid", "www-data"}},
		"a cluster that is not there":     {code: codes.FailedPrecondition, parameters: []string{"cluster", "po"}, says: []string{`"po"`, "the clusters file has: pi"}},
		"a volume that is not allowed":    {code: codes.FailedPrecondition, parameters: []string{"volume", "gv9"}, says: []string{`"gv9"`, "the clusters file allows", "gv0"}},
		"a path that climbs":              {parameters: []string{"path", "../${pv.name}"}, says: []string{"path", ".."}},
		"a path that climbs in between":   {parameters: []string{"path", "a/../../${pv.name}"}, says: []string{"path"}},
		"a path that is absolute":         {parameters: []string{"path", "/${pv.name}"}, says: []string{"path"}},
		"a path in the driver's own":      {parameters: []string{"path", ".glusterfs-csi/trash/${pv.name}"}, says: []string{".glusterfs-csi", "driver's own"}},
		"a path of an unknown name":       {parameters: []string{"path", "${pod.name}"}, says: []string{"${pod.name}", "${pvc.namespace}"}},
		"a path of a name without value":  {parameters: []string{"path", "${pvc.name}"}, says: []string{"--extra-create-metadata"}},
		"a path by a name with a slash":   {parameters: []string{"path", "${pvc.name}", pvcNameKey, "a/b"}, says: []string{"slash"}},
		"a path by a name that climbs":    {parameters: []string{"path", "x/${pvc.name}", pvcNameKey, ".."}, says: []string{"path"}},
		"a path with a NUL":               {parameters: []string{"path", "a\x00b"}, says: []string{"path"}},
		"a block volume":                  {change: capabilities(block), says: []string{"volumeMode: Filesystem"}},
		"no capability":                   {change: capabilities(), says: []string{"capabilities are missing"}},
		"an unknown mount option":         {change: capabilities(capability(manyWriters, "acll")), says: []string{`"acll"`, "did you mean acl"}},
		"an option that names a file":     {change: capabilities(capability(manyWriters, "log-file=/etc/passwd")), says: []string{"log-file"}},
		"a mount option with a bad value": {change: capabilities(capability(manyWriters, "attribute-timeout=soon")), says: []string{"attribute-timeout=SECONDS"}},
		"no name":                         {change: func(r *csi.CreateVolumeRequest) { r.Name = "" }, says: []string{"name is missing"}},
		"an empty capacity range": {
			change: func(r *csi.CreateVolumeRequest) {
				r.CapacityRange = &csi.CapacityRange{RequiredBytes: 2, LimitBytes: 1}
			},
			code: codes.OutOfRange, says: []string{"from 2 to 1"},
		},
		"a source that is none": {
			change: func(r *csi.CreateVolumeRequest) { r.VolumeContentSource = &csi.VolumeContentSource{} }, says: []string{"neither a snapshot nor a volume"},
		},
		"a VolumeAttributesClass": {
			change: func(r *csi.CreateVolumeRequest) { r.MutableParameters = map[string]string{"a": "b"} }, says: []string{"VolumeAttributesClass", "gid, mode, onDelete, quota, recursive, uid"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			request := request(newName(), test.parameters...)
			called := request.GetName()
			if test.change != nil {
				test.change(request)
			}
			if test.code == codes.OK {
				test.code = codes.InvalidArgument
			}
			_, err := r.tryCreate(request)
			code(t, err, test.code, test.says...)
			stored(t, c, "gv0", called)
		})
	}
}

func TestTheSameNameWithOtherPropertiesAlreadyExists(t *testing.T) {
	r := onGV0(t)
	first := request(newName(), "uid", "1001")
	v, err := r.tryCreate(first)
	code(t, err, codes.OK)
	for name, test := range map[string]struct {
		spoil func(*csi.CreateVolumeRequest)
		says  string
	}{
		"larger":         {func(r *csi.CreateVolumeRequest) { r.CapacityRange.RequiredBytes = 2 << 30 }, "capacity"},
		"smaller":        {func(r *csi.CreateVolumeRequest) { r.CapacityRange = &csi.CapacityRange{LimitBytes: 1 << 20} }, "capacity"},
		"another owner":  {func(r *csi.CreateVolumeRequest) { r.Parameters = map[string]string{"uid": "1002"} }, "uid=1002"},
		"another path":   {func(r *csi.CreateVolumeRequest) { r.Parameters["path"] = "else/${pv.name}" }, "path"},
		"another ending": {func(r *csi.CreateVolumeRequest) { r.Parameters["onDelete"] = "retain" }, "onDelete"},
	} {
		t.Run(name, func(t *testing.T) {
			other := request(first.GetName(), "uid", "1001")
			test.spoil(other)
			_, err := r.tryCreate(other)
			code(t, err, codes.AlreadyExists, first.GetName(), test.says)
		})
	}
	stored(t, healthy(t), "gv0", nameOf(v), nameOf(v), record(nameOf(v)))
	code(t, r.delete(v), codes.OK)
}

// foreign are volume IDs that this driver cannot have given.
var foreign = map[string]string{
	"of another driver":         "vol-0a1b2c3d4e5f67890",
	"of csi-driver-nfs":         "nfs-server.default.svc#share#pvc-1##",
	"that climbs":               testcluster.Name + "/gv0/..",
	"that climbs further":       testcluster.Name + "/../../etc",
	"of the driver's own":       testcluster.Name + "/gv0/.glusterfs-csi",
	"with a NUL":                testcluster.Name + "/gv0/pvc\x001",
	"with a newline":            testcluster.Name + "/gv0/pvc\n1",
	"of 129 bytes":              testcluster.Name + "/gv0/" + strings.Repeat("a", 129-len(testcluster.Name+"/gv0/")),
	"that is absolute":          "/" + testcluster.Name + "/gv0/pvc-1",
	"with a part too many":      testcluster.Name + "/gv0/pvc-1/sub",
	"with an empty last part":   testcluster.Name + "/gv0/",
	"of a slash and no more":    "/",
	"that is in another script": testcluster.Name + "/gv0/卷",
}

func TestIDsOfOthersNameNothing(t *testing.T) {
	c := healthy(t)
	r := onGV0(t)
	v := r.create()
	target := r.publish(v, "pod")
	before := traces(t, c, "gv0", nameOf(v))
	for name, id := range foreign {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := r.context()
			defer cancel()
			other := &csi.Volume{VolumeId: id}
			code(t, r.delete(other), codes.OK)
			_, err := r.controller.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{VolumeId: id})
			code(t, err, codes.NotFound, "volume ID")
			_, err = r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeId: id, VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters)}})
			code(t, err, codes.NotFound, "volume ID")
			code(t, r.tryPublish(other, r.target("other")), codes.NotFound, "volume ID")
			nothingAt(t, r.target("other"))
			_, err = r.node.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumeId: id, VolumePath: target})
			code(t, err, codes.NotFound, "volume ID")
			// Whatever it is called: nothing is at that target, and that is what was asked for.
			code(t, r.tryUnpublish(other, r.target("other")), codes.OK)
		})
	}
	if after := traces(t, c, "gv0", nameOf(v)); len(after) != len(before) {
		t.Errorf("%q became %q", before, after)
	}
	if _, err := os.ReadDir(target); err != nil {
		t.Error(err)
	}
	r.unpublish(v, target)
	code(t, r.delete(v), codes.OK)
}

func TestCallsWithoutAnIDAreInvalid(t *testing.T) {
	r := onGV0(t)
	ctx, cancel := r.context()
	defer cancel()
	none := &csi.Volume{}
	code(t, r.delete(none), codes.InvalidArgument, "volume ID is missing")
	code(t, r.tryPublish(none, r.target("pod")), codes.InvalidArgument, "volume ID is missing")
	code(t, r.tryUnpublish(none, r.target("pod")), codes.InvalidArgument, "volume ID is missing")
	_, err := r.controller.ControllerGetVolume(ctx, &csi.ControllerGetVolumeRequest{})
	code(t, err, codes.InvalidArgument, "volume ID is missing")
	_, err = r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters)}})
	code(t, err, codes.InvalidArgument, "volume ID is missing")
	_, err = r.node.NodeGetVolumeStats(ctx, &csi.NodeGetVolumeStatsRequest{VolumePath: r.target("pod")})
	code(t, err, codes.InvalidArgument, "volume ID is missing")
}

func TestADirectoryThatWasThereBeforeIsNeitherTakenNorDeleted(t *testing.T) {
	r := onGV0(t)
	whole := static("gv0", "/")
	root := r.publish(whole, "operator")
	defer r.unpublish(whole, root)
	name := newName()
	if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := r.tryCreate(request(name))
	code(t, err, codes.FailedPrecondition, name, "was there before", "static PersistentVolume")
	stored(t, healthy(t), "gv0", name, name)
	code(t, r.delete(&csi.Volume{VolumeId: testcluster.Name + "/gv0/" + name}), codes.OK)
	stored(t, healthy(t), "gv0", name, name)
	if err := os.Remove(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}

func TestVolumesDoNotNest(t *testing.T) {
	r := onGV0(t)
	outer := r.create()
	_, err := r.tryCreate(request(newName(), "path", nameOf(outer)+"/${pv.name}"))
	code(t, err, codes.FailedPrecondition, nameOf(outer), "must not lie within each other")
	code(t, r.delete(outer), codes.OK)
}

// TestALinkPlantedByAPodIsNotFollowed has a pod that sees the whole Gluster volume, as in
// the operator's old days, replace each component of a volume's path by a link.
func TestALinkPlantedByAPodIsNotFollowed(t *testing.T) {
	c := healthy(t)
	r := onGV0(t)
	whole := static("gv0", "/")
	root := r.publish(whole, "whole")
	victim := r.create()
	shop := newName()
	v := r.create("path", shop+"/claims/${pv.name}")
	claims := filepath.Join(shop, "claims")
	path := filepath.Join(claims, nameOf(v))
	for name, test := range map[string]struct{ component, link string }{
		"the first component leads elsewhere in the same place": {shop, shop + ".real"},
		"the first component leads to the root":                 {shop, "."},
		"a component in between leads into another volume":      {claims, "../" + nameOf(victim)},
		"a component in between is absolute":                    {claims, "/"},
		"the last component leads into another volume":          {path, "../../" + nameOf(victim)},
		"the last component leads to the node's files":          {path, "/etc"},
		"the last component leads to the driver's own":          {path, "../../.glusterfs-csi"},
		"the last component leads nowhere":                      {path, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			at := filepath.Join(root, test.component)
			if err := os.Rename(at, at+".real"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(test.link, at); err != nil {
				t.Fatal(err)
			}
			code(t, r.tryPublish(v, r.target("pod")), codes.FailedPrecondition, nameOf(v), "symbolic link", "move it away")
			nothingAt(t, r.target("pod"))
			code(t, r.tryPublish(static("gv0", test.component), r.target("pod"), readOnly), codes.FailedPrecondition, "symbolic link")
			nothingAt(t, r.target("pod"))
			code(t, r.delete(v), codes.FailedPrecondition, "not this volume's")
			_, err := r.tryCreate(request(newName(), "path", test.component+"/${pv.name}"))
			code(t, err, codes.FailedPrecondition, "symbolic link", "move it away")
			if err := os.Remove(at); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(at+".real", at); err != nil {
				t.Fatal(err)
			}
			stored(t, c, "gv0", nameOf(victim), nameOf(victim), record(nameOf(victim)))
			stored(t, c, "gv0", nameOf(v), path, record(nameOf(v)))
		})
	}
	r.unpublish(v, r.publish(v, "pod")) // all is as it was
	r.unpublish(whole, root)
	code(t, r.delete(v), codes.OK)
	code(t, r.delete(victim), codes.OK)
	stored(t, c, "gv0", shop) // its parents went with it
}

// TestALinkWithinAVolumeLeadsNowhere is about what a pod can plant in its own volume.
func TestALinkWithinAVolumeLeadsNowhere(t *testing.T) {
	r := onGV0(t)
	victim, mine := r.create(), r.create("uid", "1001")
	pod := r.publish(mine, "mine")
	if err := os.Mkdir(filepath.Join(pod, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, link := range map[string]string{"link": "../" + nameOf(victim), "dir/link": "../../" + nameOf(victim), "abroad": "/etc", "up": ".."} {
		if err := os.Symlink(link, filepath.Join(pod, path)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"link", "dir/link", "abroad", "up", "up/" + nameOf(victim), "link/sub"} {
		err := r.tryPublish(static("gv0", nameOf(mine)+"/"+path), r.target("pod"))
		code(t, err, codes.FailedPrecondition, "symbolic link")
		nothingAt(t, r.target("pod"))
	}
	// A group is granted to the volume's own files, and to nothing behind its links.
	r.unpublish(mine, r.publish(mine, "granted", group("2002")))
	for path, want := range map[string]string{filepath.Join(pod, "dir"): "0:2002 2775", filepath.Join(healthy(t).BrickPath("gv0", 0), nameOf(victim)): "0:0 2770"} {
		if got := owner(t, path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	var st unix.Stat_t
	if err := unix.Lstat("/etc", &st); err != nil || st.Gid != 0 {
		t.Errorf("/etc has group %d, %v", st.Gid, err)
	}
	r.unpublish(mine, pod)
	code(t, r.delete(mine), codes.OK)
	code(t, r.delete(victim), codes.OK)
}
