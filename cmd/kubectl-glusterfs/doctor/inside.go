// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const (
	// within bounds what one pod is asked. Servers that are silent cost their own deadlines there.
	within = 90 * time.Second
	// atOnce is how many pods are asked at the same time.
	atOnce = 8
)

// Inside asks the node plugin of each node, and the controller. Pods that do not answer are findings.
func Inside(ctx context.Context, run inside.Run, all []inside.Pod) []answers.Finding {
	var asked []inside.Pod
	for _, p := range all {
		if p.Component == inside.Node && p.Ready {
			asked = append(asked, p)
		}
	}
	if controller, err := inside.ReadyController(all); err == nil {
		asked = append(asked, controller)
	}
	found := make([][]answers.Finding, len(asked))
	var group sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for i, p := range asked {
		group.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			found[i] = askPod(ctx, run, p)
		})
	}
	group.Wait()
	return merged(slices.Concat(found...))
}

func askPod(ctx context.Context, run inside.Run, p inside.Pod) []answers.Finding {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	args := []string{"doctor", "-o", "json"}
	if dir := p.Flag("--kubelet-dir"); dir != "" {
		args = append(args, "--kubelet-dir="+dir)
	}
	if p.Component == inside.Controller {
		args = append(args, "--volumes")
	}
	output, err := run(ctx, p, p.Command(args...))
	var failed *inside.ExitError
	var found []answers.Finding
	if broken := json.Unmarshal(output, &found); broken != nil || err != nil && !errors.As(err, &failed) {
		return []answers.Finding{answers.Warned("ask", "pod "+p.Name, fmt.Sprintf("it cannot be asked: %v", errors.Join(err, broken)), "kubectl -n "+p.Namespace+" logs "+p.Name+" -c "+p.Container)}
	}
	for i := range found {
		found[i].Node = p.Node
	}
	return found
}

// merged has what several nodes say alike once, with all of them.
func merged(all []answers.Finding) []answers.Finding {
	nodes := map[answers.Finding][]string{}
	var order []answers.Finding
	for _, f := range all {
		node := f.Node
		f.Node = ""
		if _, known := nodes[f]; !known {
			nodes[f] = nil
			order = append(order, f)
		}
		if node != "" && !slices.Contains(nodes[f], node) {
			nodes[f] = append(nodes[f], node)
		}
	}
	for i, f := range order {
		order[i].Node = strings.Join(nodes[f], ", ")
	}
	return order
}

// Orphans are PersistentVolumes without volume and volumes without PersistentVolume, both ways. Claims are made and deleted meanwhile, so
// after is the PersistentVolumes once more, read when the volumes had been listed, and only what both lists show is said.
func (o *Objects) Orphans(volumes []answers.Volume, after []unstructured.Unstructured) []answers.Finding {
	const check = "orphans"
	there, named, stays := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, v := range volumes {
		there[v.ID] = true
	}
	for i := range after {
		if u := &after[i]; objects.Text(u, "spec", "csi", "driver") == o.Driver {
			named[objects.Text(u, "spec", "csi", "volumeHandle")] = true
			stays[u.GetName()] = !isGoing(u)
		}
	}
	var found []answers.Finding
	for _, u := range o.byKind["PersistentVolume"] {
		handle := objects.Text(u, "spec", "csi", "volumeHandle")
		if objects.Text(u, "spec", "csi", "driver") != o.Driver {
			continue
		}
		named[handle] = true
		isMade := u.GetAnnotations()["pv.kubernetes.io/provisioned-by"] == o.Driver
		if isMade && !there[handle] && stays[u.GetName()] {
			cure := "its data is gone: kubectl delete pv " + u.GetName()
			if claim := objects.Text(u, "spec", "claimRef", "name"); claim != "" {
				cure = "look whether it is in the trash: kubectl glusterfs trash -A -o wide | grep " + u.GetName()
			}
			found = append(found, answers.Fault(check, "persistentvolume "+u.GetName(), "the Gluster volume has no volume "+handle+": its pods do not start", cure))
		}
	}
	for _, v := range volumes {
		if named[v.ID] || v.Others { // another Kubernetes cluster knows what has it
			continue
		}
		cure := "kubectl glusterfs trash --help"
		if v.MadeFor != nil {
			cure = fmt.Sprintf("kubectl glusterfs undelete %s -n %s --entry %s   # brings it back; delete the claim then if it is not wanted", v.MadeFor.Claim, v.MadeFor.Namespace, v.ID)
		}
		found = append(found, answers.Warned(check, "volume "+v.ID, "no PersistentVolume has it: its data takes space, and nobody uses it (or another Kubernetes cluster does)", cure))
	}
	if len(found) == 0 {
		found = append(found, answers.Well(check, fmt.Sprintf("%d volumes", len(volumes)), "PersistentVolumes and volumes belong together, both ways"))
	}
	return found
}

// isGoing says whether a PersistentVolume is being deleted: external-provisioner deletes the volume first, and the object thereafter.
func isGoing(u *unstructured.Unstructured) bool {
	return u.GetDeletionTimestamp() != nil || objects.Text(u, "status", "phase") == "Released" && objects.Text(u, "spec", "persistentVolumeReclaimPolicy") == "Delete"
}
