// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

func TestTargetsOfAnyName(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	for _, name := range []string{"with a space", "with\nnewline", "with\ttab", `with \040 and "quotes"`, "卷-ü-\u202e", "ends with //deleted", "-rf"} {
		name = filepath.Base(name)
		t.Run(name, func(t *testing.T) {
			target := r.publish(v, name)
			code(t, r.tryPublish(v, target), codes.OK)
			if got := mountAt(t, target); got.Root != "/"+nameOf(v) {
				t.Errorf("it shows %+v", got)
			}
			r.unpublish(v, target)
			code(t, r.tryUnpublish(v, target), codes.OK)
		})
	}
	code(t, r.delete(v), codes.OK)
}

func TestTargetsThatCannotBeMountedOn(t *testing.T) {
	r := onGV0(t)
	v := r.create()
	file, link, elsewhere := r.target("file"), r.target("link"), r.target("elsewhere")
	write(t, file, "precious")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, link); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		target string
		code   codes.Code
		says   []string
	}{
		"a file":             {file, codes.FailedPrecondition, []string{file, "not a directory"}},
		"a link":             {link, codes.FailedPrecondition, []string{link, "not a directory"}},
		"no parent":          {r.target("no/parent"), codes.FailedPrecondition, []string{"parent directory", "kubelet"}},
		"a file as parent":   {file + "/pod", codes.FailedPrecondition, []string{file, "parent directory"}},
		"relative":           {"pods/pod", codes.InvalidArgument, []string{"not absolute"}},
		"not clean":          {r.dir + "/state/../pods/pod", codes.InvalidArgument, []string{"not absolute and clean"}},
		"none":               {"", codes.InvalidArgument, []string{"target path is missing"}},
		"with a NUL":         {r.target("p\x00d"), codes.InvalidArgument, []string{"target path"}},
		"longer than a path": {r.target(strings.Repeat("p", 300)), codes.InvalidArgument, []string{"target path"}},
	} {
		t.Run(name, func(t *testing.T) {
			code(t, r.tryPublish(v, test.target), test.code, test.says...)
		})
	}
	if data, err := os.ReadFile(file); string(data) != "precious" {
		t.Errorf("the file has %q now, %v", data, err)
	}
	// Unpublish removes empty directories and nothing else.
	code(t, r.tryUnpublish(v, file), codes.FailedPrecondition, file, "node's own disk")
	code(t, r.tryUnpublish(v, r.target("no/parent")), codes.OK)
	code(t, r.tryUnpublish(v, ""), codes.InvalidArgument, "target path is missing")
	code(t, r.tryUnpublish(v, "pods/pod"), codes.InvalidArgument, "not absolute")
	write(t, filepath.Join(elsewhere, "f"), "precious")
	code(t, r.tryUnpublish(v, elsewhere), codes.FailedPrecondition, elsewhere, "node's own disk")
	if data, err := os.ReadFile(filepath.Join(elsewhere, "f")); string(data) != "precious" {
		t.Errorf("the file has %q now, %v", data, err)
	}
	if left := mountsBelow(t, r.target("")); len(left) > 0 {
		t.Errorf("mounted: %+v", left)
	}
	code(t, r.delete(v), codes.OK)
}

// TestWhileSomethingIsMountedNoErrorIsFinal is about kubelet: after a final error it
// forgets the target, and never unpublishes it.
func TestWhileSomethingIsMountedNoErrorIsFinal(t *testing.T) {
	r := onGV0(t)
	v, other := r.create(), r.create()
	target := r.target("pod")
	if err := os.Mkdir(target, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", target, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	code(t, r.tryPublish(v, target), codes.Aborted, target, "something else", "tmpfs")
	if got := mountAt(t, target); got.FSType != "tmpfs" {
		t.Errorf("the tmpfs became %+v", got)
	}
	r.unpublish(v, target) // CSI: the target MUST be gone, whatever it was

	r.publish(v, "pod")
	for name, call := range map[string]func() error{
		"another volume":       func() error { return r.tryPublish(other, target) },
		"read-only":            func() error { return r.tryPublish(v, target, readOnly) },
		"other options":        func() error { return r.tryPublish(v, target, as(manyWriters, "noexec")) },
		"an unknown option":    func() error { return r.tryPublish(v, target, as(manyWriters, "nonsense")) },
		"a volume that is not": func() error { return r.tryPublish(static("gv0", "nowhere"), target) },
	} {
		t.Run(name, func(t *testing.T) {
			code(t, call(), codes.Aborted, target)
			if got := mountAt(t, target); got.Root != "/"+nameOf(v) || got.Flags != mount.Flags(0) {
				t.Errorf("the target shows %+v", got)
			}
		})
	}
	r.unpublish(v, target)
	code(t, r.delete(v), codes.OK)
	code(t, r.delete(other), codes.OK)
}
