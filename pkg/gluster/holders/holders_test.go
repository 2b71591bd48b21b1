// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestWhoKeepsFilesOfADeadClientIsSaidUntilHeDoesNot(t *testing.T) {
	n := newNode(t, func(w *Watcher) { w.after = time.Hour })
	pod := uid(t, 0)
	target := n.publish(pod, "said")
	before := time.Now()
	inPod := programs.Shell(t, "exec 3>>"+filepath.Join(target, "log")+" 4<"+filepath.Join(target, "file"))
	controlGroup(t, pod, id(t, 0), inPod)
	mapper := programs.Mapper(t, filepath.Join(target, "file"))
	dweller := programs.Shell(t, "cd "+target)
	n.die(target)

	h := n.holder(inPod)
	want := statedir.Holder{
		Volume: clients.GV0(), Connection: h.Connection, Since: h.Since, Root: "/said", Pod: pod, Container: id(t, 0), PID: inPod, Start: h.Start,
		Command: "sh", Files: 2, Writable: 1,
	}
	if h != want || h.Since.Before(before) || h.Since.After(time.Now()) {
		t.Errorf("it is said %+v, want %+v", h, want)
	}
	if h := n.holder(mapper); h.Mapped != 2 || h.Root != "/said" || h.Pod != "" {
		t.Errorf("of the mapped reader it is said %+v", h)
	}
	if h := n.holder(dweller); !h.Cwd || h.Root != "/said" {
		t.Errorf("of the working directory it is said %+v", h)
	}
	if said := shown(t, n.watcher); said[pod] != 2 || said[""] != 2 || len(said) != 2 {
		t.Errorf("the metric says %v", said)
	}
	looked, err := Look(t.Context(), n.StateDir())
	if err != nil || len(looked) != 3 {
		t.Errorf("another process sees %+v, %v", looked, err)
	}

	must(t, programs.End(inPod))
	testcluster.Eventually(t, clients.Patience, func() error {
		all, err := n.StateDir().Holders()
		if len(all) != 2 {
			return errors.Join(err, fmt.Errorf("there are %+v", all))
		}
		return err
	})
	if said := shown(t, n.watcher); said[""] != 2 || len(said) != 1 {
		t.Errorf("the metric says %v", said)
	}
	// The kernel has the file system until the last one ends, and then nothing is remembered.
	if ended, err := There(n.StateDir()); len(ended) != 1 || err != nil {
		t.Errorf("of the clients are there %+v, %v", ended, err)
	}
	must(t, programs.End(mapper), programs.End(dweller))
	testcluster.Eventually(t, clients.Patience, func() error {
		if ended, err := n.StateDir().Ended(); len(ended) > 0 || err != nil {
			return errors.Join(err, fmt.Errorf("remembered are %+v", ended))
		}
		return nil
	})
}

// What has been written down is known to the process that comes next, which did not see the death.
func TestWhoKeepsFilesIsKnownToTheNextProcess(t *testing.T) {
	n := newNode(t, func(w *Watcher) { w.after = time.Hour })
	target := n.publish(uid(t, 0), "next")
	pid := programs.Shell(t, "exec 3>>"+filepath.Join(target, "log"))
	n.die(target)
	n.holder(pid)
	next := New(n.StateDir(), time.Hour, nil)
	must(t, next.round(t.Context()))
	if len(next.known) != 1 || next.known[0].PID != pid {
		t.Errorf("known are %+v", next.known)
	}
}

func TestLooksAtAllProcessesBecomeRare(t *testing.T) {
	var p pace
	now := time.Now()
	var waits []time.Duration
	for range 9 {
		p.looked(now)
		waits = append(waits, p.due.Sub(now))
	}
	want := "[10s 20s 40s 1m20s 2m40s 5m20s 10m0s 10m0s 10m0s]"
	if fmt.Sprint(waits) != want {
		t.Errorf("they are %v apart, want %s", waits, want)
	}
}

// shown is what the metric says, by pod.
func shown(t *testing.T, w *Watcher) map[string]float64 {
	t.Helper()
	collected := make(chan prometheus.Metric, 100)
	w.metrics.files.Collect(collected)
	close(collected)
	all := map[string]float64{}
	for metric := range collected {
		var m dto.Metric
		must(t, metric.Write(&m))
		for _, label := range m.GetLabel() {
			if label.GetName() == "pod" {
				all[label.GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}
