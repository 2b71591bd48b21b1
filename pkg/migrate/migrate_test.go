// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

var update = flag.Bool("update", false, "write the plans that are expected anew")

// cases are the directories of testdata: the objects of each in objects/, the plan that is expected in plan.yaml.
func cases(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob("testdata/*/objects")
	if err != nil || len(dirs) < 13 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	for i := range dirs {
		dirs[i] = filepath.Dir(dirs[i])
	}
	return dirs
}

func read(t *testing.T, dir string) ([]Object, []Finding) {
	t.Helper()
	objects, findings, err := ReadFiles(os.DirFS(filepath.Join(dir, "objects")))
	if err != nil {
		t.Fatal(err)
	}
	return objects, findings
}

func encode(t *testing.T, plan *Plan) []byte {
	t.Helper()
	text, err := yaml.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestPlans(t *testing.T) {
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			objects, findings := read(t, dir)
			have := encode(t, Make(objects, findings, Options{}))
			golden := filepath.Join(dir, "plan.yaml")
			if *update {
				if err := os.WriteFile(golden, have, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, want) {
				t.Errorf("the plan is not %s; if it is right, write it with -update:\n%s", golden, have)
			}
		})
	}
}

func TestThePlanDependsOnNoOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, dir := range cases(t) {
		objects, findings := read(t, dir)
		want := encode(t, Make(objects, findings, Options{}))
		for range 5 {
			random.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
			if have := encode(t, Make(objects, findings, Options{})); !bytes.Equal(have, want) {
				t.Fatalf("%s: the plan is another one in another order:\n%s", dir, have)
			}
		}
	}
}

func TestPlanningChangesNoObject(t *testing.T) {
	for _, dir := range cases(t) {
		objects, findings := read(t, dir)
		before, err := yaml.Marshal(objects)
		if err != nil {
			t.Fatal(err)
		}
		Make(objects, findings, Options{})
		if after, err := yaml.Marshal(objects); err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s: planning has changed the objects, %v", dir, err)
		}
	}
}

// TestEveryPlanHolds is what is true of every plan, whatever the objects are.
func TestEveryPlanHolds(t *testing.T) {
	for _, dir := range cases(t) {
		objects, findings := read(t, dir)
		for _, live := range []bool{false, true} {
			plan := Make(objects, findings, Options{Live: live})
			holds(t, dir, objects, plan)
		}
	}
}

func holds(t *testing.T, name string, objects []Object, plan *Plan) {
	t.Helper()
	file, err := yaml.Marshal(plan.ClustersFile)
	if err != nil {
		t.Fatal(err)
	}
	clusters, err := gluster.ParseClusters(file)
	if err != nil && len(plan.ClustersFile.Clusters) > 0 {
		t.Fatalf("%s: the driver refuses the clusters file: %v", name, err)
	}
	planned := map[string]bool{}
	for _, v := range plan.Volumes {
		planned[v.Name] = true
		if v.PersistentVolume == nil {
			if v.Action != Blocked {
				t.Errorf("%s: %s is not blocked and has no new object", name, v.Name)
			}
			continue
		}
		if v.Action == Replace {
			if _, err := clusters.Find(gluster.Volume{Cluster: v.Cluster, Name: v.Volume}); err != nil {
				t.Errorf("%s: %s: %v", name, v.Name, err)
			}
		}
		if got := text(v.PersistentVolume, "spec", "persistentVolumeReclaimPolicy"); got != "Retain" {
			t.Errorf("%s: %s has the reclaim policy %q", name, v.Name, got)
		}
		if mentions(v.PersistentVolume) || text(v.PersistentVolume, "spec", "claimRef", "uid") != "" {
			t.Errorf("%s: %s still has the old source or a claim's uid: %v", name, v.Name, v.PersistentVolume)
		}
		if plan.Live && v.PersistentVolumeClaim != nil {
			t.Errorf("%s: a running cluster's claim is to be made", name)
		}
	}
	for i := range objects {
		isSaid := slices.ContainsFunc(plan.Findings, func(f Finding) bool { return f.About == objects[i].kind()+" "+objects[i].name() })
		if objects[i].kind() == "PersistentVolume" && at(objects[i].Content, "spec", "glusterfs") != nil && !planned[objects[i].name()] && !isSaid {
			t.Errorf("%s: %s is not in the plan", name, objects[i].name())
		}
	}
	for _, f := range plan.Findings {
		if f.About == "" || f.Message == "" {
			t.Errorf("%s: a finding that says nothing: %+v", name, f)
		}
	}
}
