// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const mountTimeout = 30 * time.Second

// Mount mounts gv0 itself, on the machine that is the LAN, so that it outlives the nodes' reboots. This process finds its root
// directory at dir. unmount returns when the client has ended.
func (c *Cluster) Mount(ctx context.Context) (dir string, unmount func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, mountTimeout)
	defer cancel()
	output, err := run(c.lan.command(ctx, "mktemp", "--directory", "/mnt/"+Volume+"-XXXXXX"))
	if err != nil {
		return "", nil, err
	}
	target := strings.TrimSpace(output)
	line := []string{"--volfile-id=" + Volume, "--log-file=/var/log/glusterfs/" + filepath.Base(target) + ".log"}
	for _, n := range c.nodes {
		line = append(line, "--volfile-server="+n.Name)
	}
	// It goes to the background when it has mounted, and exits with 0 even if it cannot.
	if _, err := run(c.lan.command(ctx, "glusterfs", append(line, target)...)); err != nil {
		return "", nil, err
	}
	if dir, err = c.lan.path(target); err != nil {
		return "", nil, err
	}
	unmount = func() error { return c.unmount(target) }
	err = poll(ctx, Volume+" to be mounted", func() error { return isGluster(dir) })
	if err != nil {
		return "", nil, errors.Join(err, unmount())
	}
	return dir, unmount, nil
}

// isGluster says whether a FUSE file system is mounted there.
func isGluster(dir string) error {
	const fuse = 0x65735546
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return err
	}
	if stat.Type != fuse {
		return fmt.Errorf("%s is of type %#x", dir, stat.Type)
	}
	return nil
}

func (c *Cluster) unmount(target string) error {
	ctx, cancel := context.WithTimeout(context.Background(), mountTimeout)
	defer cancel()
	_, err := run(c.lan.command(ctx, "umount", "--lazy", target))
	ended := poll(ctx, "the client of "+target+" to end", func() error {
		left, err := c.lan.processes(func(p process) bool { return p.args[len(p.args)-1] == target })
		if err != nil || len(left) > 0 {
			return errors.Join(err, fmt.Errorf("still there: %v", left))
		}
		return nil
	})
	return errors.Join(err, ended)
}
