// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestAClientStartsWhateverTheFirstServerDoes(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	for _, test := range []struct{ name, first string }{
		{"it refuses connections", cluster.Neighbour(200)},
		{"it accepts them and never answers", testcluster.SilentServer(t, cluster.Neighbour(201))},
		{"its name does not resolve", "no-such-host.invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newHost(t, clustersFile(t, append([]string{test.first}, cluster.Servers()...), "gv0"))
			c := ensure(t, h, gv0)
			checkWorks(t, c)
			arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.process.PID))
			do(t, err)
			// It takes 3 s to get past one that refuses, and never gets past one that is silent.
			_, first, _ := strings.Cut(string(arguments), "--volfile-server=")
			if first, _, _ = strings.Cut(first, "\x00"); !slices.Contains(cluster.Servers(), first) {
				t.Errorf("it asks %s first", first)
			}
		})
	}
}

func TestAFailedStartSaysWhyAndLeavesNothing(t *testing.T) {
	cluster := testcluster.Shared(t, testcluster.Options{})
	if err := cluster.CreateVolume("stopped", testcluster.VolumeOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cluster.DeleteVolume("stopped"); err != nil {
			t.Error(err)
		}
	}()
	if err := cluster.StopVolume("stopped"); err != nil {
		t.Fatal(err)
	}
	do(t, cluster.CreateVolume("refusing", testcluster.VolumeOptions{}), cluster.SetOption("refusing", "auth.reject", "127.*"))
	defer func() {
		if err := cluster.RemoveVolume("refusing"); err != nil {
			t.Error(err)
		}
	}()
	refusing := []string{cluster.Neighbour(200), cluster.Neighbour(202)}
	silent := testcluster.SilentServer(t, cluster.Neighbour(203))
	for _, test := range []struct {
		name     string
		servers  []string
		volume   string
		timeout  time.Duration
		want     error
		mentions []string
		cure     string
	}{
		{"the cluster has no such volume", cluster.Servers(), "gv9", patience, gluster.ErrNoSuchVolume, []string{"pi/gv9", "failed to fetch volume file (key:/gv9)"}, "gluster volume list"},
		{"the volume is not started", cluster.Servers(), "stopped", patience, gluster.ErrNotStarted, []string{"failed to get the port number"}, "gluster volume start stopped"},
		{"its bricks refuse this host", cluster.Servers(), "refusing", patience, gluster.ErrUnreachable, []string{"pi/refusing", "auth.reject", "gluster volume get refusing all"}, "its bricks refuse this node, which comes from 127."},
		{"all servers refuse connections", refusing, "gv0", patience, gluster.ErrUnreachable, []string{refusing[0] + " (connection refused)", refusing[1] + " (connection refused)"}, "glusterd runs"},
		{"no name resolves", []string{"no-such-host.invalid"}, "gv0", patience, gluster.ErrUnreachable, []string{"does not resolve", "DNS resolution failed on host no-such-host.invalid"}, "glusterd runs"},
		{"the only server never answers", []string{silent}, "gv0", 4 * time.Second, context.DeadlineExceeded, []string{gluster.ErrUnreachable.Error(), silent + " (no answer)"}, "glusterd runs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := NewHost(t.TempDir(), clustersFile(t, test.servers, test.volume))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
			defer cancel()
			began := time.Now()
			_, err = h.Ensure(ctx, gluster.Volume{Cluster: testcluster.Name, Name: test.volume}, nil)
			t.Logf("after %v: %v", time.Since(began).Round(time.Millisecond), err)
			checkError(t, err, test.want, append(test.mentions, test.cure)...)
			if beforeLog, _, hasLog := strings.Cut(err.Error(), "; its client "); !hasLog || !strings.Contains(beforeLog, test.cure) {
				t.Errorf("the cure is not before what the client logged: %v", err)
			}
			if n := strings.Count(err.Error(), gluster.ErrUnreachable.Error()); n > 1 {
				t.Errorf("the kind is there %d times", n)
			}
			if took := time.Since(began); took > test.timeout+patience {
				t.Errorf("it returned after %v", took)
			}
			if err := h.DetachStarted(t.Context()); err != nil { // ends a start that goes on for others, too
				t.Error(err)
			}
			checkNothingLeft(t, h)
		})
	}
}

