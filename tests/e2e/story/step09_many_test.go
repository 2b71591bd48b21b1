// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// many is much at once: it prints how long that takes, and what it waits for.
func many(s *step) {
	s.part("claims_at_once", claimsAtOnce)
	s.part("pods_on_one_node", podsOnOneNode)
}

func claimsAtOnce(s *step) {
	const count = 200
	n := s.namespace("story-09")
	times := n.watchClaims()
	before := s.calls("CreateVolume")
	n.makeClaims(count)
	waits, took := times.each(count), times.last(count)
	did := s.calls("CreateVolume").since(before)
	s.Logf("%d claims at once: the last was bound %s after the first was made, half of them within %s", count, seconds(took), seconds(waits[count/2]))
	s.Logf("what it waits for: CreateVolume took %s each, %s of these %s in sum if one ran after the other; the rest is the provisioner's and the API server's, %.1f claims a second",
		did.mean().Round(time.Millisecond), seconds(did.total), seconds(took), count/took.Seconds())
	if did.count < count {
		s.Errorf("CreateVolume ran %d times only", did.count)
	}
	s.hasNoOrphans()

	began := time.Now()
	s.kubectl("-n", n.name, "delete", "persistentvolumeclaims", "--all", "--wait=false")
	s.await(5*patience, "the volumes are gone", func(ctx context.Context) error {
		volumes, err := s.api.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err == nil && len(volumes.Items) > 0 {
			err = fmt.Errorf("%d are left", len(volumes.Items))
		}
		return err
	})
	s.Logf("%d claims deleted at once: the last volume was gone after %s", count, seconds(time.Since(began)))
}

func podsOnOneNode(s *step) {
	const count = 30
	n := s.namespace("story-09")
	n.makeClaims(count)
	for i := range count {
		n.volume(claimName(i))
	}
	text, err := os.ReadFile("testdata/09-pod.yaml")
	if err != nil {
		s.Fatal(err)
	}
	var all strings.Builder
	var names []string
	for i := range count {
		names = append(names, claimName(i))
		all.WriteString(strings.NewReplacer("NAME", claimName(i), "NODE", s.Nodes()[1].Name).Replace(string(text)))
	}
	began := time.Now()
	n.applyText(all.String(), "-n", n.name)
	n.ready(names...)
	s.Logf("%d pods on %s, each with a volume of its own, were ready after %s", count, s.Nodes()[1].Name, seconds(time.Since(began)))
	for i := range count {
		n.sh(claimName(i), "echo $HOSTNAME >/data/file && grep -q "+claimName(i)+" /data/file")
	}
}
