// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are what the test cluster and the tests run, and packages the Debian and Ubuntu packages that hold them.
var (
	programs = []string{"glusterd", "glusterfs", "gluster", "getfattr", "setfattr", "getfacl", "setfacl", "mkfs.xfs", "mkfs.ext4", "strace"}
	packages = []string{"glusterfs-server", "glusterfs-client", "attr", "acl", "xfsprogs", "e2fsprogs", "strace"}
)

// Install makes sure that GlusterFS's server and client and the tools for attributes and ACLs are there, by apt-get when one
// is missing. It needs root and a network then, takes minutes at worst, and writes apt-get's output to stderr. Start calls it.
func Install(ctx context.Context) error {
	if missing() == "" {
		return nil
	}
	// Test binaries run side by side, and apt-get update does not wait for another one's lock.
	var lock net.Listener
	err := Poll(ctx, func() (err error) {
		lock, err = net.Listen("unix", "@glusterfs-csi-test/install")
		return err
	})
	if err != nil {
		return fmt.Errorf("wait for another installation: %w", err)
	}
	defer func() { _ = lock.Close() }()
	if missing() == "" {
		return nil
	}
	for _, args := range [][]string{
		{"update"},
		append([]string{"-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"}, packages...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %v: %w (install %v by hand)", args, err, packages)
		}
	}
	if name := missing(); name != "" {
		return fmt.Errorf("no %s even after installing %v", name, packages)
	}
	return nil
}

func missing() string {
	for _, name := range programs {
		if _, err := program(name); err != nil {
			return name
		}
	}
	return ""
}

// program finds an executable, in sbin too, which an unusual PATH may lack.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if err == nil {
			break
		}
		if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}
