// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package doctor

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const patience = time.Minute

// host is one with a clusters file of its own.
func host(t *testing.T, clusters string) Host {
	t.Helper()
	file := filepath.Join(t.TempDir(), "clusters.yaml")
	if err := os.WriteFile(file, []byte(clusters), 0o600); err != nil {
		t.Fatal(err)
	}
	return Host{ClustersFile: file, StateDir: t.TempDir()}
}

func check(t *testing.T, h Host) []answers.Finding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return h.Check(ctx)
}

func of(all []answers.Finding, check string, severity answers.Severity) []answers.Finding {
	return slices.DeleteFunc(slices.Clone(all), func(f answers.Finding) bool { return f.Check != check || f.Severity != severity })
}

// finds wants exactly one kind of finding that is not good, with this in what it says, and returns its cure.
func finds(t *testing.T, all []answers.Finding, check string, severity answers.Severity, about, says string) string {
	t.Helper()
	for _, f := range of(all, check, severity) {
		if strings.Contains(f.About, about) && strings.Contains(f.Message, says) {
			return f.Cure
		}
	}
	t.Errorf("no %s %q about %q that says %q in %+v", severity, check, about, says, all)
	return ""
}

// isWell wants nothing but good findings, apart from the replica 2 of the shared cluster and its quota.
func isWell(t *testing.T, all []answers.Finding, except ...string) {
	t.Helper()
	for _, f := range all {
		if f.Severity != answers.OK && !slices.Contains(except, f.Check) {
			t.Errorf("%+v", f)
		}
	}
}

// cure runs a printed command on a server of the cluster.
func cure(t *testing.T, c *testcluster.Cluster, commands string) {
	t.Helper()
	for command := range strings.SplitSeq(commands, " && ") {
		words := strings.Fields(command)
		if len(words) == 0 || words[0] != "gluster" {
			t.Fatalf("%q is no command of gluster", command)
		}
		if output, err := c.Gluster(words[1:]...); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, output)
		}
	}
}

// replica3 is a cluster on which all is well, once its quota is on.
func replica3(t *testing.T) (*testcluster.Cluster, Host) {
	t.Helper()
	c := testcluster.Shared(t, testcluster.Options{Replica: 3})
	return c, host(t, c.ClustersYAML())
}