func TestACallerThatLeavesDoesNotEndTheStartForOthers(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{})
	for i := range cluster.Servers() {
		if err := cluster.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	patient := make(chan error, 1)
	go func() {
		_, err := h.Ensure(t.Context(), gv0, nil)
		patient <- err
	}()
	const soon = 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	began := time.Now()
	_, err := h.Ensure(ctx, gv0, nil)
	checkError(t, err, context.DeadlineExceeded)
	checkError(t, err, gluster.ErrUnreachable)
	if took := time.Since(began); took > patience { // the start goes on for longer
		t.Errorf("it left after %v", took)
	}
	for i := range cluster.Servers() {
		if err := cluster.ContinueServer(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-patient; err != nil {
		t.Errorf("the other caller got %v", err)
	}
	if n := processCount(t, h); n != 1 {
		t.Errorf("%d processes run", n)
	}
}

func TestAClientWithoutQuorumIsLeftAlone(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{Replica: 3})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	c := ensure(t, h, gv0)
	lost := []int{0, 1}
	for _, i := range lost {
		if err := cluster.KillBrick("gv0", i); err != nil {
			t.Fatal(err)
		}
	}
	testcluster.Eventually(t, patience, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := h.Ensure(ctx, gv0, nil); !errors.Is(err, gluster.ErrNotConnected) || errors.Is(err, gluster.ErrUnreachable) {
			return fmt.Errorf("want gluster.ErrNotConnected alone, got %w", err)
		}
		return nil
	})
	_, err := h.Ensure(t.Context(), gv0, nil)
	checkError(t, err, gluster.ErrNotConnected, "pi/gv0", "gluster volume status gv0")
	t.Log(err)
	for _, i := range lost {
		if err := cluster.StartBrick("gv0", i); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	testcluster.Eventually(t, patience, func() error {
		again, err := h.Ensure(t.Context(), gv0, nil)
		if err == nil && again != c {
			return errors.New("it was replaced")
		}
		return err
	})
	t.Logf("recovered %v after the bricks", time.Since(began).Round(time.Millisecond))
	checkWorks(t, c)
}

func TestAClientThatDoesNotAnswerCostsNothingAndIsLeftAlone(t *testing.T) {
	cluster := testcluster.New(t, testcluster.Options{})
	h := newHost(t, clustersFile(t, cluster.Servers(), "gv0"))
	c := ensure(t, h, gv0)
	for i := range cluster.Servers() {
		if err := cluster.StopServer(i); err != nil {
			t.Fatal(err)
		}
	}
	const soon = 20 * time.Millisecond
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), soon)
		defer cancel()
		_, err := h.Ensure(ctx, gv0, nil)
		return err
	}
	testcluster.Eventually(t, patience, func() error {
		if err := ask(); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, gluster.ErrUnreachable) {
			return fmt.Errorf("want a deadline, got %w", err)
		}
		return nil
	})
	before := runtime.NumGoroutine()
	const rounds = 100
	for range rounds {
		began := time.Now()
		checkError(t, ask(), context.DeadlineExceeded)
		if took := time.Since(began); took > patience {
			t.Fatalf("it returned after %v", took)
		}
	}
	if after := runtime.NumGoroutine(); after > before+2 {
		t.Errorf("%d goroutines became %d", before, after)
	}
	t.Log(ask())
	testcluster.Eventually(t, patience, func() error { // on a busy machine not at once
		c.Checkup(t.Context())
		if asked := c.Observed().ReadAsked; !asked.IsZero() {
			return fmt.Errorf("it has not told its own state since %v", asked)
		}
		return nil
	})
	for i := range cluster.Servers() {
		if err := cluster.ContinueServer(i); err != nil {
			t.Fatal(err)
		}
	}
	if again := ensure(t, h, gv0); again != c {
		t.Error("it was replaced")
	}
}
