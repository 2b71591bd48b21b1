// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// patience is how long a test waits for what should take milliseconds, on a machine that is busy with other tests.
const patience = 30 * time.Second

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func oneVolume(name string) string {
	return fmt.Sprintf("clusters: [{name: pi, servers: [a], volumes: [%s]}]", name)
}

// awaitVolume waits until the file has one volume of this name.
func awaitVolume(t *testing.T, f *ClustersFile, name string) {
	t.Helper()
	testcluster.Eventually(t, patience, func() error {
		clusters, err := f.Current()
		if err != nil {
			return err
		}
		_, err = clusters.Find(Volume{"pi", name})
		return err
	})
}

// counted is the number of reloads with this result.
func counted(t *testing.T, f *ClustersFile, result string) float64 {
	t.Helper()
	var metric dto.Metric
	if err := prometheus.Metric(f.reloads.WithLabelValues(result)).Write(&metric); err != nil {
		t.Fatal(err)
	}
	return metric.GetCounter().GetValue()
}

func TestTheClustersFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	f := WatchClusters(t.Context(), path, nil)
	if _, err := f.Current(); !errors.Is(err, ErrNotLoaded) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before it exists: %v", err)
	}
	writeFile(t, path, oneVolume("first"))
	awaitVolume(t, f, "first")
	writeFile(t, path+".new", oneVolume("second"))
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	awaitVolume(t, f, "second")
}

func TestABrokenEditKeepsTheLastGoodOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	writeFile(t, path, oneVolume("good"))
	f := WatchClusters(t.Context(), path, nil)
	awaitVolume(t, f, "good")
	for _, step := range []struct {
		name string
		edit func() error
	}{
		{"not YAML", func() error { return os.WriteFile(path, []byte("clusters: ["), 0o600) }},
		{"no servers", func() error { return os.WriteFile(path, []byte("clusters: [{name: pi, volumes: [good]}]"), 0o600) }},
		{"removed", func() error { return os.Remove(path) }},
	} {
		before := counted(t, f, "error")
		if err := step.edit(); err != nil {
			t.Fatal(err)
		}
		testcluster.Eventually(t, patience, func() error {
			if counted(t, f, "error") == before {
				return fmt.Errorf("%s: not counted", step.name)
			}
			return nil
		})
		awaitVolume(t, f, "good")
	}
	before := counted(t, f, "ok")
	writeFile(t, path, oneVolume("mended"))
	awaitVolume(t, f, "mended")
	if counted(t, f, "ok") == before {
		t.Error("the good one is not counted")
	}
}

// kubelet replaces a ConfigMap's files by renaming a symbolic link beside them: the file's own name never changes.
func TestAConfigMapIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	publish := func(version, content string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, version, "clusters.yaml"), content)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	publish("..2026_1", oneVolume("first"))
	path := filepath.Join(dir, "clusters.yaml")
	if err := os.Symlink("..data/clusters.yaml", path); err != nil {
		t.Fatal(err)
	}
	f := WatchClusters(t.Context(), path, nil)
	awaitVolume(t, f, "first")
	publish("..2026_2", oneVolume("second"))
	awaitVolume(t, f, "second")
	if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
		t.Fatal(err)
	}
}
