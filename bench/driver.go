// SPDX-License-Identifier: Apache-2.0

package main

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
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// driver is the real binary and a connection to it, as kubelet and the sidecars have.
type driver struct {
	binary, dir, clusters string
	process               *exec.Cmd
	connection            *grpc.ClientConn
	controller            csi.ControllerClient
	node                  csi.NodeClient
}

// startDriver runs the binary with all it writes below dir, and returns when it serves.
func startDriver(ctx context.Context, binary, dir, clusters string) (*driver, error) {
	d := &driver{binary: binary, dir: dir, clusters: clusters}
	return d, d.start(ctx, "all", "--node-id", "pi-worker1", "--endpoint", d.endpoint(), "--clusters", clusters, "--state-dir", d.state())
}

func (d *driver) socket() string   { return filepath.Join(d.dir, "csi.sock") }
func (d *driver) endpoint() string { return "unix://" + d.socket() }
func (d *driver) state() string    { return filepath.Join(d.dir, "state") }
func (d *driver) log() string      { return filepath.Join(d.dir, "driver.log") }

func (d *driver) start(ctx context.Context, args ...string) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	log, err := os.Create(d.log())
	if err != nil {
		return err
	}
	defer log.Close()
	d.process = exec.Command(d.binary, args...)
	d.process.Stderr = log
	if err := d.process.Start(); err != nil {
		return err
	}
	if d.connection, err = grpc.NewClient(d.endpoint(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		return errors.Join(err, d.stop())
	}
	d.controller, d.node = csi.NewControllerClient(d.connection), csi.NewNodeClient(d.connection)
	if _, err := csi.NewIdentityClient(d.connection).Probe(ctx, &csi.ProbeRequest{}, grpc.WaitForReady(true)); err != nil {
		return errors.Join(err, d.stop())
	}
	return nil
}

// stop ends the driver. Its clients end when the cluster's Close takes their mounts away.
func (d *driver) stop() error {
	if d.connection != nil {
		_ = d.connection.Close()
	}
	return errors.Join(d.process.Process.Signal(syscall.SIGTERM), d.process.Wait())
}

// rawPath is where a volume's data is on a mount of the Gluster volume's root.
func rawPath(m *testcluster.RawMount, v *csi.Volume) string {
	return filepath.Join(m.Path, v.GetVolumeContext()["path"])
}

func capability(group string) *csi.VolumeCapability {
	return &csi.VolumeCapability{
		AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{VolumeMountGroup: group}},
		AccessMode: &csi.VolumeCapability_AccessMode{Mode: csi.VolumeCapability_AccessMode_MULTI_NODE_MULTI_WRITER},
	}
}

// create makes a volume of 1 GiB for uid 1001 on the only Gluster volume of the clusters file.
func (d *driver) create(ctx context.Context, name string) (*csi.Volume, error) {
	response, err := d.controller.CreateVolume(ctx, &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: 1 << 30},
		VolumeCapabilities: []*csi.VolumeCapability{capability("")}, Parameters: map[string]string{"uid": "1001"},
	})
	return response.GetVolume(), err
}

// createMany makes count volumes, 16 at once.
func (d *driver) createMany(ctx context.Context, prefix string, count int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range count {
		group.Go(func() error {
			_, err := d.create(ctx, fmt.Sprintf("%s-%05d", prefix, i))
			return err
		})
	}
	return group.Wait()
}

func (d *driver) delete(ctx context.Context, v *csi.Volume) error {
	_, err := d.controller.DeleteVolume(ctx, &csi.DeleteVolumeRequest{VolumeId: v.GetVolumeId()})
	return err
}

func (d *driver) publish(ctx context.Context, v *csi.Volume, target, group string) error {
	_, err := d.node.NodePublishVolume(ctx, &csi.NodePublishVolumeRequest{
		VolumeId: v.GetVolumeId(), VolumeContext: v.GetVolumeContext(), VolumeCapability: capability(group), TargetPath: target,
	})
	return err
}

func (d *driver) unpublish(ctx context.Context, v *csi.Volume, target string) error {
	_, err := d.node.NodeUnpublishVolume(ctx, &csi.NodeUnpublishVolumeRequest{VolumeId: v.GetVolumeId(), TargetPath: target})
	return err
}

// admin runs one of the binary's own commands and returns what it prints.
func (d *driver) admin(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--clusters", d.clusters, "--state-dir", d.state())...)
	output, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%v: %w", args, err)
	}
	return output, err
}

// trashEntry is the entry of a deleted volume.
func (d *driver) trashEntry(ctx context.Context, v *csi.Volume) (string, error) {
	output, err := d.admin(ctx, "trash", "list", "-o", "json")
	if err != nil {
		return "", err
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
