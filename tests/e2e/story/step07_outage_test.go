// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"os"
	"strings"
	"time"
)

// outage is what goes on with a part of GlusterFS down, and what the kernel does not allow.
func outage(s *step) {
	n := s.namespace("story-07")
	n.apply("07-class.yaml")
	n.template("07-pods.yaml", "NAME", "before", "CLASS", defaultClass)
	n.ready("before-1", "before-2")
	first, second := s.Nodes()[0], s.Nodes()[1]

	s.part("one_brick_down", func(s *step) {
		s.isHealed()
		s.down("the brick on "+second.Name, second.StopBrick, second.StartBrick)
		n.in(s).goesOn("brick")
	})
	// The first in the list of servers: a client that starts asks it first.
	s.part("one_server_down", func(s *step) {
		s.down("GlusterFS on "+first.Name, first.StopServer, first.StartServer)
		n.in(s).goesOn("server")
	})
	s.part("hostUsers", func(s *step) {
		n := n.in(s)
		n.apply("07-hostusers.yaml")
		said := n.says("Pod", "own-users", idmapRefused)
		readme, err := os.ReadFile("../../../README.md")
		if err != nil {
			s.Fatal(err)
		}
		if !strings.Contains(string(readme), idmapRefused) {
			s.Errorf("the limits of README.md do not quote it: %s", said)
		}
	})
}

// idmapRefused is how a pod with hostUsers: false fails, as README.md quotes it.
const idmapRefused = "failed to set MOUNT_ATTR_IDMAP"

// down stops something until this part ends, and then waits until the volume is healed.
func (s *step) down(what string, stop func() error, start func(context.Context) error) {
	s.Helper()
	s.Cleanup(func() {
		ctx, cancel := s.context(patience)
		defer cancel()
		if err := start(ctx); err != nil {
			s.Fatal(err)
		}
		s.isHealed()
	})
	if err := stop(); err != nil {
		s.Fatal(err)
	}
	s.Logf("down: %s", what)
}

// goesOn fails unless claims bind and pods start, with a running client and with one that starts now, and those that
// ran before read and write on.
func (n *namespace) goesOn(name string) {
	n.Helper()
	began := time.Now()
	for _, class := range []string{defaultClass, "story-fresh"} {
		n.template("07-pods.yaml", "NAME", name+"-"+class, "CLASS", class)
	}
	for _, class := range []string{defaultClass, "story-fresh"} {
		claim := name + "-" + class
		n.volume(claim)
		n.ready(claim+"-1", claim+"-2")
		n.Logf("class %s: claim bound and pods ready on both nodes after %s", class, seconds(time.Since(began)))
		n.sh(claim+"-1", "echo written meanwhile >/data/file")
		n.prints(claim+"-2", "cat /data/file", "written meanwhile")
	}
	n.sh("before-1", "echo "+name+" >/data/file")
	n.prints("before-2", "cat /data/file", name)
}
