// SPDX-License-Identifier: Apache-2.0

// Command kubectl-glusterfs is `kubectl glusterfs`: what an operator does from a workstation about volumes on
// GlusterFS.
//
// Exit codes: 0 done; 1 it failed (the reason is on standard error); 2 wrong usage; 3 it did what it could, and
// something is left that a person has to decide or do, or it refused to begin; 4 `doctor` has found what does not work.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/cli"
)

// version is set when the binary is built.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, cli.Process(version), os.Args[1:])
	stop()
	os.Exit(code)
}
