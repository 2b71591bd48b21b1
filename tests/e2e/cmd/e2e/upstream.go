// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/build"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/image"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
	upstreamtests "github.com/glusterfs-csi/glusterfs-csi/tests/e2e/upstream"
)

// upstream runs Kubernetes' own tests of storage on a cluster, which it ends afterwards, whatever happened.
func upstream(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	keep := flags.Bool("keep", false, "leave the cluster up")
	_ = flags.Parse(args) // exits by itself
	dir, err := filepath.Abs("upstream")
	if err != nil {
		return err
	}
	if !*keep {
		defer func() { err = errors.Join(err, down(context.WithoutCancel(ctx))) }()
	}
	archives, err := upstreamImages(ctx)
	if err != nil {
		return err
	}
	c, err := start(ctx, archives)
	if err != nil {
		fmt.Fprintln(os.Stderr, "logs:", cache.Path("log"))
		return err
	}
	if err := errors.Join(install.TurnQuotaOn(ctx, c), install.Apply(ctx, c, repository)); err != nil {
		report(context.WithoutCancel(ctx), c)
		return err
	}
	failed, err := upstreamtests.Run(ctx, c, dir)
	fmt.Println("reports:", cache.Path("upstream"))
	if failed > 0 {
		fmt.Fprintln(os.Stderr, "--- all logs:", cache.Path("log"))
		return errors.Join(exitError(min(failed, 125)), err) // a shell gives higher ones another meaning
	}
	return err
}

// upstreamImages makes the programs and images of the cluster, and those of the tests.
func upstreamImages(ctx context.Context) ([]string, error) {
	archives, err := makeImages(ctx)
	if err != nil {
		return nil, err
	}
	if err := build.Ensure(ctx, "modules", build.Upstream()); err != nil {
		return nil, err
	}
	names, err := upstreamtests.Images(ctx)
	if err != nil {
		return nil, err
	}
	more, err := image.Upstream(ctx, names)
	return append(archives, more...), err
}
