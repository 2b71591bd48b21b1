// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// driver is the base name of the driver's own image, which `make image` makes and not this package.
const driver = "glusterfs-csi"

// SQLite is the name of Debian's sqlite3 with a shell.
const SQLite = "localhost/sqlite:e2e"

// Ensure makes archives of all images that the manifests below deploy of the repository name, of pause and of SQLite, and returns their
// paths. One of them is the driver's, as `make image` made it.
func Ensure(ctx context.Context, repository, pause string) ([]string, error) {
	wanted, err := namesIn(filepath.Join(repository, "deploy"))
	if err != nil {
		return nil, err
	}
	archives := []string{Driver(repository)}
	if err := hasNames(archives[0], wanted[driver]); err != nil {
		return nil, err
	}
	delete(wanted, driver)
	wanted["pause"], wanted["sqlite"] = []string{pause}, []string{SQLite}
	made, err := writeAll(ctx, "", wanted)
	return append(archives, made...), err
}

// Driver is the archive of the driver's image, as `make image` in the repository makes it.
func Driver(repository string) string {
	return filepath.Join(repository, "bin/image/glusterfs-csi-"+runtime.GOARCH+".tar")
}

// Upstream makes archives of the images that Kubernetes' tests of storage run, of all images that these names are of, and returns
// their paths.
func Upstream(ctx context.Context, names []string) ([]string, error) {
	wanted := map[string][]string{}
	for _, name := range names {
		base, _, _ := strings.Cut(path.Base(name), ":")
		if slices.Contains([]string{"agnhost", "busybox", "glibc-dns-testing", "nginx"}, base) {
			wanted[base] = append(wanted[base], name)
		}
	}
	return writeAll(ctx, "upstream-", wanted)
}

// writeAll writes an archive for each base name.
func writeAll(ctx context.Context, prefix string, wanted map[string][]string) ([]string, error) {
	var archives []string
	for _, base := range slices.Sorted(maps.Keys(wanted)) {
		made, err := image(ctx, base)
		if err != nil {
			return nil, err
		}
		made.Names = wanted[base]
		archive := cache.Path("images", prefix+base+".tar")
		if err := made.Write(archive); err != nil {
			return nil, fmt.Errorf("image %s: %w", base, err)
		}
		archives = append(archives, archive)
	}
	return archives, nil
}

// image is what there is under a base name, still without its full names.
func image(ctx context.Context, base string) (Image, error) {
	switch base {
	case "pause":
		return Image{Entrypoint: []string{"/pause"}, User: "65535:65535", Files: []File{{Path: "/pause", From: build.Path("pause")}}}, nil
	case "busybox", "glibc-dns-testing", "nginx": // of all three, the tests of storage want the shell only
		return busybox(ctx)
	case build.Agnhost:
		made, err := busybox(ctx) // tests run commands beside it
		made.Entrypoint, made.Command = []string{"/agnhost"}, []string{"pause"}
		made.Path = cluster.Programs // tests enter a node from it
		made.Files = append(made.Files, File{Path: "/agnhost", From: build.Path(build.Agnhost)})
		return made, err
	case "sqlite":
		return sqlite(ctx)
	case "csi-provisioner", "csi-resizer", "csi-snapshotter", "snapshot-controller":
		return Image{Entrypoint: []string{"/" + base}, Files: []File{{Path: "/" + base, From: build.Path(base)}}}, nil
	}
	return Image{}, fmt.Errorf("a manifest names the image %s, and nothing here makes it", base)
}

// busybox is Debian's. It has no name for the users 1000 and 1001: tests look for the numbers.
func busybox(ctx context.Context) (Image, error) {
	const program = "/bin/busybox"
	if err := isStatic(program); err != nil {
		return Image{}, err
	}
	list, err := exec.CommandContext(ctx, program, "--list").Output()
	if err != nil {
		return Image{}, fmt.Errorf("busybox: %w", err)
	}
	files := []File{
		{Path: program, From: program},
		{Path: "/etc/passwd", Mode: 0o644, Text: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
		{Path: "/etc/group", Mode: 0o644, Text: "root:x:0:\nnogroup:x:65534:\n"},
		{Path: "/tmp", Mode: 0o1777, Folder: true},
		{Path: "/root", Mode: 0o700, Folder: true},
	}
	for _, applet := range strings.Fields(string(list)) {
		if link := path.Join("/bin", applet); link != program {
			files = append(files, File{Path: link, Link: "busybox"})
		}
	}
	return Image{Command: []string{"sh"}, Files: files}, nil
}

// sqlite is Debian's, with the libraries that it needs, beside busybox.
func sqlite(ctx context.Context) (Image, error) {
	const program = "/usr/bin/sqlite3"
	made, err := busybox(ctx)
	if err != nil {
		return Image{}, err
	}
	list, err := exec.CommandContext(ctx, "ldd", program).Output()
	if err != nil {
		return Image{}, fmt.Errorf("ldd %s: %w", program, err)
	}
	made.Files = append(made.Files, File{Path: program, From: program})
	for _, library := range libraryFile.FindAllString(string(list), -1) {
		made.Files = append(made.Files, File{Path: library, From: library})
	}
	return made, nil
}

// libraryFile is where ldd has found a library, or the program that loads them.
var libraryFile = regexp.MustCompile(`/\S+`)

// isStatic says whether a program needs no libraries, of which an image has none.
func isStatic(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	libraries, err := file.ImportedLibraries()
	if err == nil && len(libraries) > 0 {
		return fmt.Errorf("%s needs %v (apt-get install busybox-static)", program, libraries)
	}
	return err
}

var imageLine = regexp.MustCompile(`(?m)^[ -]*image: *([^\s#{}]+)`)

// namesIn are the names of images in the manifests below a directory, by their base names. Templates do not count: what they make is
// there, too.
func namesIn(directory string) (map[string][]string, error) {
	found := map[string][]string{}
	err := filepath.WalkDir(directory, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yaml" || strings.Contains(file, "/templates/") {
			return err
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, match := range imageLine.FindAllStringSubmatch(string(content), -1) {
			name := strings.Trim(match[1], `"'`)
			base, _, _ := strings.Cut(path.Base(name), ":")
			if !slices.Contains(found[base], name) {
				found[base] = append(found[base], name)
			}
		}
		return nil
	})
	return found, err
}

// hasNames says whether an archive holds images of these names.
func hasNames(archive string, names []string) error {
	manifest, err := tarball.LoadManifest(func() (io.ReadCloser, error) { return os.Open(archive) })
	if err != nil {
		return fmt.Errorf("%w (make image)", err)
	}
	for _, name := range names {
		if !slices.ContainsFunc(manifest, func(d tarball.Descriptor) bool { return slices.Contains(d.RepoTags, name) }) {
			return fmt.Errorf("%s does not hold %s (make image)", archive, name)
		}
	}
	return nil
}
