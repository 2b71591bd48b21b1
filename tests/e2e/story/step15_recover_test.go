// SPDX-License-Identifier: Apache-2.0

package story

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lost is a Kubernetes cluster whose store is gone, and one that takes its place: the driver is installed anew, and from gv0 alone
// `kubectl glusterfs recover` makes all claims of a namespace again, interrupted once. Their pods read what they had written. (What step 10 has
// kept is of a class that is gone, which recover leaves to a person.)
func lost(s *step) {
	const count = 20
	plugin := s.plugin()
	n := s.namespace("story-15")
	n.makeClaims(count)
	for i := range count {
		n.volume(claimName(i))
	}
	n.runOnEach(count)
	for i := range count {
		n.sh(claimName(i), "echo of-"+claimName(i)+" >/data/file && sync")
	}
	old := s.kubernetesID()

	began := time.Now()
	ctx, cancel := s.context(3 * rebootTimeout)
	defer cancel()
	if err := s.LoseObjects(ctx); err != nil {
		s.Fatal(err)
	}
	s.Logf("a Kubernetes cluster with nothing in it after %s", seconds(time.Since(began)))
	s.kubectl("apply", "-k", filepath.Join(s.edit(), "base"))
	s.isUp()

	output, code := s.runPlugin(plugin, "recover", "-n", n.name)
	if code != 3 || !strings.Contains(output, "recover --take-over "+old) {
		s.Errorf("the plan: exit %d\n%s", code, output)
	}
	began = time.Now()
	s.interrupted(plugin, 7, "recover", "-n", n.name, "--take-over", old, "--apply")
	if claims := n.claims(); len(claims) == 0 || len(claims) == count {
		s.Errorf("interrupted, there are %d claims", len(claims))
	}
	if output, code = s.runPlugin(plugin, "recover", "-n", n.name, "--take-over", old, "--apply", "--wait"); code != 0 {
		s.Fatalf("exit %d\n%s", code, output)
	}
	s.Logf("%d claims recovered, with an interruption, after %s", count, seconds(time.Since(began)))
	before := n.claims()
	if output, code = s.runPlugin(plugin, "recover", "-n", n.name, "--apply"); code != 0 || !strings.Contains(output, fmt.Sprintf("0 to make, 0 made, %d there", count)) {
		s.Errorf("again: exit %d\n%s", code, output)
	}
	after := n.claims()
	for name, claim := range after {
		if was := before[name]; claim.Status.Phase != corev1.ClaimBound || was.ResourceVersion != claim.ResourceVersion || claim.Labels["story"] != "many" {
			s.Errorf("%s is %s, with %v, %s and then %s", name, claim.Status.Phase, claim.Labels, was.ResourceVersion, claim.ResourceVersion)
		}
	}
	if len(after) != count {
		s.Errorf("%d claims are there", len(after))
	}
	n.runOnEach(count)
	for i := range count {
		n.prints(claimName(i), "cat /data/file", "of-"+claimName(i))
	}
}

// runOnEach runs a pod for each of so many claims, on the nodes in turn, and returns when all are ready.
func (n *namespace) runOnEach(count int) {
	n.Helper()
	text, err := os.ReadFile("testdata/09-pod.yaml")
	if err != nil {
		n.Fatal(err)
	}
	var all strings.Builder
	var names []string
	for i := range count {
		names = append(names, claimName(i))
		all.WriteString(strings.NewReplacer("NAME", claimName(i), "NODE", n.Nodes()[i%len(n.Nodes())].Name).Replace(string(text)))
	}
	n.applyText(all.String(), "-n", n.name)
	n.ready(names...)
}

// claims are those of the namespace, by name.
func (n *namespace) claims() map[string]corev1.PersistentVolumeClaim {
	n.Helper()
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	list, err := n.api.CoreV1().PersistentVolumeClaims(n.name).List(ctx, metav1.ListOptions{})
	if err != nil {
		n.Fatal(err)
	}
	found := map[string]corev1.PersistentVolumeClaim{}
	for _, claim := range list.Items {
		found[claim.Name] = claim
	}
	return found
}

// kubernetesID is by what the driver knows the Kubernetes cluster.
func (s *step) kubernetesID() string {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	system, err := s.api.CoreV1().Namespaces().Get(ctx, "kube-system", metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return string(system.UID)
}

// interrupted runs the plugin, and kills it as soon as it has said that it has made so many objects.
func (s *step) interrupted(plugin string, after int, args ...string) {
	s.Helper()
	ctx, cancel := s.context(2*patience + callTimeout)
	defer cancel()
	cmd := s.Local(ctx, plugin, args...)
	progress, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	made := 0
	for lines := bufio.NewScanner(progress); lines.Scan(); {
		s.Log(lines.Text())
		if strings.HasSuffix(lines.Text(), " is made") {
			made++
		}
		if made == after {
			_ = cmd.Process.Kill() // it may have ended
		}
	}
	if err := cmd.Wait(); err == nil || context.Cause(ctx) != nil {
		s.Errorf("it was not interrupted: %v", err)
	}
}
