// SPDX-License-Identifier: Apache-2.0

package volume

import "testing"

func FuzzParseAttributes(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"capacity":1}`, `{"capacity":-1}`, `{"minReader":2}`, `{"color":{"a":[1]},"capacity":9}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		a, err := ParseAttributes(content)
		if err != nil {
			return
		}
		text, err := a.Encode()
		if err != nil {
			return // too long
		}
		again, err := ParseAttributes(text)
		if err != nil || again.Capacity != a.Capacity || len(again.unknown) != len(a.unknown) {
			t.Errorf("%q becomes %q: %+v, %v", content, text, again, err)
		}
	})
}
