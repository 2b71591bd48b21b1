// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestCausesNameTheGlusterVolume(t *testing.T) {
	gv0 := gluster.Volume{Cluster: "pi", Name: "gv0"}
	for _, c := range causes {
		err := Explain(gv0, fmt.Errorf("try: %w", c.errno))
		if !errors.Is(err, c.kind) || strings.Contains(err.Error(), "VOLUME") || strings.Contains(err.Error(), "%") {
			t.Errorf("%v: %v", c.errno, err)
		}
	}
	if err := Explain(gv0, fmt.Errorf("read: %w", unix.EIO)); errors.Is(err, ErrDisconnected) || !strings.Contains(err.Error(), "heal gv0 info") {
		t.Errorf("EIO: %v", err)
	}
}
