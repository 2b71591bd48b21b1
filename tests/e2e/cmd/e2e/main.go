// SPDX-License-Identifier: Apache-2.0

// Command e2e runs the end-to-end tests on a real Kubernetes of two nodes on this computer. It must be root, in tests/e2e, after
// `make image`.
//
//	e2e up               build what is missing, start the cluster, or what does not run of it
//	e2e down             end it, and fail with a list if anything is left
//	e2e test             up, the story, down; -keep leaves the cluster up, -full adds the story's long parts, -from DIR plays the update from
//	                     an earlier version instead
//	e2e upstream         up, Kubernetes' own tests of storage on the driver, down; -keep as above
//	e2e kubectl ARGS…    kubectl as administrator
//
// The exit code is that of the story or of kubectl, or 1; of upstream, how many specs failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	var said exitError
	switch {
	case errors.As(err, &said):
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(int(said))
	case err != nil:
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}

// exitError is the error of a program whose exit code is this one's, too, and which has said why.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// play runs a program to its end.
func play(cmd *exec.Cmd) error {
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exitError(exit.ExitCode())
	}
	return err
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("up, down, test, upstream or kubectl?")
	}
	switch args[0] {
	case "up":
		_, err := up(ctx)
		return err
	case "down":
		return down(ctx)
	case "test":
		return test(ctx, args[1:])
	case "upstream":
		return upstream(ctx, args[1:])
	case "kubectl":
		return kubectl(ctx, args[1:])
	}
	return fmt.Errorf("%q is none of up, down, test, upstream and kubectl", args[0])
}
