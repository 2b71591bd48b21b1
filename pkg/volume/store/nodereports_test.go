// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func reported(t *testing.T, s *store.Store, want ...store.Report) {
	t.Helper()
	if got, isAll, err := s.Reports(); err != nil || !isAll || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("reported is %+v, %v; want %+v", got, err, want)
	}
}

func links(t *testing.T, mountpoint string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(mountpoint, ".glusterfs-csi/reports/??/*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWhatANodeReports(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	a := store.Report{Node: "a", Pods: []store.Pod{{UID: "1", Code: "Dead", Message: "restart it"}, {UID: "2", Code: "Dead", Message: "<&>\n"}}}
	b := store.Report{Node: strings.Repeat("b", 253), Pods: a.Pods[:1]}
	reported(t, s.Store)
	volumes.Must(t, s.SetReport(store.Report{Node: "a"}), s.SetReport(b), s.SetReport(a))
	reported(t, s.Store, a, b)

	// It was ended before it removed the earlier one, or a clock that was ahead has made it.
	shard := filepath.Dir(links(t, mountpoint)[0])
	for _, link := range links(t, mountpoint) {
		at, err := os.Readlink(link)
		volumes.Must(t, err)
		if strings.HasPrefix(at, `{"node":"a"`) {
			shard = filepath.Dir(link)
			node, _, _ := strings.Cut(filepath.Base(link), ".")
			volumes.Must(t, os.Symlink(`{"node":"a","pods":[]}`, filepath.Join(shard, node+".1")), os.Symlink(at, filepath.Join(shard, node+".4000000000000000000")))
		}
	}
	reported(t, s.Store, a, b)
	a.Pods = a.Pods[1:]
	volumes.Must(t, s.SetReport(a))
	reported(t, s.Store, a, b)
	if all := links(t, mountpoint); len(all) != 2 {
		t.Errorf("there are %q", all)
	}

	a.Pods = nil
	for i := range 100 {
		a.Pods = append(a.Pods, store.Pod{UID: fmt.Sprint(i), Code: "Dead", Message: strings.Repeat("ü", 1000)})
	}
	volumes.Must(t, s.SetReport(a))
	got, _, err := s.Reports()
	if err != nil || len(got) != 2 || len(got[0].Pods) < 5 || got[0].Pods[4].UID != "4" || !strings.HasSuffix(got[0].Pods[4].Message, "ü…") {
		t.Errorf("of a hundred pods %+v are reported, %v", got, err)
	}

	damaged := filepath.Join(shard, "damaged.1")
	volumes.Must(t, os.Symlink("{", damaged))
	if got, isAll, err := s.Reports(); err == nil || isAll || !strings.Contains(err.Error(), "damaged.1") || len(got) != 2 {
		t.Errorf("beside one that is damaged %d are reported, %v", len(got), err)
	}
	volumes.Must(t, os.Remove(damaged), s.SetReport(store.Report{Node: "a"}), s.SetReport(store.Report{Node: b.Node}))
	reported(t, s.Store)
	if all := links(t, mountpoint); len(all) != 0 {
		t.Errorf("there are %q when nothing is reported", all)
	}
	if err := s.SetReport(store.Report{Node: strings.Repeat("x", 5000), Pods: a.Pods}); err == nil || errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a name that is too long: %v", err)
	}
}

func TestTheReportOfALostNodeIsRemoved(t *testing.T) {
	s, _ := volumes.OnGV0(t)
	lost, lives := store.Report{Node: "lost", Pods: []store.Pod{{UID: "1", Code: "Dead"}}}, store.Report{Node: "lives", Pods: []store.Pod{{UID: "2", Code: "Dead"}}}
	volumes.Must(t, s.SetReport(lost), s.SetReport(lives), s.Reconcile(volumes.Background, volumes.Unlocked))
	reported(t, s.Store, lives, lost)
	s.Abandoned = time.Nanosecond
	volumes.Must(t, s.SetReport(lives), s.Reconcile(volumes.Background, volumes.Unlocked))
	reported(t, s.Store, lives)
}
