// SPDX-License-Identifier: Apache-2.0

package testdriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// NodeID is the name of the node that a driver here has.
const NodeID = "pi-worker1"

// Source is the package of the driver's binary, for Build.
const Source = "github.com/glusterfs-csi/glusterfs-csi/cmd/glusterfs-csi"

// Driver is a driver that serves all of CSI, with one connection to it.
type Driver struct {
	*Caller

	Dir      string // all that it writes is below
	Clusters string // path of its clusters file

	binary  string // "" if it runs in this process
	args    []string
	process *exec.Cmd
}

// Build makes a binary as `make build` does, or, with the race detector, for a process that has it, too.
func Build(ctx context.Context, binary, source string, race bool) error {
	args := []string{"build", "-o", binary}
	if race {
		args = append(args, "-race", source)
	} else {
		args = append(args, "-trimpath", "-ldflags", "-s -w", source)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	if !race {
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, output)
	}
	return nil
}

// Start runs the binary with all it writes below dir, which is made, and with these flags, and returns when it is ready. The
// caller must call Stop.
func Start(ctx context.Context, binary, dir, clusters string, flags ...string) (*Driver, error) {
	return startAs(ctx, "all", binary, dir, clusters, flags...)
}

// StartNode is Start without the controller: the node plugin and the mounter in one process.
func StartNode(ctx context.Context, binary, dir, clusters string) (*Driver, error) {
	return startAs(ctx, "node", binary, dir, clusters)
}

func startAs(ctx context.Context, mode, binary, dir, clusters string, flags ...string) (*Driver, error) {
	d := &Driver{Dir: dir, Clusters: clusters, binary: binary}
	return d, d.start(ctx, append([]string{mode, "--node-id", NodeID, "--endpoint", d.Endpoint(), "--clusters", clusters, "--state-dir", d.State()}, flags...)...)
}

// StartOther is Start for another program, which serves CSI's Probe on DIR/csi.sock, its only argument.
func StartOther(ctx context.Context, binary, dir string) (*Driver, error) {
	d := &Driver{Dir: dir, binary: binary}
	return d, d.start(ctx, filepath.Join(dir, socket))
}

const socket = "csi.sock"

func (d *Driver) start(ctx context.Context, args ...string) error {
	d.args = args
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return err
	}
	log, err := os.Create(d.Log())
	if err != nil {
		return err
	}
	defer log.Close()
	d.process = exec.Command(d.binary, args...)
	d.process.Stderr = log
	if err := d.process.Start(); err != nil {
		return err
	}
	if d.Caller, err = Dial(d.Endpoint()); err != nil {
		return errors.Join(err, d.Stop())
	}
	response, err := d.Identity.Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true))
	if err == nil && response.GetReady() != nil && !response.GetReady().GetValue() {
		err = errors.New("the driver is not ready")
	}
	if err != nil {
		return errors.Join(err, d.Stop())
	}
	return nil
}

// Endpoint is where it serves.
func (d *Driver) Endpoint() string { return "unix://" + filepath.Join(d.Dir, socket) }

// State is its state directory.
func (d *Driver) State() string { return filepath.Join(d.Dir, "state") }

// Log is the path of its log.
func (d *Driver) Log() string { return filepath.Join(d.Dir, "driver.log") }

// PID is its process ID.
func (d *Driver) PID() int { return d.process.Process.Pid }

// Stop ends the driver. Its clients outlive it, as they should; the cluster's Close takes their mounts away, and then
// they end.
func (d *Driver) Stop() error {
	if d.Caller != nil {
		_ = d.Close()
	}
	return errors.Join(d.process.Process.Signal(syscall.SIGTERM), d.process.Wait())
}

// Restart ends the driver and runs it again. What it has not left on disk it knows no more.
func (d *Driver) Restart(ctx context.Context) error {
	if err := d.Stop(); err != nil {
		return err
	}
	return d.start(ctx, d.args...)
}

// Command is one of the binary's own commands, as an administrator runs it beside the driver.
func (d *Driver) Command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, d.binary, append(args, "--clusters", d.Clusters, "--state-dir", d.State())...)
}

// TrashEntry is the name of a deleted volume's entry in the trash.
func (d *Driver) TrashEntry(ctx context.Context, v *csi.Volume) (string, error) {
	output, err := d.Command(ctx, "trash", "list", "-o", "json").Output()
	if err != nil {
		return "", fmt.Errorf("list the trash: %w", err)
	}
	var entries []struct {
		Entry string `json:"entry"`
	}
	if err := json.Unmarshal(output, &entries); err != nil {
		return "", err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Entry, v.GetVolumeId()+".") {
			return e.Entry, nil
		}
	}
	return "", fmt.Errorf("volume %s is not in the trash", v.GetVolumeId())
}

// ClientMount is where its client of a test cluster's Gluster volume, without options, is mounted. There must be one such client.
func (d *Driver) ClientMount(volume string) (string, error) {
	mounts, err := filepath.Glob(filepath.Join(d.State(), "clients", testcluster.Name, volume, "default/start-*/mnt"))
	if err == nil && len(mounts) != 1 {
		err = fmt.Errorf("the driver has %d clients of %s, want 1", len(mounts), volume)
	}
	if err != nil {
		return "", err
	}
	return mounts[0], nil
}
