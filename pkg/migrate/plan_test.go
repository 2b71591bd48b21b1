// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func planOf(t *testing.T, text string, options Options) *Plan {
	t.Helper()
	objects, findings, err := ReadFiles(fstest.MapFS{"objects.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	return Make(objects, findings, options)
}

// says fails unless a finding of that severity about the object says this.
func (p *Plan) says(t *testing.T, severity Severity, about, phrase string) {
	t.Helper()
	if !slices.ContainsFunc(p.Findings, func(f Finding) bool {
		return f.Severity == severity && f.About == about && strings.Contains(f.Message+f.Cure, phrase)
	}) {
		t.Errorf("no finding %s about %s says %q: %+v", severity, about, phrase, p.Findings)
	}
}

const twoNamespaces = `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {namespace: one, name: c}, glusterfs: {endpoints: gfs, path: gv0}}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: b}, spec: {claimRef: {namespace: two, name: c}, glusterfs: {endpoints: gfs, path: gv0}}}
`

func TestAPlanOfOneNamespace(t *testing.T) {
	plan := planOf(t, twoNamespaces, Options{Namespace: "one", Servers: map[string][]string{"gfs": {"10.0.0.1"}}})
	if len(plan.Volumes) != 1 || plan.Volumes[0].Name != "a" || plan.Volumes[0].Action != Replace {
		t.Errorf("the volumes are %+v", plan.Volumes)
	}
	plan.says(t, Note, "namespace one", "1 PersistentVolumes of the old plugin belong to claims elsewhere")
}

func TestServersThatAreSaid(t *testing.T) {
	plan := planOf(t, twoNamespaces, Options{Servers: map[string][]string{"one/gfs": {"10.0.0.1"}, "gfs": {"10.0.0.2"}}})
	have := plan.ClustersFile.Text()
	want := "clusters:\n  - name: gfs-one\n    servers: [10.0.0.1]\n    volumes: [gv0]\n  - name: gfs-two\n    servers: [10.0.0.2]\n    volumes: [gv0]\n"
	if have != want {
		t.Errorf("the clusters file is\n%s", have)
	}
}

func TestWhatTheClustersFileBoundsStays(t *testing.T) {
	const had = `
{apiVersion: v1, kind: ConfigMap, metadata: {name: glusterfs-csi-clusters}, data: {clusters.yaml: "clusters: [{name: pi, servers: [10.0.0.1], volumes: [gv1, '1'], maxProvisioned: {'1': 1Gi, gv1: 150%}}]"}}
---
`
	have := planOf(t, had+twoNamespaces, Options{Servers: map[string][]string{"gfs": {"10.0.0.1"}}}).ClustersFile.Text()
	want := "clusters:\n  - name: pi\n    servers: [10.0.0.1]\n    volumes: [gv1, \"1\", gv0]\n    maxProvisioned: {\"1\": 1073741824, gv1: 150%}\n"
	if have != want {
		t.Errorf("the clusters file is\n%s", have)
	}
	if _, err := gluster.ParseClusters([]byte(have)); err != nil {
		t.Error(err)
	}
}

// TestALiveClaimThatIsGone: of a cluster, what is not among the objects does not exist.
func TestALiveClaimThatIsGone(t *testing.T) {
	const text = `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {namespace: one, name: c, uid: u}, glusterfs: {endpoints: gfs, path: gv0}}}`
	servers := map[string][]string{"gfs": {"10.0.0.1"}}
	if plan := planOf(t, text, Options{Live: true, Servers: servers}); plan.Volumes[0].Action != Leave {
		t.Errorf("%+v", plan.Volumes[0])
	}
	if plan := planOf(t, text, Options{Servers: servers}); plan.Volumes[0].Action != Replace {
		t.Errorf("%+v", plan.Volumes[0])
	}
}

// TestWhatAnEarlierRunHasMade: the objects of an inline volume are known again, whole or half.
func TestWhatAnEarlierRunHasMade(t *testing.T) {
	const workload = `
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: shop}, spec: {template: {spec: {volumes: [{name: html, glusterfs: {endpoints: gfs, path: gv0/html}}]}}}}
`
	options := Options{Live: true, Servers: map[string][]string{"gfs": {"10.0.0.1"}}}
	first := planOf(t, workload, options)
	objects := workload
	for i, want := range []Action{Replace, Replace, Made} {
		plan := planOf(t, objects, options)
		if len(plan.Inline) != 1 || plan.Inline[0].Action != want || text(plan.Inline[0].Entry, "persistentVolumeClaim", "claimName") != "web-html" {
			t.Errorf("with %d objects: %+v", i, plan.Inline)
		}
		if i < 2 {
			made, err := yaml.Marshal([]map[string]any{first.Inline[0].PersistentVolume, first.Inline[0].PersistentVolumeClaim}[i])
			if err != nil {
				t.Fatal(err)
			}
			objects += "---\n" + string(made)
		}
	}
	foreign := workload + "---\n{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: web-html, namespace: shop}, spec: {volumeName: other}}\n"
	if plan := planOf(t, foreign, options); text(plan.Inline[0].Entry, "persistentVolumeClaim", "claimName") == "web-html" {
		t.Error("somebody else's claim is taken for it")
	}
}

func TestClusterNames(t *testing.T) {
	for of, want := range map[string]string{
		"glusterfs-cluster": "glusterfs-cluster", "gluster.example.com": "gluster-example-com", "A_B": "a-b", "...": "gluster",
		strings.Repeat("x", 40): strings.Repeat("x", 31), strings.Repeat("x", 30) + "-y": strings.Repeat("x", 30),
	} {
		if have := clusterName(of); have != want {
			t.Errorf("%q: %q, not %q", of, have, want)
		}
	}
}

// TestWhatNobodyUsesIsNotInTheClustersFile: the driver would ask a Gluster volume that may be gone, and every list would
// be partial.
func TestWhatNobodyUsesIsNotInTheClustersFile(t *testing.T) {
	const left = `
{apiVersion: v1, kind: PersistentVolume, metadata: {name: pool-gone}, spec: {claimRef: {namespace: one, name: x}, glusterfs: {endpoints: old, path: gv9}}, status: {phase: Released}}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: volume-gone}, spec: {claimRef: {namespace: one, name: y}, glusterfs: {endpoints: gfs, path: gv8}}, status: {phase: Failed}}
`
	options := Options{Servers: map[string][]string{"gfs": {"10.0.0.1"}, "old": {"10.0.0.8", "10.0.0.9"}}}
	if plan := planOf(t, left, options); len(plan.ClustersFile.Clusters)+len(plan.Clusters) > 0 {
		t.Errorf("where nothing is replaced, the clusters file is\n%s", plan.ClustersFile.Text())
	}
	plan := planOf(t, left+"---"+twoNamespaces, options)
	want := "clusters:\n  - name: gfs\n    servers: [10.0.0.1]\n    volumes: [gv0]\n"
	if have := plan.ClustersFile.Text(); have != want {
		t.Errorf("the clusters file is\n%s", have)
	}
	plan.says(t, ByHand, "PersistentVolume pool-gone", "needs cluster old with 10.0.0.8, 10.0.0.9 and that Gluster volume in the clusters file")
	plan.says(t, ByHand, "PersistentVolume volume-gone", "needs cluster gfs with 10.0.0.1 and that Gluster volume in the clusters file")
	for _, v := range plan.Volumes {
		if v.PersistentVolume == nil || v.Cluster == "" {
			t.Errorf("%s: the plan does not show what would take its place", v.Name)
		}
	}
}
