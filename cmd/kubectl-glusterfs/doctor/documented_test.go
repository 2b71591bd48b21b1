// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

// TestDoctorKnowsTheParameters: the driver's own are compared with the same table.
func TestDoctorKnowsTheParameters(t *testing.T) {
	documented.Compare(t, "StorageClass `parameters`", parameters)
}
