// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"
)

func TestARecordKeepsItsSizeWhenTheGFIDIsRecorded(t *testing.T) {
	r := NewRecord(Spec{Name: "vol", Path: "vol", OnDelete: Trash})
	before := len(r.Encode())
	r.GFID = "d901cbfa-310a-49ed-9783-fed6c512c125"
	if after := len(r.Encode()); after != before {
		t.Errorf("%d bytes, then %d", before, after)
	}
}
