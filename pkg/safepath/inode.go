// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ListedInode returns the inode number of the entry called name as the file system lists it now, and not as the kernel
// remembers it: FUSE trusts for a second what it knew of a name, and a rename takes that along to the new one. It
// reads the names up to that one. fs.ErrNotExist if there is none.
func (d *Dir) ListedInode(name string) (uint64, error) {
	list, err := d.List(0)
	if err != nil {
		return 0, err
	}
	defer list.Close()
	for {
		n, err := unix.ReadDirent(list.dir.fd, list.buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, d.err("readdir", err)
		}
		if n == 0 {
			return 0, &os.PathError{Op: "readdir", Path: d.join(name), Err: fs.ErrNotExist}
		}
		if inode, found := inodeIn(list.buffer[:n], name); found {
			return inode, nil
		}
	}
}

// inodeIn looks for a name in what getdents64(2) gives.
func inodeIn(entries []byte, name string) (uint64, bool) {
	const lengthAt, nameAt = unsafe.Offsetof(unix.Dirent{}.Reclen), unsafe.Offsetof(unix.Dirent{}.Name)
	for len(entries) > int(nameAt) {
		length := int(binary.NativeEndian.Uint16(entries[lengthAt:]))
		if length <= int(nameAt) || length > len(entries) {
			break
		}
		found := unix.ByteSliceToString(entries[nameAt:length])
		if found == name {
			return binary.NativeEndian.Uint64(entries), true
		}
		entries = entries[length:]
	}
	return 0, false
}
