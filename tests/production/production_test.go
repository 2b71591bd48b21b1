// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package production runs the commands that docs/production.md tells operators to run, on a real cluster.
package production

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// commandTimeout is for each command, on a busy machine.
const commandTimeout = 2 * time.Minute

// loopback is the address from which every client and server of the test cluster comes.
const loopback = "127.0.0.1"

// onAServer is the first line of the examples that are run here.
const onAServer = "# on a server"

// commands are the lines of these examples.
func commands(text string) []string {
	var found []string
	for part := range strings.SplitSeq(text, "```sh\n") {
		example, _, closed := strings.Cut(part, "```")
		lines := strings.Split(strings.TrimSpace(example), "\n")
		if closed && lines[0] == onAServer {
			found = append(found, lines[1:]...)
		}
	}
	return found
}

// Two servers become two and an arbiter, and everything else on the page is set, by the commands as they are printed.
func TestTheCommandsOfTheProductionPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	c := testcluster.New(t, testcluster.Options{Servers: 3, Unprobed: 1})
	mountpoint, backup := t.TempDir(), t.TempDir()
	fill(t, c)
	servers := c.Servers()
	disk := filepath.Join(c.Dir(), "arbiter")
	if err := os.MkdirAll(filepath.Join(disk, "brick1"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The page's names and places, as they are here. What comes from loopback comes from 127.0.0.1, whichever address it goes to.
	here := strings.NewReplacer("192.168.6.15", servers[0], "192.168.6.16", servers[1], "192.168.6.17", loopback,
		"pi-arbiter:/data", servers[2]+":"+disk, "pi-arbiter", servers[2], "/mnt", mountpoint, "/backup", backup)
	for _, command := range commands(string(page)) {
		run(t, c, here.Replace(command), command)
	}
	info, err := c.Gluster("volume", "info", "gv0")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"1 x (2 + 1) = 3", "cluster.quorum-type: auto", "cluster.server-quorum-type: server", "network.ping-timeout: 20",
		"auth.allow: " + strings.Join([]string{servers[0], servers[1], loopback}, ","), "features.quota: on", "features.soft-timeout: 5", "features.hard-timeout: 0",
	} {
		if !strings.Contains(info, want) {
			t.Errorf("after the commands of the page, gluster volume info has no %q:\n%s", want, info)
		}
	}
	if got, want := archived(t, filepath.Join(backup, "gv0.tar")), "of the application"; got != want {
		t.Errorf("the backup has %q, want %q", got, want)
	}
}

// fill puts a file into a volume's directory, and one of the driver's own beside it.
func fill(t *testing.T, c *testcluster.Cluster) {
	t.Helper()
	m, err := c.Mount(t.Context(), "gv0")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"shop/data": "of the application", ".glusterfs-csi/record": "of the driver"} {
		path := filepath.Join(m.Path, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// run runs one command, gluster's by the cluster's own socket.
func run(t *testing.T, c *testcluster.Cluster, command, printed string) {
	t.Helper()
	if args, ok := strings.CutPrefix(command, "gluster "); ok {
		fields := strings.Fields(args)
		if strings.Contains(args, "add-brick") {
			fields = append(fields, "force") // here bricks are on the root's file system, which an operator would be asked about
		}
		if said, err := c.Gluster(fields...); err != nil {
			t.Fatalf("%s: %v\n%s", printed, err, said)
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	if said, err := exec.CommandContext(ctx, "sh", "-ec", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", printed, err, said)
	}
}

// archived is the content of the one file that the archive is to have.
func archived(t *testing.T, archive string) string {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content := ""
	for entries := tar.NewReader(file); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return content
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(header.Name, "./.glusterfs-csi") {
			t.Errorf("the backup has %s", header.Name)
		}
		if header.Name == "./shop/data" {
			data, err := io.ReadAll(entries)
			if err != nil {
				t.Fatal(err)
			}
			content = string(data)
		}
	}
}
