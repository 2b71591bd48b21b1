// SPDX-License-Identifier: Apache-2.0

package kubectl

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// operator makes the operator's own objects. The volume is bound to one of the two claims, and the other waits.
func operator(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.makeCase("operator")
	return w
}

// boundClaim is the namespace whose claim the binder has given the volume.
func (w *world) boundClaim() string {
	w.Helper()
	w.phase(volumes, "", "gluster-pv", "Bound")
	namespace, _, _ := unstructured.NestedString(w.get(volumes, "", "gluster-pv").Object, "spec", "claimRef", "namespace")
	w.phase(claims, namespace, "gluster-claim", "Bound")
	return namespace
}

func TestTheOperatorsObjects(t *testing.T) {
	w := operator(t)
	namespace := w.boundClaim()
	before := w.snapshot()
	claim := w.get(claims, namespace, "gluster-claim")

	code, out, _ := kubectl(t, "migrate", "-o", "yaml")
	if code != cli.ExitLeft { // the other namespace's claim gets no volume
		t.Errorf("exit %d", code)
	}
	var plan migrate.Plan
	if err := yaml.Unmarshal([]byte(out), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Volumes) != 1 || plan.Volumes[0].Action != migrate.Replace || plan.Volumes[0].Claim.Namespace != namespace || plan.Kind != migrate.Kind {
		t.Errorf("the plan is\n%s", out)
	}

	succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait")
	w.isMigrated("gluster-pv", "glusterfs-cluster/gv0/gluster-pv", "/")
	w.phase(claims, namespace, "gluster-claim", "Bound")
	if now := w.get(claims, namespace, "gluster-claim"); now.GetUID() != claim.GetUID() {
		t.Error("the claim is another object")
	}
	w.hasClusters("glusterfs-cluster", "other")

	after := w.snapshot()
	succeeds(t, []int{cli.ExitDone, cli.ExitLeft}, "migrate", "--apply", "--wait")
	w.same("applied again", after, w.snapshot())

	succeeds(t, []int{cli.ExitDone}, "migrate", "--rollback", "--wait")
	w.same("rolled back", before, w.snapshot())
	w.phase(claims, namespace, "gluster-claim", "Bound")
	if n := w.records(); n > 0 {
		t.Errorf("%d records are left", n)
	}
}

// isMigrated checks what is true of a new PersistentVolume.
func (w *world) isMigrated(name, handle, path string) {
	w.Helper()
	u := w.get(volumes, "", name)
	for want, at := range map[string][]string{
		migrate.DriverName: {"spec", "csi", "driver"}, handle: {"spec", "csi", "volumeHandle"}, path: {"spec", "csi", "volumeAttributes", "path"},
		"Retain": {"spec", "persistentVolumeReclaimPolicy"},
	} {
		if have, _, _ := unstructured.NestedString(u.Object, at...); have != want {
			w.Errorf("PersistentVolume %s: %s is %q, not %q", name, strings.Join(at, "."), have, want)
		}
	}
	if _, old, _ := unstructured.NestedMap(u.Object, "spec", "glusterfs"); old {
		w.Errorf("PersistentVolume %s still has its old source", name)
	}
}

// hasClusters checks the clusters file.
func (w *world) hasClusters(want ...string) {
	w.Helper()
	u := w.get(configMaps, "glusterfs-csi", migrate.ClustersConfigMap)
	text, _, _ := unstructured.NestedString(u.Object, "data", migrate.ClustersKey)
	clusters, err := gluster.ParseClusters([]byte(text))
	if err != nil {
		w.Fatalf("%v:\n%s", err, text)
	}
	var have []string
	for _, v := range clusters.Volumes() {
		have = append(have, v.Cluster)
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		w.Errorf("the clusters file has %v, not %v:\n%s", have, want, text)
	}
}

func TestPodsAreInTheWay(t *testing.T) {
	w := operator(t)
	namespace := w.boundClaim()
	w.make(pod("user", "gluster-claim"), namespace)
	before := w.snapshot()
	for _, args := range [][]string{{"migrate", "--apply"}, {"migrate", "--apply", "--wait", "--timeout", "1s"}, {"migrate", "--apply", "--dry-run"}} {
		code, _, progress := kubectl(t, args...)
		if code != cli.ExitLeft || !strings.Contains(progress, "pod "+namespace+"/user has claim gluster-claim") {
			t.Errorf("exit %d, %s", code, progress)
		}
		w.same("refused", before, w.snapshot())
	}
	if err := purge(t.Context(), made{pods, namespace, "user"}); err != nil {
		t.Fatal(err)
	}
	succeeds(t, []int{cli.ExitLeft}, "migrate", "--apply", "--wait")
	w.make(pod("user", "gluster-claim"), namespace)
	applied := w.snapshot()
	code, _, _ := kubectl(t, "migrate", "--rollback")
	if code != cli.ExitLeft {
		t.Errorf("a rollback under a pod: exit %d", code)
	}
	w.same("a refused rollback", applied, w.snapshot())
}

func pod(name, claim string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"automountServiceAccountToken": false,
			"containers":                   []any{map[string]any{"name": "c", "image": "busybox"}},
			"volumes":                      []any{map[string]any{"name": "v", "persistentVolumeClaim": map[string]any{"claimName": claim}}},
		},
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	w := operator(t)
	w.boundClaim()
	before := w.snapshot()
	code, out, _ := kubectl(t, "migrate", "--apply", "--dry-run")
	if code != cli.ExitDone || !strings.Contains(out, "would replace PersistentVolume gluster-pv") {
		t.Errorf("exit %d, %s", code, out)
	}
	w.same("a dry run", before, w.snapshot())
	if n := w.records(); n > 0 {
		t.Errorf("%d records", n)
	}
}
