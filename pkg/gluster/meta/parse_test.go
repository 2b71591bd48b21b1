// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// What GlusterFS 10.3 shows, shortened.
const (
	replicaVolfile = `volume gv0-client-0
    type protocol/client
    option opversion 100000
    option remote-host 127.1.2.1
    option remote-subvolume /bricks/gv0 with a blank
    option password secret
    option empty 
end-volume

volume gv0-client-1
    type protocol/client
    option remote-host pi-worker2
    option remote-subvolume /bricks/gv0
end-volume

volume gv0-replicate-0
    type cluster/replicate
    option afr-pending-xattr gv0-client-0,gv0-client-1
    subvolumes gv0-client-0 gv0-client-1
end-volume

volume gv0-dht
    type cluster/distribute
    subvolumes gv0-replicate-0
end-volume

`
	brickPrivate = `[xlator.protocol.client.gv0-client-0.priv]
fd.0.remote_fd = 3
------ = ------
connected = 1
total_bytes_read = 3316
ping_timeout = 42
total_bytes_written = 4112
ping_msgs_sent = 1
msgs_sent = 11

`
	replicatePrivate = `[cluster/replicate.gv0-replicate-0]
child_count = 2
child_up[0] = 1
pending_key[0] = trusted.afr.gv0-client-0
child_latency[0] = 0
halo_child_up[0] = 0
child_up[1] = 0
quorum-type = auto
up = 1
`
	dispersePrivate = `[cluster/disperse.ec-disperse-0]
up = 0
nodes = 3
childs_up_mask = 001
[cluster/disperse.ec-disperse-0.stats.stripe_cache]
hits = 0
`
)

func TestAVolfileTellsBricksAndTheirSets(t *testing.T) {
	got, err := parseVolfile(strings.NewReader(replicaVolfile))
	if err != nil {
		t.Fatal(err)
	}
	want := &Graph{
		Bricks: []Brick{
			{Translator: "gv0-client-0", Host: "127.1.2.1", Path: "/bricks/gv0 with a blank"},
			{Translator: "gv0-client-1", Host: "pi-worker2", Path: "/bricks/gv0"},
		},
		Sets: []Set{{Translator: "gv0-replicate-0", Children: []string{"gv0-client-0", "gv0-client-1"}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAMalformedVolfileIsRefused(t *testing.T) {
	for name, volfile := range map[string]string{
		"it is empty":                       "",
		"it ends within a volume":           strings.TrimSuffix(replicaVolfile, "end-volume\n\n"),
		"a volume in a volume":              "volume a\nvolume b\n",
		"a line outside":                    replicaVolfile + "type x\n",
		"an unknown keyword":                "volume a\nkind x\nend-volume\n",
		"a volume without type":             "volume a\nend-volume\n",
		"a brick without address":           "volume a\ntype protocol/client\noption remote-host h\nend-volume\n",
		"a name that climbs":                strings.Replace(replicaVolfile, "volume gv0-dht", "volume ..", 1),
		"a name with a slash":               strings.Replace(replicaVolfile, "volume gv0-dht", "volume a/b", 1),
		"a name twice":                      replicaVolfile + replicaVolfile,
		"a set of what is not there":        strings.Replace(replicaVolfile, "subvolumes gv0-client-0", "subvolumes gv0-client-7", 1),
		"a line longer than any path":       "volume " + strings.Repeat("x", maxMetaLine),
		"more bytes than any volume needs":  strings.Repeat("\n", maxMetaFile+1),
		"a volume without a single brick":   "volume a\ntype debug/io-stats\nend-volume\n",
		"something after the volume's end ": "volume a\ntype x\nend-volume now\n",
	} {
		t.Run(name, func(t *testing.T) {
			g, err := parseVolfile(strings.NewReader(volfile))
			if err == nil {
				t.Errorf("it became %+v", g)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

func TestABricksStateIsRead(t *testing.T) {
	got, err := parseBrickState(strings.NewReader(brickPrivate))
	if want := (BrickState{Connected: true, Received: 3316}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = parseBrickState(strings.NewReader(strings.Replace(brickPrivate, "connected = 1", "connected = 0", 1)))
	if err != nil || got.Connected {
		t.Errorf("got %+v, %v, want one that is not connected", got, err)
	}
}

func TestASetsStateIsRead(t *testing.T) {
	got, err := parseSetState(strings.NewReader(replicatePrivate))
	if want := (SetState{Up: true, Quorum: "auto", Down: map[int]bool{1: true}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	got, err = parseSetState(strings.NewReader(dispersePrivate))
	if want := (SetState{Down: map[int]bool{}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestMalformedStatesAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a flag that is a word":      "connected = yes\ntotal_bytes_read = 1\nup = yes\n",
		"a flag that is missing":     "total_bytes_read = 1\nquorum-type = auto\n",
		"a number that is none":      "connected = 1\ntotal_bytes_read = -1\nup = 1\nchild_up[x] = 1\n",
		"a bracket that stays open":  "connected = 1\nup = 1\nchild_up[1 = 1\n",
		"a child that is half there": "connected = 1\nup = 1\nchild_up[1] = 2\n",
		"a line without a value":     "connected = 1\ntotal_bytes_read = 1\nup = 1\nnonsense\n",
	} {
		t.Run(name, func(t *testing.T) {
			if state, err := parseBrickState(strings.NewReader(text)); err == nil {
				t.Errorf("a brick's: %+v", state)
			}
			if state, err := parseSetState(strings.NewReader(text)); err == nil {
				t.Errorf("a set's: %+v", state)
			}
		})
	}
	if _, err := parseBrickState(strings.NewReader("[xlator.protocol.client.gv0-client-0.priv]\n")); !errors.Is(err, errBusy) {
		t.Errorf("a translator that is busy: %v", err)
	}
}

func FuzzVolfile(f *testing.F) {
	f.Add(replicaVolfile)
	f.Add("volume a\n    type protocol/client\n    option remote-host h\n    option remote-subvolume /b\nend-volume\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := parseVolfile(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(g.Bricks) == 0 {
			t.Error("a graph without bricks")
		}
		names := map[string]bool{}
		for _, b := range g.Bricks {
			if !isComponent(b.Translator) || names[b.Translator] || b.Host == "" || b.Path == "" {
				t.Errorf("brick %+v", b)
			}
			names[b.Translator] = true
		}
		for _, s := range g.Sets {
			for _, child := range s.Children {
				if !isComponent(s.Translator) || !names[child] {
					t.Errorf("set %+v", s)
				}
			}
		}
	})
}

func FuzzPrivate(f *testing.F) {
	f.Add(brickPrivate)
	f.Add(replicatePrivate)
	f.Add(dispersePrivate)
	f.Fuzz(func(t *testing.T, text string) {
		if state, err := parseBrickState(strings.NewReader(text)); err != nil && state != (BrickState{}) {
			t.Errorf("%+v together with %v", state, err)
		}
		state, err := parseSetState(strings.NewReader(text))
		if err != nil && (state.Up || state.Down != nil) {
			t.Errorf("%+v together with %v", state, err)
		}
		for child := range state.Down {
			if child < 0 {
				t.Errorf("child %d", child)
			}
		}
	})
}
