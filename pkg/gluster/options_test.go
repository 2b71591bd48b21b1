// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestCheckOptions(t *testing.T) {
	for _, test := range []struct {
		name    string
		options []string
		mention string // of the error; "" where there is none
	}{
		{"none", nil, ""},
		{"some", []string{"acl", "log-level=WARNING", "attribute-timeout=0.5", "direct-io-mode=off"}, ""},
		{"one twice", []string{"acl", "acl"}, ""},
		{"one that is unknown", []string{"frobnicate"}, "acl, attribute-timeout"},
		{"one that names translators", []string{"xlator-option=*.a=b"}, "acl, attribute-timeout"},
		{"a misspelt one", []string{"log-levl=INFO"}, "did you mean log-level?"},
		{"backup servers", []string{"backup-volfile-servers=a:b"}, "clusters file"},
		{"a value where none belongs", []string{"acl=on"}, "takes no value"},
		{"no value where one belongs", []string{"log-level"}, "log-level=TRACE|"},
		{"a value out of range", []string{"reader-thread-count=65"}, "reader-thread-count=NUMBER"},
		{"a number with a sign", []string{"lru-limit=+1"}, "lru-limit=NUMBER"},
		{"several in one", []string{"acl,log-level=INFO"}, "acl,log-level=INFO"},
		{"a value with another argument", []string{"log-level=INFO --volfile=/etc/passwd"}, "log-level="},
		{"two values of one", []string{"log-level=INFO", "log-level=ERROR"}, "contradict"},
		{"an empty one", []string{""}, "the options for clients are"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := CheckOptions(test.options)
			switch {
			case test.mention == "" && err != nil:
				t.Error(err)
			case test.mention != "" && (!errors.Is(err, ErrOption) || !strings.Contains(err.Error(), test.mention)):
				t.Errorf("got error %v, want ErrOption that mentions %q", err, test.mention)
			}
		})
	}
}

func TestAllowedOptionsAreSorted(t *testing.T) {
	if !slices.IsSortedFunc(AllowedOptions(), func(a, b Option) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("they are not")
	}
}

func TestDefaultsGiveWayToWhatIsAskedFor(t *testing.T) {
	for _, test := range []struct{ options, want []string }{
		{nil, []string{"auto-invalidation=on", "lru-limit=16384"}},
		{[]string{"acl"}, []string{"acl", "auto-invalidation=on", "lru-limit=16384"}},
		{[]string{"acl", "lru-limit=0"}, []string{"acl", "lru-limit=0", "auto-invalidation=on"}},
		{[]string{"auto-invalidation=off"}, []string{"auto-invalidation=off", "lru-limit=16384"}},
	} {
		want := []string{"--" + fileCache, "--" + lookEverywhere}
		for _, option := range test.want {
			want = append(want, "--"+option)
		}
		if got := Arguments("gv0", test.options); !slices.Equal(got, want) {
			t.Errorf("%v became %v, want %v", test.options, got, want)
		}
	}
}

func FuzzNormalizeOptions(f *testing.F) {
	for _, seed := range []string{"", "acl", "acl\nlog-level=INFO\nacl", "lru-limit=0", "attribute-timeout=1.5", "log-level", "=", "acl="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		options := strings.Split(text, "\n")
		normal, err := NormalizeOptions(options)
		if err != nil {
			if !errors.Is(err, ErrOption) {
				t.Errorf("another kind of error: %v", err)
			}
			return
		}
		for _, option := range normal {
			if strings.ContainsAny(option, " ,/*\x00") || strings.HasPrefix(option, "-") {
				t.Errorf("%q was let through", option)
			}
		}
		again, err := NormalizeOptions(normal)
		if err != nil || !slices.Equal(again, normal) {
			t.Errorf("normalizing %q again made it %q, %v", normal, again, err)
		}
	})
}
