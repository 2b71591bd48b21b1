// SPDX-License-Identifier: Apache-2.0

// Package programs gives clients GlusterFS's programs, libraries and translators in a place of their own, in which they outlive the container
// that started them: a client loads translators for as long as it lives, at each change of its Gluster volume's options, and an image whose
// containers have ended may be removed.
//
//	<state directory>/programs/<version>/usr/…   a copy of what the image has of Debian's packages, one for each version, for all clients that run it
//	<state directory>/programs/*.new, *.gone     what was being copied, or removed
//
// A client's root is a small file system in memory with that copy in it, read-only, in a mount namespace of the client's own (see Copy.Enter).
package programs

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// ErrNone says that there is no list of what a client needs: this process is not in the driver's image, and its programs are the host's.
var ErrNone = errors.New("no list of GlusterFS's files: this is not the driver's image")

// List is where the image says what it has of Debian's packages, by hack/image/pick.
const List = "/usr/share/glusterfs-csi/contents.txt"

// usr is what holds all files of the List, as Debian's merged /usr does.
const usr = "usr"

const (
	newSuffix  = ".new"
	goneSuffix = ".gone"
)

// Copy is a copy of the programs of one version.
type Copy struct {
	dir     string
	Version string // of GlusterFS, and what tells builds of it apart: the name of its directory
}

// dirOf is where the copies of a state directory are.
func dirOf(stateDir string) string { return filepath.Join(stateDir, "programs") }

// Make returns the copy of this image's programs below the state directory, which it makes unless it is there. It is whole, and on disk, before
// it has its name. At most one process may make and Sweep the copies of a state directory.
func Make(stateDir string) (Copy, error) {
	text, err := os.ReadFile(List)
	if errors.Is(err, fs.ErrNotExist) {
		return Copy{}, ErrNone
	}
	if err != nil {
		return Copy{}, err
	}
	version, files, err := parse(string(text))
	if err != nil {
		return Copy{}, fmt.Errorf("%s: %w", List, err)
	}
	c := Copy{dir: filepath.Join(dirOf(stateDir), version), Version: version}
	if _, err := os.Stat(c.dir); err == nil {
		return c, nil
	}
	if err := c.make(files); err != nil {
		return Copy{}, fmt.Errorf("copy GlusterFS's programs to %s: %w", c.dir, err)
	}
	return c, nil
}

// parse returns the files of a List, and a version that is the same for the same ones: their sizes and their packages' versions are in it.
func parse(text string) (version string, files []string, err error) {
	const client, length = "glusterfs-client", 8
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		switch {
		case len(fields) == 3 && fields[0] == client:
			version = fields[1]
		case len(fields) == 2 && strings.HasPrefix(fields[1], "/"+usr+"/") && filepath.Clean(fields[1]) == fields[1]:
			files = append(files, fields[1])
		}
	}
	if version == "" || len(files) == 0 || strings.ContainsRune(version, '/') {
		return "", nil, fmt.Errorf("it names no version of %s, or no file", client)
	}
	sum := sha256.Sum256([]byte(text))
	return version + "-" + hex.EncodeToString(sum[:])[:length], files, nil
}

func (c Copy) make(files []string) error {
	aside := c.dir + newSuffix
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	for _, file := range files {
		if err := copyFile(file, filepath.Join(aside, file)); err != nil {
			return err
		}
	}
	if err := errors.Join(credentials.MakeLinks(aside), syncFileSystem(aside)); err != nil {
		return err
	}
	if err := os.Rename(aside, c.dir); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(c.dir))
}

// syncFileSystem has all that was written to the file system of a directory on disk, by one call: a sync of each of the
// copy's hundreds of files takes many seconds on an SD card, in which no client can be started.
func syncFileSystem(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(dir.Fd())), dir.Close())
}

// copyFile copies a file with its mode, or a symbolic link.
func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return err
	}
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, source)
	return errors.Join(err, file.Close())
}

func syncDirectory(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Sweep removes the copies of a state directory that none of these versions is, and what was half made or removed.
func Sweep(stateDir string, used []string) error {
	entries, err := os.ReadDir(dirOf(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		name := entry.Name()
		if slices.Contains(used, name) {
			continue
		}
		path := filepath.Join(dirOf(stateDir), name)
		if !strings.HasSuffix(name, newSuffix) && !strings.HasSuffix(name, goneSuffix) {
			errMove := os.Rename(path, path+goneSuffix) // a copy that is removed in part has no name by which it is used
			if err = errors.Join(err, errMove); errMove != nil {
				continue
			}
			path += goneSuffix
		}
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// Of is the version that a process runs, "" of one that has no root of its own by Copy.Enter. It asks no file system but that root.
func Of(pid int) string {
	version, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/%s", pid, versionFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(version))
}
