// SPDX-License-Identifier: Apache-2.0

package roundtrips

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		name, profile string
		total         int
		valid         bool
	}{
		{"counts are added over kinds", "[gv0-client-0.latency]\ngv0-client-0.latency.MKDIR = AVG:1222351.000000 CNT:1 TOTAL:1222351 MIN:1222351 MAX:1222351\n" +
			"gv0-client-0.latency.LOOKUP = AVG:5336487.000000 CNT:7 TOTAL:37355409 MIN:398316 MAX:31994159\n", 8, true},
		{"nothing was sent since the last reading", "[gv0-client-0.latency]\n", 0, true},
		{"an empty file is not a profile", "", 0, false},
		{"a profile of another form is refused rather than read as nothing", "fop count\nMKDIR 1\n", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			counts := Counts{}
			err := parse(test.profile, counts)
			if (err == nil) != test.valid || counts.Total() != test.total {
				t.Errorf("got %v and error %v, want a total of %d", counts, err, test.total)
			}
		})
	}
}
