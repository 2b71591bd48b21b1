// SPDX-License-Identifier: Apache-2.0

package documented

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	const text = `# Page

## Flags of ` + "`x`" + `

Words with ` + "`code`" + `.

| name | meaning |
|---|---|
| ` + "`one`" + ` | has ` + "`code`" + ` here |
| | a second row of the same, with ` + "`code`" + ` |
| ` + "`two`, `three`" + ` | |

| another | table |
|---|---|
| ` + "`four`" + ` | |

## Next

| ` + "`five`" + ` | |
`
	for heading, want := range map[string][]string{
		"Flags of `x`": {"one", "two", "three"}, "Next": {"five"}, "Absent": nil,
	} {
		if got := names(text, heading); !slices.Equal(got, want) {
			t.Errorf("below %q: %q, want %q", heading, got, want)
		}
	}
}
