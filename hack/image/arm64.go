// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

// qemu runs a program of the arm64 image, with the image's own libraries.
const qemu = "qemu-aarch64-static"

// testARM64 runs what can be run without a kernel of that architecture: the driver up to Probe over its socket, and the client and
// mount(8) up to their versions, which takes all libraries that they link.
func (s *store) testARM64(ctx context.Context, file string) error {
	return s.unpacked(ctx, "docker-archive:"+file, func(root string) error {
		for _, program := range []string{"usr/bin/glusterfs-csi", "usr/sbin/glusterfs", "usr/bin/mount", "usr/bin/umount"} {
			said, err := output(ctx, qemu, "-L", root, filepath.Join(root, program), "--version")
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(said, "\n")
			fmt.Printf("%s: /%s --version: %s\n", file, program, first)
		}
		return s.probeARM64(ctx, file, root)
	})
}

func (s *store) probeARM64(ctx context.Context, file, root string) (err error) {
	dir, err := os.MkdirTemp(s.dir, "arm64")
	if err != nil {
		return err
	}
	clusters, socket := filepath.Join(dir, "clusters.yaml"), filepath.Join(dir, "csi.sock")
	if err := os.WriteFile(clusters, []byte("clusters:\n- {name: pi, servers: [192.0.2.15], volumes: [gv0]}\n"), 0o600); err != nil {
		return err
	}
	d, err := start(ctx, dir, socket, qemu, filepath.Join(root, "usr/bin/glusterfs-csi"), "all", "--node-id=pi-worker1",
		"--endpoint=unix://"+socket, "--clusters="+clusters, "--state-dir="+filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	info, err := d.caller.Identity.GetPluginInfo(ctx, &csi.GetPluginInfoRequest{})
	if err != nil {
		return err
	}
	fmt.Printf("%s: Probe over the socket: ready; %s %s\n", file, info.GetName(), info.GetVendorVersion())
	return nil
}
