// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
)

// debugFlags say which process is meant.
type debugFlags struct {
	shared  *sharedFlags
	process string
}

func debugCommand(shared *sharedFlags) *cobra.Command {
	f := &debugFlags{shared: shared}
	c := group("debug", "Look at a process of the driver that runs on this host")
	c.Long = `Look at a process of the driver that runs on this host, over a socket in its state
directory that root alone can use. Nothing is stopped, and no volume is asked.`
	var seconds int
	profile := f.command("profile NAME", "Write a profile for `go tool pprof`: "+strings.Join(debug.Profiles(), ", "), cobra.ExactArgs(1),
		func(args []string) (string, string) {
			return http.MethodGet, "/profile?" + url.Values{"name": args[:1], "seconds": {strconv.Itoa(seconds)}}.Encode()
		})
	profile.Flags().IntVar(&seconds, "seconds", 30, "how long to take the profile `cpu`")
	c.AddCommand(profile,
		f.command("goroutines", "Print what each goroutine does, with its stack", cobra.NoArgs, get("/goroutines")),
		f.command("metrics", "Print the metrics", cobra.NoArgs, get("/metrics")),
		f.command("log-level [V]", "Print -v, or change it until the process ends: 0 to 10", cobra.MaximumNArgs(1),
			func(args []string) (string, string) {
				if len(args) == 0 {
					return http.MethodGet, "/log-level"
				}
				return http.MethodPut, "/log-level?" + url.Values{"v": args}.Encode()
			}),
	)
	return c
}

// get is what a command asks that has no arguments.
func get(page string) func([]string) (method, page string) {
	return func([]string) (string, string) { return http.MethodGet, page }
}

func (f *debugFlags) command(use, short string, args cobra.PositionalArgs, question func(args []string) (method, page string)) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short,
		Args: func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			socket, err := f.socket()
			if err != nil {
				return err
			}
			method, page := question(args)
			return debug.Ask(c.Context(), socket, method, page, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&f.process, "process", "", "which one: controller, node, mounter or all (default the only one there)")
	return c
}

// socket is that of the process that is meant.
func (f *debugFlags) socket() (string, error) {
	there := debug.Modes(f.shared.stateDir)
	switch {
	case f.process == "" && len(there) == 1:
		f.process = there[0]
	case f.process == "" && len(there) == 0:
		return "", fmt.Errorf("no process of the driver has its --state-dir at %s", f.shared.stateDir)
	case f.process == "":
		return "", fmt.Errorf("%w: there are several processes: give --process %s", errUsage, strings.Join(there, " or "))
	case !slices.Contains(there, f.process):
		return "", fmt.Errorf("no process %q has its --state-dir at %s; there are: %s", f.process, f.shared.stateDir, strings.Join(there, ", "))
	}
	return debug.Socket(f.shared.stateDir, f.process), nil
}
