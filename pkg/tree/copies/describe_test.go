// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// describe says of every entry what a copy has to have.
func describe(t *testing.T, root string) map[string]string {
	t.Helper()
	paths := allBelow(t, root)
	texts, inodes := make([]string, len(paths)), make([]uint64, len(paths))
	var all errgroup.Group
	all.SetLimit(workers)
	for i, path := range paths {
		all.Go(func() (err error) {
			texts[i], inodes[i], err = describeEntry(path)
			return err
		})
	}
	must(t, all.Wait())
	found, names := map[string]string{}, map[uint64]string{}
	for i, path := range paths {
		rel, _ := filepath.Rel(root, path)
		switch ino := inodes[i]; {
		case ino == 0:
		case names[ino] == "":
			names[ino] = rel // others of its names may be elsewhere
		default:
			texts[i] += " as " + names[ino]
		}
		found[rel] = texts[i]
	}
	return found
}

// allBelow are the paths of a tree, in order.
func allBelow(t *testing.T, root string) (paths []string) {
	t.Helper()
	must(t, filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		paths = append(paths, path)
		return err
	}))
	return paths
}

// describeEntry also returns the inode of what has several names.
func describeEntry(path string) (text string, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", 0, err
	}
	kind := st.Mode & unix.S_IFMT
	text = fmt.Sprintf("mode %o owner %d:%d time %d.%09d", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
	switch kind {
	case unix.S_IFLNK:
		to, err := os.Readlink(path)
		if err != nil {
			return "", 0, err
		}
		text += " to " + to
	case unix.S_IFREG:
		content, err := contentHash(path)
		if err != nil {
			return "", 0, err
		}
		text += fmt.Sprintf(" size %d content %s", st.Size, content)
		if st.Blocks*512 < st.Size/2 {
			text += " sparse"
		}
	case unix.S_IFCHR, unix.S_IFBLK:
		text += fmt.Sprintf(" device %x", st.Rdev)
	}
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		ino = st.Ino
	}
	attributes, err := xattrText(path)
	return text + attributes, ino, err
}

func contentHash(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	sum, buffer := sha256.New(), make([]byte, min(info.Size(), 1<<20))
	for at := int64(0); at < info.Size(); {
		start, err := unix.Seek(int(file.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err != nil {
			return "", err
		}
		end, err := unix.Seek(int(file.Fd()), start, unix.SEEK_HOLE)
		if err != nil || end <= start {
			return "", errors.Join(err, fmt.Errorf("%s: data from %d to %d", path, start, end))
		}
		for start < end {
			n, err := file.ReadAt(buffer[:min(end-start, int64(len(buffer)))], start)
			if n == 0 {
				return "", fmt.Errorf("%s: at %d: %w", path, start, err)
			}
			for at := 0; at < n; at += page { // what is zero is as good as a hole
				if data := buffer[at:min(at+page, n)]; !bytes.Equal(data, zeros[:len(data)]) {
					fmt.Fprint(sum, start+int64(at), ":")
					sum.Write(data)
				}
			}
			start += int64(n)
		}
		at = end
	}
	return hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// xattrText has those that are to be copied.
func xattrText(path string) (string, error) {
	list := make([]byte, 1<<10)
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.ENOTSUP) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	names := strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		if strings.HasPrefix(name, "trusted.") || name == "security.foo" || name == "" || name == "security.selinux" {
			continue
		}
		value := make([]byte, 8<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, " %s=%x", name, value[:n])
	}
	return text.String(), nil
}
