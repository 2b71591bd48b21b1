// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// RecordLabel is on each ConfigMap that records a part of a migration. Its value says of what: see the kinds below.
const RecordLabel = "migrate.glusterfs.csi.gluster.org/record"

// recordAnnotation is on each object that a migration has made: the name of its record.
const recordAnnotation = RecordLabel

// The kinds of record.
const (
	ofClusters = "clusters" // the clusters file
	ofVolume   = "volume"   // a PersistentVolume that takes another's place
	ofInline   = "inline"   // a PersistentVolume and a claim for a volume of a pod template
)

// state is how far a record's objects are.
type state string

const (
	recorded  state = "recorded"  // nothing has been removed
	removing  state = "removing"  // the old object goes, and the new one comes
	done      state = "done"      // the new one is there
	restoring state = "restoring" // the new one goes, and the old one comes back
)

// record is what is known of one part of a migration, in a ConfigMap of the driver's namespace, so that any machine can
// go on or undo it. Each has a ConfigMap of its own: an object of Kubernetes and what replaces it are far from 1 MiB.
type record struct {
	name  string // of the ConfigMap
	kind  string
	state state
	of    string                     // the object's name
	old   []byte                     // the object as the API server gave it, as JSON; of the clusters file, its text
	new   []byte                     // the same of what is made
	was   []byte                     // of the clusters file: what was there when new was changed, and is until that is written
	live  *unstructured.Unstructured // the ConfigMap as it was last read
}

// recordName is that of a record's ConfigMap, which another object does not have.
func recordName(kind, of string) string {
	const most = 200
	name := "glusterfs-csi-migration-" + kind + "-" + of
	if len(name) <= most {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimRight(name[:most-13], ".-") + "-" + hex.EncodeToString(sum[:6])
}

func (r *record) configMap(namespace string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": r.name, "namespace": namespace, "labels": map[string]any{RecordLabel: r.kind}},
	}}
	if r.live != nil {
		u = r.live.DeepCopy()
	}
	u.Object["data"] = map[string]any{"state": string(r.state), "of": r.of, "old": string(r.old), "new": string(r.new), "was": string(r.was)}
	return u
}

func parseRecord(u *unstructured.Unstructured) *record {
	data, _, _ := unstructured.NestedStringMap(u.Object, "data")
	return &record{
		name: u.GetName(), kind: u.GetLabels()[RecordLabel], state: state(data["state"]), of: data["of"],
		old: []byte(data["old"]), new: []byte(data["new"]), was: []byte(data["was"]), live: u,
	}
}

// records lists all of them, the clusters file's first.
func (a *Applier) records(ctx context.Context) ([]*record, error) {
	list, err := a.Client.Resource(configMaps).Namespace(a.Namespace).List(ctx, metav1.ListOptions{LabelSelector: RecordLabel})
	if err != nil {
		return nil, fmt.Errorf("list the records of migrations in namespace %s: %w", a.Namespace, err)
	}
	var found []*record
	for i := range list.Items {
		found = append(found, parseRecord(&list.Items[i]))
	}
	slices.SortFunc(found, func(a, b *record) int { return strings.Compare(a.name, b.name) })
	return found, nil
}

// begin writes a new record, or returns the one that is there.
func (a *Applier) begin(ctx context.Context, r *record) (*record, error) {
	r.name, r.state = recordName(r.kind, r.of), recorded
	if err := a.step("record " + r.kind + " " + r.of); err != nil {
		return nil, err
	}
	maps := a.Client.Resource(configMaps).Namespace(a.Namespace)
	made, err := maps.Create(ctx, r.configMap(a.Namespace), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		made, err = maps.Get(ctx, r.name, metav1.GetOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("record %s %s in ConfigMap %s/%s: %w", r.kind, r.of, a.Namespace, r.name, err)
	}
	return parseRecord(made), nil
}

// set writes a record down in another state. Somebody else's change since it was read is an error.
func (a *Applier) set(ctx context.Context, r *record, to state) error {
	if err := a.step(fmt.Sprintf("set %s %s %s", r.kind, r.of, to)); err != nil {
		return err
	}
	r.state = to
	updated, err := a.Client.Resource(configMaps).Namespace(a.Namespace).Update(ctx, r.configMap(a.Namespace), metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("record in ConfigMap %s/%s: %w", a.Namespace, r.name, err)
	}
	r.live = updated
	return nil
}

// stays returns nil if what a record's migration has made is there, and an ErrLeft if the old one is back in its place,
// or nothing.
func (a *Applier) stays(ctx context.Context, r *record) error {
	all, err := parts(r)
	if err != nil {
		return err
	}
	for _, p := range all {
		live, err := a.Client.Resource(p.resource).Namespace(p.object.GetNamespace()).Get(ctx, p.object.GetName(), metav1.GetOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if err == nil && isOf(live, r) {
			continue
		}
		what, others := p.object.GetKind()+" "+p.object.GetName(), ""
		if r.kind == ofInline {
			others = fmt.Sprintf("what is left of PersistentVolume %s and its claim (no data goes with them), and ", r.of)
		}
		return fmt.Errorf("%w: %s has been migrated before, and what that made is not there any more: see who has removed it, or made the old one again, as GitOps and backups do. "+
			"Then, to have it migrated again, delete %sConfigMap %s/%s, and repeat", ErrLeft, what, others, a.Namespace, r.name)
	}
	return nil
}

// forget removes a record.
func (a *Applier) forget(ctx context.Context, r *record) error {
	if err := a.step("forget " + r.kind + " " + r.of); err != nil {
		return err
	}
	err := a.Client.Resource(configMaps).Namespace(a.Namespace).Delete(ctx, r.name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// decode reads one of a record's objects.
func decode(text []byte) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("a record does not hold an object: %w", err)
	}
	return u, nil
}

func encode(object map[string]any) ([]byte, error) { return json.Marshal(object) }
