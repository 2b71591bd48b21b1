// SPDX-License-Identifier: Apache-2.0

package mountoptions

import (
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// FuzzMountOptions holds Translate to what the driver takes.
func FuzzMountOptions(f *testing.F) {
	for _, seed := range []string{"", "ro", "log-level=debug,acl", "backup-volfile-servers=a:b,ro", "direct-io-mode=enable,direct-io-mode=off", "read-only", "=,,=x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, old string) {
		result := Translate(strings.Split(old, ","))
		if err := gluster.CheckOptions(clientOptions(result.Kept)); err != nil {
			t.Errorf("%q: %v", old, err)
		}
	})
}
