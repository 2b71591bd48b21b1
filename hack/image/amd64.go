// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// testAMD64 mounts a real gv0 by the image's driver and client, with nothing of this machine but its kernel.
func (s *store) testAMD64(ctx context.Context, file string) (err error) {
	before := testcluster.Snapshot()
	cluster, err := testcluster.Start(ctx, testcluster.Options{})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, cluster.Close())
		if leaks := before.Leaks(); len(leaks) > 0 {
			err = errors.Join(err, fmt.Errorf("left behind: %q", leaks))
		}
	}()
	return s.unpacked(ctx, "docker-archive:"+file, func(root string) error {
		fmt.Printf("%s: a volume of gv0, published with each client option\n", file)
		if err := s.publishAll(ctx, cluster, root, "new", cluster.ClustersYAML(), nil, everyOption()); err != nil {
			return err
		}
		fmt.Printf("%s: the same as on Linux before 5.2, by the image's mount(8)\n", file)
		// The flags need a remount, which is what mount(8) is for.
		if err := s.publishAll(ctx, cluster, root, "old", cluster.ClustersYAML(), []string{"open_tree", "move_mount", "mount_setattr"}, []string{"noexec", "acl"}); err != nil {
			return err
		}
		fmt.Printf("%s: the same over TLS, where glusterd wants it, too\n", file)
		return s.publishOverTLS(ctx, root)
	})
}

// publishAll runs the driver, makes a volume, and publishes it once with each of the options.
func (s *store) publishAll(ctx context.Context, cluster *testcluster.Cluster, root, name, clustersYAML string, without, options []string) (err error) {
	shared := filepath.Join(cluster.Dir(), name, "shared")
	clusters := filepath.Join(shared, "clusters.yaml")
	if err := errors.Join(os.MkdirAll(shared, 0o755), os.WriteFile(clusters, []byte(clustersYAML), 0o600)); err != nil {
		return err
	}
	if err := unix.Mount(shared, shared, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Unmount(shared, unix.MNT_DETACH)) }()
	if err := unix.Mount("", shared, "", unix.MS_SHARED, ""); err != nil {
		return err
	}
	d, err := contain(ctx, root, shared, without, "all", "--node-id=pi-worker1", "--endpoint=unix://"+shared+"/csi.sock", "--clusters="+clusters, "--state-dir="+shared+"/state")
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, d.stop(), detachClients(shared))
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, d.logged())
		}
	}()
	volume, err := d.create(ctx, "image-"+name)
	if err != nil {
		return err
	}
	for _, option := range options {
		began := time.Now()
		if err := d.publishOnce(ctx, volume, filepath.Join(shared, "target"), option); err != nil {
			return fmt.Errorf("mount option %s: %w", option, err)
		}
		fmt.Printf("  %-30s %v\n", option, time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// everyOption is each client option with a value that it takes.
func everyOption() []string {
	options := []string{"rw"} // without any
	for _, o := range gluster.AllowedOptions() {
		switch {
		case o.Value == "":
			options = append(options, o.Name)
		case strings.Contains(o.Value, "|"):
			for value := range strings.SplitSeq(o.Value, "|") {
				options = append(options, o.Name+"="+value)
			}
		case o.Value == "NUMBER":
			options = append(options, o.Name+"=64") // between all the bounds
		default: // seconds
			options = append(options, o.Name+"=2")
		}
	}
	return options
}

func (d *driver) create(ctx context.Context, name string) (*csi.Volume, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return d.caller.Create(ctx, name)
}

// publishOnce publishes, writes and reads a file from outside the container, and unpublishes.
func (d *driver) publishOnce(ctx context.Context, volume *csi.Volume, target, option string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := d.caller.Publish(ctx, volume, target, func(r *csi.NodePublishVolumeRequest) {
		r.VolumeCapability = testdriver.Capability(option)
	})
	if err != nil {
		return err
	}
	used := errors.Join(hasFlag(target, option), testcluster.Within(callTimeout, func() error { return use(filepath.Join(target, "file"), option) }))
	return errors.Join(used, d.caller.Unpublish(ctx, volume, target))
}

// hasFlag fails if the option is a flag of the bind mount, and the mount does not have it.
func hasFlag(target, option string) error {
	flag, ok := mount.ParseFlag(option)
	if !ok {
		return nil
	}
	at, err := mount.At(target)
	if err == nil && (len(at) == 0 || at[len(at)-1].Flags&flag != flag) {
		err = fmt.Errorf("%s is mounted without %s: %+v", target, option, at)
	}
	return err
}

func use(path, option string) error {
	text := []byte("written with " + option)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	data, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(data, text) {
		err = fmt.Errorf("read %q", data)
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// detachClients detaches what a stopped driver leaves: its clients then end by themselves.
func detachClients(below string) error {
	entries, err := mount.List()
	errs := []error{err}
	for _, e := range entries {
		if strings.HasPrefix(e.Target, below+"/") {
			errs = append(errs, mount.Detach(e.Target))
		}
	}
	return errors.Join(errs...)
}
