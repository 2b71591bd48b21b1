// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// provisionerTimeout is how long the provisioner of the manifests waits for one call.
const provisionerTimeout = 90 * time.Second

// outage is what goes on with a part of GlusterFS down, and what the kernel does not allow.
func outage(s *step) {
	n := s.namespace("story-07")
	n.template("07-pods.yaml", "NAME", "before", "CLASS", defaultClass)
	n.ready("before-1", "before-2")
	first, second := s.Nodes()[0], s.Nodes()[1]

	s.part("one_brick_down", func(s *step) {
		s.isHealed()
		s.down("the brick on "+second.Name, second.StopBrick, second.StartBrick)
		n.in(s).goesOn("brick")
		n.in(s).says("PersistentVolumeClaim", "before", second.Name, "as the controller sees it")
	})
	// The first in the list of servers: a client that starts asks it first.
	s.part("one_server_down", func(s *step) {
		s.down("GlusterFS on "+first.Name, first.StopServer, first.StartServer)
		n.in(s).goesOn("server")
	})
	// It accepts connections and never answers: each client of it waits for ping-timeout.
	s.part("one_server_silent", func(s *step) {
		s.setOption("network.ping-timeout", "10")
		s.haveOption("ping-timeout", "10") // from the server that goes silent now, or they would wait for 42 seconds
		s.down("GlusterFS on "+first.Name+", silently", first.FreezeServer, func(context.Context) error { return first.ThawServer() })
		n.in(s).goesOn("silent")
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

// setOption sets an option of gv0 until this part ends.
func (s *step) setOption(option, value string) {
	s.Helper()
	s.Cleanup(func() { s.changeVolume("reset", option) })
	s.changeVolume("set", option, value)
}

// changeVolume is `gluster volume VERB gv0 …`, repeated while a server that has just come back is not taken for a peer again.
func (s *step) changeVolume(verb string, args ...string) {
	s.Helper()
	s.await(patience, "gluster volume "+verb, func(context.Context) error {
		_, err := s.on(s.Nodes()[0], "gluster", append([]string{"--mode=script", "volume", verb, cluster.Volume}, args...)...)
		return err
	})
}

// haveOption waits until each client, of nodes and of the controller, has this option of its bricks: a server tells it of a change.
func (s *step) haveOption(option, value string) {
	s.Helper()
	for _, node := range s.Nodes() {
		s.await(patience, "all clients on "+node.Name+" have "+option+" "+value, func(context.Context) error {
			output, err := s.on(node, "sh", "-c", clientOptions, "sh", option)
			if err != nil {
				return err
			}
			for line := range strings.Lines(output) {
				if strings.TrimSpace(line) != value {
					return fmt.Errorf("they have %q", output)
				}
			}
			return nil
		})
	}
}

// clientOptions prints an option of each brick as each client of a node has it, in the mount namespace where it is mounted.
const clientOptions = `for pid in $(pgrep -f '^[^ ]*glusterfs --no-daemon'); do
	root=/proc/$pid/root$(tr '\0' '\n' </proc/$pid/cmdline | tail -n 1)
	cat "$root"/.meta/graphs/active/gv0-client-*/options/"$1"
done`

// goesOn fails unless claims bind and pods start, with a client that runs and with one that starts now, and those that
// ran before read and write on.
func (n *namespace) goesOn(name string) {
	n.Helper()
	// Another value in each part and run, so that no client has it yet. One of this size makes no difference here.
	option := fmt.Sprintf("lru-limit=%d", 65536+time.Now().Unix()%(1<<16))
	n.template("07-class.yaml", "NAME", name, "OPTION", option)
	classes := []string{defaultClass, "story-" + name}
	for _, node := range n.Nodes() {
		if pids := n.clientsWith(node, option); len(pids) > 0 {
			n.Fatalf("%s has clients with %s already: %v", node.Name, option, pids)
		}
	}
	began := time.Now()
	for _, class := range classes {
		n.template("07-pods.yaml", "NAME", name+"-"+class, "CLASS", class)
	}
	for _, class := range classes {
		claim := name + "-" + class
		n.volume(claim)
		if took := time.Since(began); took > provisionerTimeout {
			n.Errorf("class %s: the claim was bound after %s only", class, seconds(took))
		}
		n.ready(claim+"-1", claim+"-2")
		n.Logf("class %s: claim bound and pods ready on both nodes after %s", class, seconds(time.Since(began)))
		n.sh(claim+"-1", "echo written meanwhile >/data/file")
		n.prints(claim+"-2", "cat /data/file", "written meanwhile")
	}
	for _, node := range n.Nodes() {
		if pids := n.clientsWith(node, option); len(pids) != 1 {
			n.Errorf("%s has the clients %v with %s, not one that has started meanwhile", node.Name, pids, option)
		}
	}
	n.sh("before-1", "echo "+name+" >/data/file")
	n.prints("before-2", "cat /data/file", name)
}

// clientsWith are the processes of a node that are GlusterFS clients with this option.
func (s *step) clientsWith(node *cluster.Node, option string) []string {
	s.Helper()
	output, err := s.on(node, "pgrep", "-f", "^[^ ]*glusterfs --no-daemon .* --"+option+" ")
	if err != nil && output != "" { // without a match, it says nothing and fails
		s.Fatal(err)
	}
	return strings.Fields(output)
}
