// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
)

// A group on a static volume gets what is the operator's own, and never another volume's or the driver's.
func TestAGroupNeverGetsWhatIsNotTheVolumesOwn(t *testing.T) {
	r := onGV0(t)
	team := newName()
	v := r.create("path", team+"/${pv.name}")
	pod := r.publish(v, "pod")
	whole := static("gv0", "/")
	root := r.publish(whole, "root")
	for _, dir := range []string{team + "/" + nameOf(v) + "/secret", team + "/beside", team + "/own/sub"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, dir, "f"), "x")
	}
	paths := []string{".", ".glusterfs-csi", ".glusterfs-csi/volumes", team, team + "/" + nameOf(v), team + "/" + nameOf(v) + "/secret/f", team + "/beside/f"}
	before := map[string]string{}
	for _, path := range paths {
		before[path] = owner(t, filepath.Join(root, path))
	}
	unchanged := func() {
		t.Helper()
		for _, path := range paths {
			if got := owner(t, filepath.Join(root, path)); got != before[path] {
				t.Errorf("%s became %s", path, got)
			}
		}
	}
	code(t, r.tryPublish(whole, r.target("grouped"), group("2002")), codes.InvalidArgument, "fsGroup", "every volume")
	unchanged()
	ancestor, inside, own := static("gv0", team), static("gv0", team+"/"+nameOf(v)+"/secret"), static("gv0", team+"/own")
	code(t, r.tryPublish(ancestor, r.target("ancestor"), group("2002")), codes.FailedPrecondition, "fsGroup", nameOf(v))
	unchanged()
	code(t, r.tryPublish(inside, r.target("inside")), codes.FailedPrecondition, nameOf(v), "subPath")
	code(t, r.tryPublish(inside, r.target("inside"), group("2002")), codes.FailedPrecondition, nameOf(v))
	unchanged()
	for _, name := range []string{"grouped", "ancestor", "inside"} {
		nothingAt(t, r.target(name))
	}

	// Without a group they are published as before.
	withoutGroup := r.publish(ancestor, "without")
	granted := r.publish(own, "own", group("2002"))
	if got := owner(t, filepath.Join(granted, "sub/f")); got != "0:2002 0660" {
		t.Errorf("the operator's own file is %s", got)
	}
	unchanged()
	code(t, r.delete(r.create()), codes.OK) // the driver's directory is still its own

	r.unpublish(own, granted)
	r.unpublish(ancestor, withoutGroup)
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
	if err := os.RemoveAll(filepath.Join(root, team)); err != nil {
		t.Fatal(err)
	}
	r.unpublish(whole, root)
}
