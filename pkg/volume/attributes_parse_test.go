// SPDX-License-Identifier: Apache-2.0

package volume

import "testing"

func FuzzParseAttributes(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"capacity":1}`, `{"capacity":-1}`, `{"minReader":2}`, `{"color":{"a":[1]},"capacity":9}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		a, err := parseAttributes(content)
		if err != nil {
			return
		}
		text, err := a.encode()
		if err != nil {
			return // too long
		}
		again, err := parseAttributes(text)
		if err != nil || again.Capacity != a.Capacity || len(again.unknown) != len(a.unknown) {
			t.Errorf("%q becomes %q: %+v, %v", content, text, again, err)
		}
	})
}

func FuzzParseAttributesFile(f *testing.F) {
	for _, seed := range []string{"", "a.1", "a.20261126T120000.000000000Z.1", "a.b.20261126T120000.000000000Z.-1", "a.20261126T120000.000000000Z.01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a, ok := parseAttributesFile(file{name: name})
		if ok && attributesName(a.stamp, a.generation) != name {
			t.Errorf("%q is read as %s of generation %d", name, a.stamp, a.generation)
		}
	})
}
