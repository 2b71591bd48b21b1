// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"strings"
	"testing"
)

const mounts = `21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
22 21 8:2 / /var/lib/kubelet rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:40 / /var/lib/kubelet/pods/11/volumes/kubernetes.io~csi/smb/mount rw - cifs //server/private rw,username=alice
24 22 0:50 / /var/lib/glusterfs-csi/clients/pi/gv0/default/start-1/mnt rw - fuse.glusterfs pi-worker1:/gv0 rw,user_id=0
25 22 0:50 /shop/pvc-1 /var/lib/kubelet/pods/12/volumes/kubernetes.io~csi/pvc-1/mount rw - fuse.glusterfs pi-worker1:/gv0 rw,user_id=0
26 22 0:50 /shop/pvc-1/private\040letters/letters /var/lib/kubelet/pods/12/volume-subpaths/pvc-1/c/0 rw - fuse.glusterfs pi-worker1:/gv0 rw
27 22 0:50 /shop/pvc-1/letters//deleted /var/lib/kubelet/pods/12/volume-subpaths/pvc-1/c/1 rw - fuse.glusterfs pi-worker1:/gv0 rw
28 22 0:50 /other/private /var/lib/kubelet/pods/13/volume-subpaths/pvc-2/c/0 rw - fuse.glusterfs pi-worker1:/gv0 rw
`

// TestMountsOfOthersAndNamesWithinVolumesAreLeftOut wants the mounts of GlusterFS by all that tells one from another.
func TestMountsOfOthersAndNamesWithinVolumesAreLeftOut(t *testing.T) {
	h := Host{StateDir: "/var/lib/glusterfs-csi", KubeletDir: "/var/lib/kubelet"}
	text, left := h.redactMounts(mounts)
	if left != 2 || strings.Count(text, "\n") != 6 {
		t.Errorf("%d are left out of\n%s", left, text)
	}
	for _, private := range []string{"private", "letters", "alice", "cifs"} {
		if strings.Contains(text, private) {
			t.Errorf("%q is in\n%s", private, text)
		}
	}
	for _, line := range []string{
		"22 21 8:2 / /var/lib/kubelet rw,relatime shared:1 - ext4",
		"24 22 0:50 / /var/lib/glusterfs-csi/clients/pi/gv0/default/start-1/mnt rw - fuse.glusterfs pi-worker1:/gv0 rw,user_id=0\n",
		"25 22 0:50 /shop/pvc-1 /var/lib/kubelet/pods/12",
		"26 22 0:50 /shop/pvc-1/<1>/<2> /var",
		"27 22 0:50 /shop/pvc-1/<2>//deleted /var", // the same name has the same number
		"28 22 0:50 /other/<3> /var",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("%q is not in\n%s", line, text)
		}
	}
}

func TestTheNewestIsKept(t *testing.T) {
	const text = "first\nsecond\nthird\n"
	for size, want := range map[int64]string{0: "", 3: "", 6: "", 7: "third\n", 13: "third\n", 14: "second\nthird\n", 18: "second\nthird\n", 19: text, 100: text} {
		if got, cut := newest(text, size); got != want || cut != int64(len(text)-len(want)) {
			t.Errorf("%d bytes: %q, %d cut; want %q", size, got, cut, want)
		}
	}
}
