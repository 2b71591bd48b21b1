// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestMaximaOfTheClustersFile(t *testing.T) {
	clusters := parse(t, `
clusters:
  - name: pi
    servers: [a]
    volumes: [share, number, size, none]
    maxProvisioned: {share: 150%, number: 1000, size: 2Ti}
`)
	for name, want := range map[string]int64{"share": 1500, "number": 1000, "size": 2 << 40, "none": 0} {
		if got := clusters.MaxProvisioned(Volume{"pi", name}).Of(1000); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	if got := clusters.MaxProvisioned(Volume{"pi", "other"}); got != (Maximum{}) {
		t.Errorf("a Gluster volume that is not there has the maximum %s", got)
	}
}

func TestMaximaThatAreRefused(t *testing.T) {
	for text, mention := range map[string]string{
		"{w: 150%}":                    `"w"`, // which is not listed
		"{v: 0%}":                      "1%",
		"{v: 100001%}":                 "100000%",
		"{v: -5%}":                     "-5%",
		"{v: 1.5}":                     "1.5",
		"{v: 0}":                       "between 1",
		"{v: -1}":                      "-1",
		"{v: 10GB}":                    "10GB",
		"{v: 9Pi5}":                    "9Pi5",
		"{v: 8192Pi}":                  "between 1",
		"{v: 9223372036854775808}":     "between 1",
		`{v: ""}`:                      "150%",
		"{v: 18446744073709551616000}": "150%",
	} {
		_, err := ParseClusters([]byte("clusters: [{name: pi, servers: [a], volumes: [v], maxProvisioned: " + text + "}]"))
		if err == nil || !strings.Contains(err.Error(), mention) {
			t.Errorf("%s: got error %v, want one that mentions %q", text, err, mention)
		}
	}
}

func TestSharesOfAnySize(t *testing.T) {
	for _, test := range []struct{ percent, size, want int64 }{
		{100, math.MaxInt64, math.MaxInt64}, {150, math.MaxInt64, math.MaxInt64}, {maxPercent, math.MaxInt64, math.MaxInt64},
		{50, math.MaxInt64, math.MaxInt64 / 2}, {33, 10, 3}, {1, 0, 0}, {1, -1, 0},
	} {
		if got := (Maximum{Percent: test.percent}).Of(test.size); got != test.want {
			t.Errorf("%d %% of %d is %d, want %d", test.percent, test.size, got, test.want)
		}
	}
}

func FuzzParseMaximum(f *testing.F) {
	for _, seed := range []string{"150%", "1", "100Gi", "7Pi", "8Pi", "%", "", "1Ei"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMaximum(text)
		if err != nil {
			return
		}
		if m.Of(1<<40) < 1 {
			t.Errorf("%q is %d bytes", text, m.Of(1<<40))
		}
		data, err := json.Marshal(m)
		var back Maximum
		if err == nil {
			err = yaml.Unmarshal(data, &back)
		}
		if err != nil || back != m {
			t.Errorf("%q became %s, and %v, %v", text, data, back, err)
		}
	})
}
