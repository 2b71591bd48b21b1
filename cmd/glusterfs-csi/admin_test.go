// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// commandVariable makes the test binary the command itself.
const commandVariable = "GLUSTERFS_CSI_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandVariable) != "" {
		os.Exit(run())
	}
	testcluster.Main(m)
}

const patience = 30 * time.Second

// place is where commands run: a state directory and a clusters file.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "d") //nolint:usetesting // a name short enough for a unix socket in it
	if err != nil {
		t.Fatal(err)
	}
	if err := testcluster.Shared(t, testcluster.Options{}).ClustersFile(filepath.Join(dir, "clusters.yaml")); err != nil {
		t.Fatal(err)
	}
	p := place{t, dir}
	t.Cleanup(func() {
		for _, c := range p.clients() {
			if err := statedir.StartOf(c.Mountpoint).Discard(); err != nil {
				t.Error(err)
			}
		}
		testcluster.Eventually(t, patience, func() error {
			if left := p.clients(); len(left) > 0 {
				return fmt.Errorf("clients are left: %+v", left)
			}
			return os.RemoveAll(dir)
		})
	})
	return p
}

// clients are those that run with this state directory.
func (p place) clients() []client.Info {
	p.t.Helper()
	host, err := client.NewHost(filepath.Join(p.dir, "state"), gluster.WatchClusters(p.t.Context(), filepath.Join(p.dir, "clusters.yaml"), nil))
	if err != nil {
		p.t.Fatal(err)
	}
	defer host.Close()
	return host.Clients()
}

func (p place) command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], append(args, "--clusters", filepath.Join(p.dir, "clusters.yaml"), "--state-dir", filepath.Join(p.dir, "state"))...)
	c.Env = append(os.Environ(), commandVariable+"=1")
	return c
}

// run returns what a command prints and its exit code.
func (p place) run(args ...string) (stdout, stderr string, code int) {
	p.t.Helper()
	c := p.command(args...)
	var out, err bytes.Buffer
	c.Stdout, c.Stderr = &out, &err
	if e := c.Run(); e != nil && c.ProcessState == nil {
		p.t.Fatal(e)
	}
	return out.String(), err.String(), c.ProcessState.ExitCode()
}

func (p place) must(args ...string) string {
	p.t.Helper()
	stdout, stderr, code := p.run(args...)
	if code != 0 || stderr != "" {
		p.t.Fatalf("%q: exit code %d, %s\n%s", args, code, stderr, stdout)
	}
	return stdout
}

// serve runs the driver until the test ends.
func (p place) serve(flags ...string) csi.ControllerClient {
	p.t.Helper()
	endpoint := "unix://" + filepath.Join(p.dir, "csi.sock")
	c := p.command(append([]string{"controller", "--endpoint", endpoint}, flags...)...)
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	connection, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		connection.Close()
		if err := errors.Join(c.Process.Signal(syscall.SIGTERM), c.Wait()); err != nil {
			p.t.Errorf("the driver: %v\n%s", err, &log)
		}
	})
	return csi.NewControllerClient(connection)
}

