// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"
	tests := []struct {
		name, stat string
		want       process
		ok         bool
	}{
		{"a plain command", "7 (glusterd) S" + rest, process{state: 'S', parent: 1, start: 4711}, true},
		{"a command that looks like fields", "7 (a) R 9 (b) T" + rest, process{state: 'T', parent: 1, start: 4711}, true},
		{"too few fields", "7 (glusterd) S 1 7", process{}, false},
		{"nothing", "", process{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat([]byte(test.stat))
			if (err == nil) != test.ok || got.state != test.want.state || got.parent != test.want.parent || got.start != test.want.start {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestDescendants(t *testing.T) {
	all := []process{{pid: 1}, {pid: 2, parent: 1}, {pid: 3, parent: 2}, {pid: 4, parent: 3}, {pid: 5, parent: 1}}
	got := slices.Sorted(maps.Keys(descendants(all, 2)))
	if want := []int{3, 4}; !slices.Equal(got, want) {
		t.Errorf("descendants of 2: %v, want %v", got, want)
	}
}

func TestIsBelow(t *testing.T) {
	tests := []struct {
		path, dir string
		want      bool
	}{
		{"/tmp/c1", "/tmp/c1", true},
		{"/tmp/c1/s0", "/tmp/c1", true},
		{"/tmp/c11", "/tmp/c1", false},
		{"/tmp", "/tmp/c1", false},
	}
	for _, test := range tests {
		if got := isBelow(test.path, test.dir); got != test.want {
			t.Errorf("isBelow(%q, %q) = %v", test.path, test.dir, got)
		}
	}
}

func TestPollEndsWithTheLastError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	reason := errors.New("not yet")
	err := Poll(ctx, func() error { return reason })
	if !errors.Is(err, reason) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestWithinDoesNotWaitForWhatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	err := Within(10*time.Millisecond, func() error { <-hang; return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}
