// SPDX-License-Identifier: Apache-2.0

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
	"strings"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

var capability = &csi.VolumeCapability{
	AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}},
	AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
}

// driver is the real binary, running beside the demo.
type driver struct {
	dir        string // for everything; the cluster removes it
	binary     string
	process    *exec.Cmd
	connection *grpc.ClientConn
	controller csi.ControllerClient
	node       csi.NodeClient
}

func startDriver(ctx context.Context, cluster *testcluster.Cluster) (*driver, error) {
	d := &driver{dir: filepath.Join(cluster.Dir(), "demo")}
	d.binary = filepath.Join(d.dir, "glusterfs-csi")
	if err := errors.Join(os.Mkdir(d.dir, 0o755), openUp(d.dir), cluster.ClustersFile(d.clusters())); err != nil {
		return nil, err
	}
	if output, err := exec.CommandContext(ctx, "go", "build", "-o", d.binary, "./cmd/glusterfs-csi").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the driver: %w\n%s", err, output)
	}
	log, err := os.Create(filepath.Join(d.dir, "driver.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	endpoint := "unix://" + filepath.Join(d.dir, "csi.sock")
	d.process = exec.Command(d.binary, "all", "--node-id", "pi-worker1", "--endpoint", endpoint, "--clusters", d.clusters(), "--state-dir", d.state())
	d.process.Stderr = log
	if err := d.process.Start(); err != nil {
		return nil, err
	}
	if d.connection, err = grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return nil, errors.Join(err, d.stop())
	}
	d.controller, d.node = csi.NewControllerClient(d.connection), csi.NewNodeClient(d.connection)
	response, err := csi.NewIdentityClient(d.connection).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true))
	if err == nil && !response.GetReady().GetValue() {
		err = errors.New("the driver is not ready")
	}
	if err != nil {
		return nil, errors.Join(err, d.stop())
	}
	return d, nil
}

// openUp lets uid 1001 walk to the pods' directories; the way there is made for root alone.
func openUp(dir string) error {
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (d *driver) clusters() string { return filepath.Join(d.dir, "clusters.yaml") }
func (d *driver) state() string    { return filepath.Join(d.dir, "state") }

// stop ends the driver. Its client outlives it, as it should; the cluster's Close takes the
// mount away, and then the client ends.
func (d *driver) stop() error {
	if d.connection != nil {
		_ = d.connection.Close()
	}
	err := d.process.Process.Signal(syscall.SIGTERM)
	return errors.Join(err, d.process.Wait())
}

func (d *driver) publish(ctx context.Context, volume *csi.Volume, target string, readOnly bool) error {
	start := time.Now()
	_, err := d.node.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: volume.GetVolumeId(), VolumeContext: volume.GetVolumeContext(), VolumeCapability: capability, TargetPath: target, Readonly: readOnly,
	})
	if err == nil {
		show(fmt.Sprintf("published at %s in %s", filepath.Base(target), took(start)))
	}
	return err
}

func (d *driver) unpublish(ctx context.Context, volume *csi.Volume, target string) error {
	_, err := d.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: volume.GetVolumeId(), TargetPath: target})
	if err == nil {
		if _, statErr := os.Lstat(target); !errors.Is(statErr, os.ErrNotExist) {
			err = fmt.Errorf("the target %s is left", target)
		}
	}
	return err
}

func (d *driver) delete(ctx context.Context, volume *csi.Volume) error {
	start := time.Now()
	_, err := d.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: volume.GetVolumeId()})
	if err == nil {
		show("deleted in " + took(start))
	}
	return err
}

// admin runs one of the binary's own commands, as an operator does in the controller's pod.
func (d *driver) admin(ctx context.Context, args ...string) error {
	output, err := d.command(ctx, args...).CombinedOutput()
	show("$ glusterfs-csi " + strings.Join(args, " ") + "\n" + string(output))
	return err
}

func (d *driver) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, d.binary, append(args, "--clusters", d.clusters(), "--state-dir", d.state())...)
}

func (d *driver) onlyEntry(ctx context.Context) (string, error) {
	if err := d.admin(ctx, "trash", "list"); err != nil {
		return "", err
	}
	output, err := d.command(ctx, "trash", "list", "-o", "json").Output()
	if err != nil {
		return "", err
	}
	var entries []struct {
		Entry string `json:"entry"`
	}
	if err := json.Unmarshal(output, &entries); err != nil {
		return "", err
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("%d entries in the trash, want 1", len(entries))
	}
	return entries[0].Entry, nil
}

// as1001 runs a command as the container's user would, and shows what it prints.
func (d *driver) as1001(ctx context.Context, dir, name string, args ...string) error {
	return d.run1001(ctx, dir, "", name, args...)
}

// write writes a file as uid 1001, through tee.
func (d *driver) write(ctx context.Context, dir, file, text string) error {
	return d.run1001(ctx, dir, text, "tee", file)
}

func (d *driver) run1001(ctx context.Context, dir, input, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	command.Stdin = strings.NewReader(input)
	// A change to another uid than 0 takes all capabilities away.
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 0}}
	output, err := command.CombinedOutput()
	show(fmt.Sprintf("%s, uid 1001$ %s\n%s", filepath.Base(dir), strings.Join(command.Args, " "), bytes.TrimRight(output, "\n")))
	return err
}

func say(text string) { fmt.Printf("\n── %s\n", text) }

func show(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Print("   ", line)
	}
	fmt.Println()
}

// lines keeps those that begin with one of the words.
func lines(text string, words ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.HasPrefix(line, word+":") {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

func took(start time.Time) string { return time.Since(start).Round(100 * time.Microsecond).String() }
