// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package chaos

import (
	"flag"
	"testing"
	"time"
)

var (
	playTime = flag.Duration("chaos.time", time.Minute, "how long things happen")
	seed     = flag.Uint64("chaos.seed", uint64(time.Now().UnixNano()), "what makes the same things happen again")
	volumes  = flag.Int("chaos.volumes", 20, "number of volumes, each with two writers")
	sets     = flag.Int("chaos.subvolumes", 1, "replica sets of gv0")
)

func TestMain(m *testing.M) {
	Main(m)
}

func TestChaos(t *testing.T) {
	cluster, cable := NewCluster(t, *sets)
	err := Run(t.Context(), cluster, Options{
		Time: *playTime, Seed: *seed, Volumes: *volumes, Subvolumes: *sets, Pause: 100 * time.Millisecond, Log: t.Logf, Wire: cable,
	})
	if err != nil {
		t.Error(err)
	}
}