func create(t *testing.T, controller csi.ControllerClient, name string, parameters ...string) string {
	t.Helper()
	all := map[string]string{"uid": "1001", "path": "shop/${pv.name}"}
	for i := 0; i < len(parameters); i += 2 {
		all[parameters[i]] = parameters[i+1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := controller.CreateVolume(ctx, &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: 3 << 29}, Parameters: all,
		VolumeCapabilities: []*csi.VolumeCapability{{
			AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
			AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return response.GetVolume().GetVolumeId()
}

func remove(t *testing.T, controller csi.ControllerClient, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: id}); err != nil {
		t.Fatal(err)
	}
}

const isoForm = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`

func matches(t *testing.T, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(pattern).MatchString(text) {
		t.Errorf("got\n%s\nwant it to match\n%s", text, pattern)
	}
}

// entries are the trash entries as JSON shows them.
func (p place) entries() []answers.TrashEntry {
	p.t.Helper()
	var rows []answers.TrashEntry
	if err := json.Unmarshal([]byte(p.must("trash", "list", "-o", "json")), &rows); err != nil {
		p.t.Fatal(err)
	}
	return rows
}

func TestAdministratorsCommandsBesideADriver(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-beside")
	before := p.clients()
	if len(before) != 1 {
		t.Fatalf("the driver's clients: %+v", before)
	}
	p.story(id, func() { remove(t, controller, id) })
	if after := p.clients(); len(after) != 1 || after[0].PID != before[0].PID {
		t.Errorf("the driver's client %+v became %+v", before, after)
	}
}

func TestAdministratorsCommandsAlone(t *testing.T) {
	elsewhere := newPlace(t) // a driver on another host
	controller := elsewhere.serve()
	p := newPlace(t)
	id := create(t, controller, "pvc-alone")
	p.story(id, func() { remove(t, controller, id) })
	if left := p.clients(); len(left) > 0 {
		t.Errorf("a command left its client: %+v", left)
	}
}

// story looks at a volume, has it deleted, restores it, and purges it at last.
func (p place) story(id string, remove func()) {
	t := p.t
	t.Helper()
	name := filepath.Base(id)
	row := `(?m)^` + regexp.QuoteMeta(id) + ` +shop/` + name + ` +1\.5Gi +no +- +uid=1001 +trash +created +` + isoForm + `$`
	matches(t, p.must("volume", "list"), `^VOLUME +PATH +CAPACITY +ENFORCED +USED +OWNER +ON DELETE +ORIGIN +CREATED\n`)
	matches(t, p.must("volume", "list"), row)
	var volumes []answers.Volume
	if err := json.Unmarshal([]byte(p.must("volume", "list", "-o", "json")), &volumes); err != nil || len(volumes) != 1 {
		t.Fatalf("%+v, %v", volumes, err)
	}
	if v := volumes[0]; v.ID != id || v.Path != "shop/"+name || v.Capacity != 3<<29 || v.Owner.UID == nil || *v.Owner.UID != 1001 || time.Since(v.Created) > time.Hour {
		t.Errorf("%+v", v)
	}
	if got := p.entries(); len(got) != 0 {
		t.Fatalf("in the trash: %+v", got)
	}

	remove()
	entries := p.entries()
	if len(entries) != 1 || entries[0].Volume != id || !strings.HasPrefix(entries[0].Entry, id+".") || entries[0].Path != "shop/"+name {
		t.Fatalf("in the trash: %+v", entries)
	}
	entry := entries[0].Entry
	matches(t, p.must("trash", "list"), `^ENTRY +PATH +CAPACITY +OWNER +DELETED +DUE +RESTORABLE\n`+regexp.QuoteMeta(entry)+` +shop/`+name+` +1\.5Gi +uid=1001 +`+isoForm+` +`+isoForm+` +yes\n$`)
	if got := strings.TrimSpace(p.must("volume", "list", "-o", "json")); got != "[]" {
		t.Errorf("the volumes are %s", got)
	}

	matches(t, p.must("trash", "restore", entry), `^Restored `+regexp.QuoteMeta(id)+` to directory shop/`+name)
	matches(t, p.must("volume", "list"), row)
	p.fails(1, []string{"trash", "restore", entry}, "not found", "trash list")

	remove()
	entry = p.entries()[0].Entry
	matches(t, p.must("trash", "purge", entry), `^Purged `+regexp.QuoteMeta(entry)+`\.\n$`)
	if got := p.entries(); len(got) != 0 {
		t.Errorf("in the trash: %+v", got)
	}
	p.fails(1, []string{"trash", "purge", entry}, "not found")
}

// fails runs a command that must fail with this exit code and say all of the words.
func (p place) fails(want int, args []string, words ...string) {
	p.t.Helper()
	stdout, stderr, code := p.run(args...)
	if code != want || stdout != "" {
		p.t.Errorf("%q: exit code %d, want %d; it printed %s", args, code, want, stdout)
	}
	for _, word := range words {
		if !strings.Contains(stderr, word) {
			p.t.Errorf("%q does not say %q: %s", args, word, stderr)
		}
	}
	if strings.Count(stderr, "\n") > 1 {
		p.t.Errorf("%q says more than a sentence: %s", args, stderr)
	}
}

func TestFailuresSayWhatToDo(t *testing.T) {
	p := newPlace(t)
	good := "pi/gv0/pvc-1.20260102T030405.000000006Z"
	p.fails(1, []string{"trash", "restore", good}, "pvc-1", "not found", "trash list")
	p.fails(1, []string{"trash", "purge", strings.Replace(good, "gv0", "gv9", 1)}, "gv9", "the clusters file allows")
	if err := os.Remove(filepath.Join(p.dir, "clusters.yaml")); err != nil {
		t.Fatal(err)
	}
	p.fails(1, []string{"volume", "list"}, "clusters.yaml", "no such file")
	if err := testcluster.Shared(t, testcluster.Options{}).ClustersFile(filepath.Join(p.dir, "clusters.yaml")); err != nil {
		t.Fatal(err)
	}
	p.fails(2, []string{"trsh"}, "trsh")
	if left := p.clients(); len(left) > 0 {
		t.Errorf("a command left its client: %+v", left)
	}
}
