// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// image is a directory with what the driver's image has: the driver, GlusterFS's programs with what they link, and the list of those.
type image string

// binary is the driver's, built once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(testcluster.Shared(t, testcluster.Options{}).Dir(), "glusterfs-csi")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := testdriver.Build(t.Context(), path, testdriver.Source, false); err != nil {
		t.Fatal(err)
	}
	return path
}

// newImage makes an image whose list says this version.
func newImage(t *testing.T, version string) image {
	t.Helper()
	i := image(t.TempDir())
	var list strings.Builder
	fmt.Fprintf(&list, "Debian packages of which parts are in this image:\n  glusterfs-client %s amd64\nFiles, with their sizes in bytes:\n", version)
	for _, path := range clientFiles(t) {
		size, err := i.take(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&list, "%10d %s\n", size, path)
	}
	_, err := copyTo(binary(t), i.path("usr/bin/glusterfs-csi"))
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "etc", "usr/share/glusterfs-csi", "var/log/glusterfs"} {
		err = errors.Join(err, os.MkdirAll(i.path(dir), 0o755))
	}
	for name, target := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		err = errors.Join(err, os.Symlink(target, i.path(name)))
	}
	if err := errors.Join(err, os.WriteFile(i.path(programs.List), []byte(list.String()), 0o600)); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i image) path(name string) string { return filepath.Join(string(i), name) }

// lists has the image's list name a file more.
func (i image) lists(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(i.path(programs.List))
	if err == nil {
		err = os.WriteFile(i.path(programs.List), fmt.Appendf(text, "%10d %s\n", 1, path), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// remove removes all of it, as kubelet does with the image of a container that has ended.
func (i image) remove(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(string(i)); err != nil {
		t.Fatal(err)
	}
}

// take copies a file of this machine, what a link leads to included.
func (i image) take(path string) (size int64, err error) {
	if target, err := os.Readlink(path); err == nil {
		if err := os.MkdirAll(filepath.Dir(i.path(path)), 0o755); err != nil {
			return 0, err
		}
		return int64(len(target)), os.Symlink(target, i.path(path))
	}
	return copyTo(path, i.path(path))
}

func copyTo(from, to string) (size int64, err error) {
	source, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return 0, err
	}
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return 0, err
	}
	size, err = io.Copy(file, source)
	return size, errors.Join(err, file.Close())
}

// clientFiles are those of this machine that a client needs: its program, what it loads, and all that these link.
func clientFiles(t *testing.T) (files []string) {
	t.Helper()
	known := map[string]bool{}
	add := func(path string) {
		for {
			if path = merged(path); known[path] {
				return
			}
			known[path] = true
			files = append(files, path)
			target, err := os.Readlink(path)
			if err != nil {
				return
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(filepath.Dir(path), target)
			}
			path = target
		}
	}
	objects := []string{"/usr/sbin/glusterfs"}
	versions, err := filepath.Glob("/usr/lib/*/glusterfs/*/xlator")
	if err != nil || len(versions) != 1 {
		t.Fatalf("GlusterFS's translators: %v, %v", versions, err)
	}
	err = filepath.WalkDir(filepath.Dir(versions[0]), func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".so") && !strings.Contains(path, "/mgmt/") { // that is glusterd, with much that it links
			objects = append(objects, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	gcc, err := filepath.Glob("/usr/lib/*/libgcc_s.so.1") // by which glibc ends threads
	if err != nil {
		t.Fatal(err)
	}
	objects = append(objects, gcc...)
	linked, err := exec.CommandContext(t.Context(), "ldd", objects...).Output()
	if err != nil {
		t.Fatalf("ldd: %v", err)
	}
	for _, object := range objects {
		add(object)
	}
	for line := range strings.Lines(string(linked)) {
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "/") && !strings.HasSuffix(word, ":") {
				add(word)
			}
		}
	}
	return files
}

// merged is a path in Debian's merged /usr.
func merged(path string) string {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(path, dir) {
			return "/usr" + path
		}
	}
	return path
}
