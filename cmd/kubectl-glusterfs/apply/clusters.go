// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// setClusters gives the driver the servers and Gluster volumes that the plan needs. What its file had stays.
func (a *Applier) setClusters(ctx context.Context, wanted migrate.ClustersFile) error {
	if len(wanted.Clusters) == 0 {
		return nil
	}
	live, had, err := a.clusters(ctx)
	if err != nil {
		return err
	}
	if hasAll(had, wanted.Clusters) {
		return nil
	}
	if _, err := gluster.ParseClusters([]byte(had)); err != nil {
		return fmt.Errorf("the driver's ConfigMap %s/%s cannot be read, and is not replaced: mend it first: %w", a.Namespace, migrate.ClustersConfigMap, err)
	}
	text := wanted.Text()
	r, err := a.begin(ctx, &record{kind: ofClusters, of: migrate.ClustersConfigMap, old: []byte(had), new: []byte(text)})
	if err != nil {
		return err
	}
	isEdited := had != string(r.old) && !r.isOwn(had) // by somebody, since an earlier plan
	if isEdited {
		r.old = []byte(had) // otherwise it stays what was there before the first plan
	}
	if isEdited || string(r.new) != text {
		r.was, r.new = []byte(had), []byte(text)
		if err := a.set(ctx, r, r.state); err != nil {
			return err
		}
	}
	if err := a.writeClusters(ctx, live, text); err != nil {
		return err
	}
	a.Say("ConfigMap %s/%s: the clusters file has %s; the driver reads it within about a minute. Put the same where you install the driver from (base/clusters.yaml, values), or the next update takes it back", a.Namespace, migrate.ClustersConfigMap, namesOf(wanted.Clusters))
	return a.set(ctx, r, done)
}

// isOwn says that a clusters file is as a migration has written it, the last one or, where that was stopped before it
// wrote its own, the one before.
func (r *record) isOwn(text string) bool {
	return text != "" && (text == string(r.new) || text == string(r.was))
}

func (a *Applier) clusters(ctx context.Context) (live *unstructured.Unstructured, text string, err error) {
	live, err = a.Client.Resource(configMaps).Namespace(a.Namespace).Get(ctx, migrate.ClustersConfigMap, metav1.GetOptions{})
	if err != nil {
		return nil, "", fmt.Errorf("read the driver's ConfigMap %s/%s: %w", a.Namespace, migrate.ClustersConfigMap, err)
	}
	text, _, err = unstructured.NestedString(live.Object, "data", migrate.ClustersKey)
	return live, text, err
}

func (a *Applier) writeClusters(ctx context.Context, live *unstructured.Unstructured, text string) error {
	if err := a.step("write clusters"); err != nil {
		return err
	}
	changed := live.DeepCopy()
	if err := unstructured.SetNestedField(changed.Object, text, "data", migrate.ClustersKey); err != nil {
		return err
	}
	_, err := a.Client.Resource(configMaps).Namespace(a.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("write the driver's ConfigMap %s/%s: %w; repeat", a.Namespace, migrate.ClustersConfigMap, err)
	}
	return nil
}

// restoreClusters gives the driver the clusters file that it had, unless somebody has changed it since.
func (a *Applier) restoreClusters(ctx context.Context, r *record) error {
	live, text, err := a.clusters(ctx)
	if err != nil {
		return err
	}
	switch {
	case text == string(r.old):
	case r.isOwn(text):
		if err := a.writeClusters(ctx, live, string(r.old)); err != nil {
			return err
		}
		a.Say("ConfigMap %s/%s: the clusters file is what it was before --apply; where somebody changed it between two of them, before the last one", a.Namespace, migrate.ClustersConfigMap)
	default:
		a.Say("ConfigMap %s/%s has been changed since the migration and stays as it is; before, the clusters file was:\n%s", a.Namespace, migrate.ClustersConfigMap, r.old)
	}
	return a.forget(ctx, r)
}

// hasAll says whether a clusters file already says just this.
func hasAll(text string, wanted []gluster.Cluster) bool {
	var file migrate.ClustersFile
	if yaml.Unmarshal([]byte(text), &file) != nil || len(file.Clusters) != len(wanted) {
		return false
	}
	had := map[string]gluster.Cluster{}
	for _, c := range file.Clusters {
		had[c.Name] = c
	}
	for _, c := range wanted {
		if !reflect.DeepEqual(had[c.Name], c) {
			return false
		}
	}
	return true
}

func namesOf(clusters []gluster.Cluster) string {
	var names []string
	for _, c := range clusters {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}
