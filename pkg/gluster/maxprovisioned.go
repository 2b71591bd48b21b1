// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"strconv"
	"strings"
)

// Maximum is how many bytes the volumes on a Gluster volume may have together: as many, or a share of its size. One of
// the two is positive; the zero value is no bound.
type Maximum struct {
	Bytes   int64
	Percent int64 // of the Gluster volume's size
}

// maxPercent is beyond what anybody means, and keeps a mistake from being no bound.
const maxPercent = 100_000

// ParseMaximum reads 150%, or bytes as ParseBytes does.
func ParseMaximum(text string) (Maximum, error) {
	if digits, isPercent := strings.CutSuffix(text, "%"); isPercent {
		percent, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || percent < 1 || percent > maxPercent {
			return Maximum{}, fmt.Errorf("%q is no share of a Gluster volume's size: 1%% to %d%%", text, maxPercent)
		}
		return Maximum{Percent: int64(percent)}, nil
	}
	size, err := ParseBytes(text)
	if err != nil {
		return Maximum{}, fmt.Errorf("%w, and no share, as 150%%", err)
	}
	return Maximum{Bytes: size}, nil
}

// Of returns the bound in bytes, of a Gluster volume of that size.
func (m Maximum) Of(size int64) int64 {
	if m.Percent == 0 {
		return m.Bytes
	}
	high, low := bits.Mul64(uint64(max(0, size)), uint64(m.Percent)) // may need more than 64 bits
	if high >= 100 {
		return math.MaxInt64
	}
	bound, _ := bits.Div64(high, low, 100)
	return int64(min(bound, math.MaxInt64))
}

// String is the form that ParseMaximum reads.
func (m Maximum) String() string {
	if m.Percent > 0 {
		return strconv.FormatInt(m.Percent, 10) + "%"
	}
	return strconv.FormatInt(m.Bytes, 10)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (m Maximum) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// UnmarshalJSON reads what ParseMaximum does, and a number of bytes.
func (m *Maximum) UnmarshalJSON(data []byte) error {
	text := string(data)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	parsed, err := ParseMaximum(text)
	*m = parsed
	return err
}

var bytesForm = regexp.MustCompile(`^([0-9]{1,19})(Ki|Mi|Gi|Ti|Pi)?$`)

// ParseBytes reads a positive number of bytes, as 107374182400 or 100Gi.
func ParseBytes(text string) (int64, error) {
	parts := bytesForm.FindStringSubmatch(text)
	if parts == nil {
		return 0, fmt.Errorf("%q is no number of bytes, as 107374182400 or 100Gi", text)
	}
	shift := 0
	if parts[2] != "" {
		shift = 10 * (strings.Index("KiMiGiTiPi", parts[2])/2 + 1)
	}
	number, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || number == 0 || number > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is no number of bytes between 1 and %d", text, int64(math.MaxInt64))
	}
	return number << shift, nil
}

// MaxProvisioned is the bound of a Gluster volume, the zero value where there is none.
func (c *Clusters) MaxProvisioned(v Volume) Maximum {
	cluster, err := c.Find(v)
	if err != nil {
		return Maximum{}
	}
	return cluster.MaxProvisioned[v.Name]
}
