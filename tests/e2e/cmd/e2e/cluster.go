// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/image"
)

const repository = "../.."

// up builds what is missing and starts the cluster, whose nodes get these archives of images too, and says how long each part took.
func up(ctx context.Context, more ...string) (*cluster.Cluster, error) {
	began := time.Now()
	archives, err := makeImages(ctx)
	if err != nil {
		return nil, err
	}
	fmt.Printf("programs and images are there after %.1f s\n", time.Since(began).Seconds())
	return start(ctx, append(archives, more...))
}

// makeImages makes all programs and images of a cluster.
func makeImages(ctx context.Context) ([]string, error) {
	if err := build.Ensure(ctx, "modules", build.Cluster()); err != nil {
		return nil, err
	}
	return image.Ensure(ctx, repository, cluster.PauseImage)
}

func start(ctx context.Context, archives []string) (*cluster.Cluster, error) {
	began := time.Now()
	c, err := cluster.Up(ctx, archives, func(part string) {
		fmt.Printf("%-10s up after %5.1f s\n", part, time.Since(began).Seconds())
	})
	if err != nil {
		return nil, err
	}
	fmt.Printf("%-10s up after %5.1f s\n", "cluster", time.Since(began).Seconds())
	return c, nil
}

func down(ctx context.Context) error {
	began := time.Now()
	if err := cluster.Down(ctx); err != nil {
		return err
	}
	fmt.Printf("cluster down after %.1f s, nothing left\n", time.Since(began).Seconds())
	return nil
}

func kubectl(ctx context.Context, args []string) error {
	c, err := cluster.Find()
	if err != nil {
		return err
	}
	cmd := c.KubectlCommand(ctx, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return play(cmd)
}
