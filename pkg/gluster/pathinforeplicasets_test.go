// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"reflect"
	"testing"
)

var placements = []struct {
	name, text string
	want       Placement
}{
	{
		"a file on a replica set",
		`(<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-1> <POSIX(/b 1/brick):vm:/b 1/brick/f> <POSIX(/b/brick):pi:/b/brick/f>))`,
		Placement{Subvolumes: []Subvolume{{"gv0-replicate-1", 2}}},
	},
	{
		"a file on a brick",
		`(<DISTRIBUTE:gv0-dht> <POSIX(/b):vm:/b/f>)`,
		Placement{Subvolumes: []Subvolume{{"POSIX(/b):vm", 1}}},
	},
	{
		"a directory on replica sets, one of which is being taken out",
		`((<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> <POSIX(/b0):vm:/b0/d>) (<REPLICATE:gv0-replicate-1> <POSIX(/b2):vm:/b2/d> <POSIX(/b3):vm:/b3/d>))` +
			` (gv0-dht-layout (gv0-replicate-0 0 0) (gv0-replicate-1 0 4294967295)))`,
		Placement{Subvolumes: []Subvolume{{"gv0-replicate-0", 1}, {"gv0-replicate-1", 2}}, Distribute: "gv0-dht", Layout: []string{"gv0-replicate-0", "gv0-replicate-1"}, Ranges: 1},
	},
	{
		"a directory on bricks",
		`((<DISTRIBUTE:gv0-dht> <POSIX(/b):vm:/b/> <POSIX(/b):pi:/b/>) (gv0-dht-layout (gv0-client-0 2147483647 4294967295) (gv0-client-1 0 2147483646)))`,
		Placement{Subvolumes: []Subvolume{{"POSIX(/b):vm", 1}, {"POSIX(/b):pi", 1}}, Distribute: "gv0-dht", Layout: []string{"gv0-client-0", "gv0-client-1"}, Ranges: 2},
	},
	{
		"a file without distribution",
		`(<REPLICATE:gv0-replicate-0> <POSIX(/b):vm:/b/f> <POSIX(/c):vm:/c/f>)`,
		Placement{Subvolumes: []Subvolume{{"gv0-replicate-0", 2}}},
	},
}

func TestPlacement(t *testing.T) {
	for _, test := range placements {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParsePlacement(test.text)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
	for _, text := range []string{
		"", "()", "(<DISTRIBUTE:gv0-dht>)", "(<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0>))", "(<POSIX(/b):vm:/b/f>", "(<POSIX(/b",
		"(<DISTRIBUTE:d> ())", "(<POSIX(/b):vm:/b/f>) more",
	} {
		if got, err := ParsePlacement(text); err == nil {
			t.Errorf("%q is %+v, want an error", text, got)
		}
	}
}

func FuzzPlacement(f *testing.F) {
	for _, each := range placements {
		f.Add(each.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePlacement(text)
		if err == nil && len(p.Subvolumes) == 0 {
			t.Errorf("%q lies nowhere, and that is no error", text)
		}
		for _, s := range p.Subvolumes {
			if s.Name == "" || s.Bricks < 1 {
				t.Errorf("%q lies on %+v", text, s)
			}
		}
	})
}
