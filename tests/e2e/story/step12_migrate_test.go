// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
)

// migration is the way from the operator's objects of before Kubernetes 1.26, whose pods hang, to this driver and back:
// the pods then read what was on gv0 before.
func migration(s *step) {
	g := s.gv0()
	g.run("mkdir 'from the old days'; echo kept >'from the old days/file'; chmod -R a+rX 'from the old days'")
	s.Cleanup(func() { g.run("rm -r 'from the old days'") })
	plugin := s.plugin()
	n := s.namespace("kube-verify")
	n.template("12-operator.yaml", "FIRST", s.Nodes()[0].IP, "SECOND", s.Nodes()[1].IP)
	uid := n.volume("gluster-claim").Spec.ClaimRef.UID
	n.await(patience, "three pods are there", func(context.Context) error { return n.hasPods(3) })
	n.says("Pod", n.pods("kube-verify")[0].Name, "no volume plugin matched")

	output, code := s.runPlugin(plugin, "migrate", "--apply")
	if code != 3 || !strings.Contains(output, "kubectl -n kube-verify scale deployment/kube-verify --replicas=0") {
		s.Errorf("pods are in the way: exit %d\n%s", code, output)
	}
	s.kubectl("-n", n.name, "scale", "deployment/kube-verify", "--replicas=0")
	if output, code = s.runPlugin(plugin, "migrate", "--apply", "--wait"); code != 0 {
		s.Fatalf("exit %d\n%s", code, output)
	}
	s.kubectl("-n", n.name, "scale", "deployment/kube-verify", "--replicas=3")
	s.rolledOut(n.name, "deployment/kube-verify")
	for _, pod := range n.pods("kube-verify") {
		n.prints(pod.Name, "cat '/var/dbdata/from the old days/file'", "kept")
	}
	if now := n.volume("gluster-claim"); now.Spec.CSI == nil || now.Spec.ClaimRef.UID != uid {
		s.Errorf("the volume is %+v", now.Spec)
	}

	s.kubectl("-n", n.name, "scale", "deployment/kube-verify", "--replicas=0")
	if output, code = s.runPlugin(plugin, "migrate", "--rollback", "--wait"); code != 0 {
		s.Fatalf("exit %d\n%s", code, output)
	}
	if now := n.volume("gluster-claim"); now.Spec.Glusterfs == nil || now.Spec.ClaimRef.UID != uid {
		s.Errorf("rolled back, the volume is %+v", now.Spec)
	}
	if have := g.run("cat 'from the old days/file'"); have != "kept" {
		s.Errorf("the file holds %q", have)
	}
}

func (n *namespace) hasPods(want int) error {
	if have := len(n.pods("kube-verify")); have != want {
		return fmt.Errorf("there are %d", have)
	}
	return nil
}

// plugin builds kubectl-glusterfs, in a place where the next step finds it linked.
func (s *step) plugin() string {
	s.Helper()
	binary := build.Path("kubectl-glusterfs")
	compile := exec.CommandContext(s.Context(), "go", "build", "-o", binary, "./cmd/kubectl-glusterfs")
	compile.Dir = repository
	if output, err := compile.CombinedOutput(); err != nil {
		s.Fatalf("%v\n%s", err, output)
	}
	return binary
}

// runPlugin returns what it printed, and its exit code.
func (s *step) runPlugin(plugin string, args ...string) (string, int) {
	s.Helper()
	ctx, cancel := s.context(2*patience + callTimeout) // the lease of a Kubernetes cluster lasts two minutes
	defer cancel()
	cmd := s.Local(ctx, plugin, args...)
	output, err := cmd.CombinedOutput()
	s.Logf("kubectl glusterfs %s: %v\n%s", strings.Join(args, " "), err, output)
	return string(output), cmd.ProcessState.ExitCode()
}
