// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

const (
	accessACL    = "system.posix_acl_access"
	defaultACL   = "system.posix_acl_default"
	capabilities = "security.capability"
	userXattrs   = "user."
)

// xattrsOf are the extended attributes that are copied.
func xattrsOf(entry *safepath.Dir) (map[string]string, error) {
	names, err := entry.XattrNames()
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, name := range names {
		if !isCopied(name) {
			continue
		}
		if found[name], err = entry.Xattr(name); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// Like gives a new file of this process owner, mode, extended attributes and times of another, of which st are the
// attributes. An extended attribute that it does not take is an error.
func Like(to, source *safepath.Dir, st unix.Stat_t) error {
	xattrs, err := xattrsOf(source)
	if err != nil {
		return err
	}
	c := &copier{}
	if err := c.setOwner(to, st, ^uint32(0), to.Name, xattrs); err != nil {
		return err
	}
	if c.counts.Unkept.Count > 0 {
		return fmt.Errorf("an extended attribute cannot be kept: %s", &c.counts.Unkept)
	}
	return to.SetTimes(st.Atim, st.Mtim)
}

func isCopied(name string) bool {
	return strings.HasPrefix(name, userXattrs) || name == accessACL || name == defaultACL || name == capabilities
}

// setOwner sets owner, mode and extended attributes of what this process has made with a mode. A change of owner
// takes setuid and capabilities away, and one of the mode changes an ACL, so that is the order.
func (c *copier) setOwner(to *safepath.Dir, st unix.Stat_t, made uint32, path func() string, xattrs map[string]string) error {
	if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
		if err := to.Chown(int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFLNK && made&^umask() != st.Mode&0o7777 {
		if err := to.Chmod(st.Mode & 0o7777); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(xattrs)) {
		err := to.SetXattr(name, xattrs[name])
		if isNotKept(err) {
			c.count(func(r *Result) { r.Unkept.add(fmt.Sprintf("%s: %s: %v", path(), name, errors.Unwrap(err))) })
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isNotKept says that the destination does not take an attribute, for its kind or its size. A brick on ext4 says ENOSPC
// beyond 4 KiB of attributes; if there is no room for anything, the file's content or the next file says so.
func isNotKept(err error) bool {
	for _, errno := range []error{unix.ENOTSUP, unix.EPERM, unix.EINVAL, unix.ENOSPC, unix.E2BIG, unix.ERANGE} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// umask is this process's, which only files of /proc tell without changing it.
var umask = sync.OnceValue(func() uint32 {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(text), "\nUmask:")
	line, _, _ := strings.Cut(after, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 8, 32)
	if err != nil {
		return 0o777 // so every mode is set
	}
	return uint32(mask)
})
