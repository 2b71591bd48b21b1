// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// spread puts the replicas of the example onto both nodes, which the scheduler would most likely do by itself.
const spread = `{"spec": {"template": {"spec": {"topologySpreadConstraints": [{
	"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
	"labelSelector": {"matchLabels": {"app": "kube-verify"}}, "matchLabelKeys": ["pod-template-hash"]}]}}}}`

// sharing is the operator's Deployment: three replicas, as uid 1001, share one directory.
func sharing(s *step) {
	g := s.gv0()
	n := s.claimNamespace("kube-verify")
	s.kubectl("apply", "-f", filepath.Join(examples, "kube-verify.yaml"))
	s.kubectl("-n", n.name, "patch", "deployment", "kube-verify", "-p", spread)
	s.rolledOut(n.name, "deployment/kube-verify")
	n.shares("kube-verify", "1001:0")

	other := s.namespace("story-03")
	other.apply("03-owners.yaml")
	s.part("class_with_uid", func(s *step) {
		n := other.in(s)
		s.rolledOut(n.name, "deployment/by-uid")
		n.shares("by-uid", "1001:1001")
		n.prints(n.pods("by-uid")[0].Name, "stat -c '%u:%g %a' /var/dbdata", "1001:0 700")
	})
	s.part("fsgroup", func(s *step) {
		n := other.in(s)
		s.rolledOut(n.name, "deployment/by-fsgroup")
		n.shares("by-fsgroup", "1001:5000")
		n.prints(n.pods("by-fsgroup")[0].Name, "stat -c '%g' /var/dbdata", "5000")
	})

	s.part("same_name_elsewhere", func(s *step) {
		here, there := n.in(s).volume("gluster-claim"), other.in(s).volume("gluster-claim")
		if path(here) == path(there) {
			s.Fatalf("both claims named gluster-claim have directory %s", path(here))
		}
		if !g.exists(path(here)) || !g.exists(path(there)) {
			s.Errorf("%s and %s are not both on %s", path(here), path(there), cluster.Volume)
		}
		if file := n.pods("kube-verify")[0].Name; !g.exists(path(here)+"/"+file) || g.exists(path(there)+"/"+file) {
			s.Errorf("%s is not in %s alone", file, path(here))
		}
	})
}

// shares fails unless the three replicas of a Deployment are on both nodes, and each has written its own file, as
// this owner, and reads the others'.
func (n *namespace) shares(app, owner string) {
	n.Helper()
	pods := n.pods(app)
	if len(pods) != 3 {
		n.Fatalf("%s has %d pods", app, len(pods))
	}
	if on := nodesOf(pods); len(on) != len(n.Nodes()) {
		n.Errorf("%s runs on %v only", app, on)
	}
	for _, writer := range pods {
		file := "/var/dbdata/" + writer.Name
		n.await(patience, writer.Name+" has written", func(context.Context) error {
			_, err := n.try(writer.Name, "test -s "+file)
			return err
		})
		wrote := n.sh(writer.Name, "echo of $HOSTNAME >>"+file+"; cat "+file)
		if !strings.HasSuffix(wrote, "of "+writer.Name) {
			n.Errorf("%s reads %q in its own file", writer.Name, wrote)
		}
		for _, reader := range pods {
			n.await(patience, reader.Name+" reads what "+writer.Name+" wrote", func(context.Context) error {
				have, err := n.try(reader.Name, "cat "+file)
				if err == nil && have != wrote {
					err = fmt.Errorf("it reads %q, not %q", have, wrote)
				}
				return err
			})
		}
		n.prints(writer.Name, "stat -c %u:%g "+file, owner)
	}
}

func nodesOf(pods []corev1.Pod) map[string]int {
	on := map[string]int{}
	for _, p := range pods {
		on[p.Spec.NodeName]++
	}
	return on
}
