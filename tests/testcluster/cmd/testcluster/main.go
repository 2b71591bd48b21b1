// SPDX-License-Identifier: Apache-2.0

// Command testcluster runs a GlusterFS cluster on loopback addresses until it is interrupted, and leaves nothing behind. It
// needs root, and installs GlusterFS if that is missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func main() {
	var options testcluster.Options
	flag.IntVar(&options.Servers, "servers", 0, "number of servers (default: as many as a replica set has bricks)")
	flag.IntVar(&options.Replica, "replica", 0, "number of bricks of a replica set (default 2)")
	flag.BoolVar(&options.Arbiter, "arbiter", false, "replica 3 with the third brick an arbiter")
	flag.IntVar(&options.Subvolumes, "subvolumes", 1, "number of replica sets, over which files are distributed")
	flag.StringVar((*string)(&options.FileSystem), "filesystem", "", "xfs or ext4: each brick on one of its own, on a loop device")
	flag.StringVar(&options.Volume, "volume", "gv0", "name of the volume")
	flag.Parse()
	if err := run(options); err != nil {
		fmt.Fprintln(os.Stderr, "testcluster:", err)
		os.Exit(1)
	}
}

func run(options testcluster.Options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	began := time.Now()
	cluster, err := testcluster.Start(ctx, options)
	if err != nil {
		return err
	}
	if err := describe(cluster, options.Volume, time.Since(began)); err != nil {
		_ = cluster.Close() // the first error is the one to tell
		return err
	}
	<-ctx.Done()
	return cluster.Close()
}

func describe(cluster *testcluster.Cluster, volume string, took time.Duration) error {
	path := filepath.Join(cluster.Dir(), "clusters.yaml")
	if err := cluster.ClustersFile(path); err != nil {
		return err
	}
	fmt.Printf("%d servers up in %v, everything below %s\n\n", len(cluster.Servers()), took.Round(time.Millisecond), cluster.Dir())
	fmt.Printf("clusters file: %s\n%s\n", path, cluster.ClustersYAML())
	fmt.Printf("mount:   mount -t glusterfs %s:/%s /mnt\n", cluster.Servers()[0], volume)
	for i := range cluster.Servers() {
		fmt.Printf("gluster: gluster --glusterd-sock=%s volume status   # server %d\n", cluster.Socket(i), i)
	}
	fmt.Println("\nCtrl-C ends and removes it.")
	return nil
}
