// SPDX-License-Identifier: Apache-2.0

// Command pick makes the root directory of the image: from unpacked Debian packages it takes just what a GlusterFS
// client needs, with every library that something taken links, puts the driver beside it, and writes down what there is: for people,
// for dpkg and for scanners.
//
//	pick UNPACKED DRIVER ROOT
//
// UNPACKED holds one directory for each package, named as its file: name_version_architecture, with the package's control files in
// DEBIAN. A library that is in none of them is an error. It reads ELF headers and runs nothing, so the packages may be of any architecture.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// programs are what the driver runs, the client, and what the client may run: mount and umount (FUSE's own library does
// where /etc/mtab is a file). The driver itself mounts by system calls alone.
var programs = []string{"usr/sbin/glusterfs", "usr/bin/mount", "usr/bin/umount"}

// xlators are the translators that glusterd puts into a client's graph, or that the client adds itself, by the directory
// of their kind. Left out are those of bricks and daemons (glusterd, posix, server, bit-rot, changelog, index, locks, ...).
var xlators = map[string][]string{
	"": {"meta"},
	"cluster": {
		"distribute", "dht", "nufa", "switch", // how files are spread over subvolumes
		"replicate", "afr", "disperse", "ec",
	},
	"debug":       {"io-stats", "trace", "error-gen", "delay-gen"},
	"features":    {"shard", "utime", "read-only", "worm", "quiesce", "snapview-client", "cloudsync", "cdc", "namespace"},
	"mount":       {"fuse"},
	"performance": {"io-cache", "io-threads", "md-cache", "stat-prefetch", "nl-cache", "open-behind", "quick-read", "read-ahead", "readdir-ahead", "write-behind"},
	"protocol":    {"client"},
	"system":      {"posix-acl"}, // with the mount option acl
}

// besides are files that are opened by name while running: the transport, and what glibc loads to end a thread.
var besides = []string{"usr/lib/*/glusterfs/*/rpc-transport/socket.so", "usr/lib/*/libgcc_s.so.1"}

// etc is what glibc reads to resolve names.
var etc = map[string]string{
	"etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
	"etc/passwd":        "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
	"etc/group":         "root:x:0:\nnogroup:x:65534:\n",
}

// directories are mount points, so that the root may be read-only.
var directories = []string{"proc", "sys", "dev", "run/glusterfs-csi", "etc/glusterfs-csi", "var/lib/glusterfs-csi", "var/lib/kubelet", "var/log/glusterfs"}

// links are Debian's merged /usr.
var links = map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64", "var/run": "../run"}

func main() {
	version := flag.String("version", "devel", "of the driver, for the SBOM")
	created := flag.Int64("created", 0, "time of the source, for the SBOM, in seconds since 1970")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "usage: pick [-version VERSION] [-created SECONDS] UNPACKED DRIVER ROOT")
		os.Exit(2)
	}
	unpacked, driver, root := flag.Arg(0), flag.Arg(1), flag.Arg(2)
	p, err := open(unpacked)
	if err == nil {
		err = p.fill(root, driver)
	}
	if err == nil {
		err = p.inventory(root, driver, *version, time.Unix(*created, 0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pick:", err)
		os.Exit(1)
	}
}

// fill makes the root directory.
func (p *picker) fill(root, driver string) error {
	patterns := slices.Concat(programs, besides, release)
	for kind, names := range xlators {
		for _, name := range names {
			patterns = append(patterns, filepath.Join("usr/lib/*/glusterfs/*/xlator", kind, name+".so"))
		}
	}
	for _, pattern := range patterns {
		if err := p.take(pattern); err != nil {
			return err
		}
	}
	if err := p.copyTo(root); err != nil {
		return err
	}
	return errors.Join(skeleton(root), contents(p, root), copyFile(driver, filepath.Join(root, "usr/bin/glusterfs-csi")))
}

func skeleton(root string) error {
	var errs []error
	for _, dir := range directories {
		errs = append(errs, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for name, target := range links {
		errs = append(errs, os.Symlink(target, filepath.Join(root, name)))
	}
	for name, content := range etc {
		errs = append(errs, os.WriteFile(filepath.Join(root, name), []byte(content), 0o644))
	}
	tmp := filepath.Join(root, "tmp")
	return errors.Join(append(errs, credentials.MakeLinks(root), os.Mkdir(tmp, 0o755), os.Chmod(tmp, 0o777|os.ModeSticky))...)
}

// share is where the lists are of what is in the image.
const share = "usr/share/glusterfs-csi"

// contents writes the list of packages, with their licences beside it, and of files.
func contents(p *picker, root string) error {
	var text strings.Builder
	fmt.Fprintln(&text, "Debian packages of which parts are in this image:")
	for _, pkg := range p.packages() {
		fmt.Fprintf(&text, "  %s %s %s\n", pkg.name, pkg.version, pkg.architecture)
		if err := p.copyright(pkg, root); err != nil {
			return err
		}
	}
	fmt.Fprintln(&text, "Files, with their sizes in bytes:")
	for _, path := range p.taken() {
		fmt.Fprintf(&text, "%10d /%s\n", p.size(path), path)
	}
	if err := os.MkdirAll(filepath.Join(root, share), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, share, "contents.txt"), []byte(text.String()), 0o644)
}
