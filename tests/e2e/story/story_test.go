// SPDX-License-Identifier: Apache-2.0

// Package story plays an operator's whole story on the running two-node cluster, with the
// manifests and examples of this repository and with objects that kubectl shows.
//
// Each step makes what it needs and removes it, so that a step can be run again by itself
// on a cluster that was kept:
//
//	go test ./story -v -count=1 -run TestStory/03
package story

import (
	"context"
	"flag"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

var from = flag.String("from", "", "directory with an earlier version of this repository, whose image the nodes have: the story is the update from it, and nothing else")

var full = flag.Bool("full", false, "also what takes long: the steps 09, 10 and 15, and files held open in 11")

// What the manifests name.
const (
	driverNamespace = install.Namespace
	driverName      = install.Driver
	defaultClass    = "glusterfs"
	repository      = "../../.."
	examples        = repository + "/deploy/examples"
)

// TestStory is all of it, in the order in which an operator meets it.
func TestStory(t *testing.T) {
	c, err := cluster.Find()
	if err != nil {
		t.Fatal(err)
	}
	api, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, fn func(s *step)) bool {
		return t.Run(name, func(t *testing.T) {
			s := &step{T: t, Cluster: c, api: api}
			began := time.Now()
			fn(s)
			s.Logf("took %s", time.Since(began).Round(time.Second))
		})
	}
	if *from != "" {
		run("16_upgrade", upgrade)
		return
	}
	if !run("01_install", installation) {
		t.Fatal("the driver is not there: nothing after this could work")
	}
	run("02_claim", firstClaim)
	run("03_pods", sharing)
	run("04_access", accessModes)
	run("05_survival", survival)
	run("06_reclaim", reclaim)
	run("07_outage", outage)
	run("08_mistakes", mistakes)
	run("11_clients", clients)
	run("12_migrate", migration)
	run("13_capacity", capacity)
	run("14_snapshots", snapshots)
	if *full {
		run("09_many", many)
		run("10_uninstall", uninstall)
		run("15_recover", lost)
	}
}

// step is one step under way: its test, and the cluster.
type step struct {
	*testing.T
	*cluster.Cluster
	api kubernetes.Interface
}

// part is a part of a step with a name of its own.
func (s *step) part(name string, fn func(s *step)) bool {
	s.Helper()
	return s.Run(name, func(t *testing.T) { fn(&step{T: t, Cluster: s.Cluster, api: s.api}) })
}

// callTimeout bounds one command or call that has nothing to wait for.
const callTimeout = time.Minute

// context is for one call. It outlives the test's own, which ends before what cleans up.
func (s *step) context(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.Context()), timeout)
}
