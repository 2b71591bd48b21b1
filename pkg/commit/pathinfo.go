// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// pathinfoXattr is GlusterFS's answer to where something lies. With the name "glusterfs.pathinfo" the answer is the
// same, but the kernel asks for the attributes first, to see whether the caller may know.
const pathinfoXattr = "trusted.glusterfs.pathinfo"

// pathinfo asks where a file or directory lies.
func pathinfo(path string) (gluster.Placement, error) {
	const most = 64 << 10 // the kernel's own limit: 150 sets and more, in a directory
	value := make([]byte, most)
	n, err := unix.Getxattr(path, pathinfoXattr, value)
	if err != nil {
		return gluster.Placement{}, fmt.Errorf("ask where it lies (%s): %w", pathinfoXattr, err)
	}
	p, err := gluster.ParsePlacement(strings.TrimRight(string(value[:n]), "\x00"))
	if err != nil {
		return gluster.Placement{}, fmt.Errorf("%s: %w", pathinfoXattr, err)
	}
	return p, nil
}
