// SPDX-License-Identifier: Apache-2.0

package reconnect

import (
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
)

// reading is what a client tells that has these bricks, connected or not.
func reading(bricks map[string]bool) *meta.Reading {
	r := &meta.Reading{Graph: &meta.Graph{}}
	for _, host := range []string{"a", "b", "c"} {
		if connected, has := bricks[host]; has {
			r.Graph.Bricks = append(r.Graph.Bricks, meta.Brick{Host: host, Path: "/gv0"})
			r.Bricks = append(r.Bricks, meta.BrickState{Connected: connected})
		}
	}
	return r
}

func TestAClientIsReplacedByOneThatLacksNothing(t *testing.T) {
	for name, test := range map[string]struct {
		now, trial *meta.Reading
		lacks      []string
	}{
		"both have all":                     {reading(map[string]bool{"a": true, "b": true}), reading(map[string]bool{"a": true, "b": true}), nil},
		"one is away for both":              {reading(map[string]bool{"a": true, "b": false}), reading(map[string]bool{"a": true, "b": false}), nil},
		"the new one has more":              {reading(map[string]bool{"a": true, "b": false}), reading(map[string]bool{"a": true, "b": true}), nil},
		"the new one lacks one":             {reading(map[string]bool{"a": true, "b": true}), reading(map[string]bool{"a": true, "b": false}), []string{"b:/gv0"}},
		"one is of the volume no more":      {reading(map[string]bool{"a": true, "b": true}), reading(map[string]bool{"a": true}), []string{"b:/gv0"}},
		"the old one has not told":          {nil, reading(map[string]bool{"a": true, "b": false}), nil},
		"nor does the new one have a brick": {nil, reading(map[string]bool{"a": false}), []string{"any brick"}},
	} {
		if lacks := lacking(test.now, test.trial); !slices.Equal(lacks, test.lacks) {
			t.Errorf("%s: it lacks %v", name, lacks)
		}
	}
}
