// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package soak is what takes hours: it is no part of `make test`.
package soak

import (
	"flag"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/chaos"
)

var (
	lasting = flag.Duration("soak.time", 2*time.Hour, "how long volumes come and go")
	seed    = flag.Uint64("soak.seed", uint64(time.Now().UnixNano()), "what makes the same events happen again, in the same order")
)

func TestMain(m *testing.M) { chaos.Main(m) }

func TestSoak(t *testing.T) {
	cluster, cable := chaos.NewCluster(t, 1)
	err := chaos.Soak(t.Context(), cluster, chaos.Options{
		Time: *lasting, Seed: *seed, Volumes: 2, Subvolumes: 1, Pause: 100 * time.Millisecond, Log: t.Logf, Wire: cable,
	})
	if err != nil {
		t.Error(err)
	}
}
