// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line of `kubectl glusterfs`: flags, what is printed where, exit codes. Each command has a
// file of its own.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
)

// The exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitLeft   = 3 // something is left that a person has to decide or do; of doctor, the worst is !
	ExitUnwell = 4 // of doctor: the worst is ✘
)

// errUsage marks what is wrong with the command line itself; errLeft that a command did its work and something is left.
var (
	errUsage = errors.New("usage")
	errLeft  = errors.New("something is left to decide or to do")
	// errWarned and errUnwell are what doctor has found; its report says it.
	errWarned = errors.New("not all is well")
	errUnwell = errors.New("something does not work")
)

// Environment is what a command has to do with.
type Environment struct {
	Version string
	Out     io.Writer // the report
	Err     io.Writer // progress, and the reason of a failure
	// Colour: the report goes to a terminal that shows colours. Width is its columns; 0: no terminal.
	Colour bool
	Width  int
	// Step, if it is set, is called before each change of the cluster. Tests stop there.
	Step func(point string) error
	// Run, if it is set, runs commands in the driver's pods. Tests have no kubelet that would.
	Run inside.Run
}

// Process is the environment of this process.
func Process(version string) Environment {
	env := Environment{Version: version, Out: os.Stdout, Err: os.Stderr}
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil {
		env.Width = width
		env.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return env
}

// Run runs a command line and returns its exit code.
func Run(ctx context.Context, env Environment, args []string) int {
	klog.LogToStderr(false) // client-go's own lines: what they say is in the errors that it returns
	klog.SetOutput(io.Discard)
	root := newRoot(env) //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	if err != errLeft && err != errWarned && err != errUnwell { //nolint:errorlint // the bare ones have been explained by the report
		fmt.Fprintln(env.Err, "kubectl glusterfs:", err)
	}
	switch {
	case errors.Is(err, errUsage):
		return ExitUsage
	case errors.Is(err, errLeft), errors.Is(err, errWarned):
		return ExitLeft
	case errors.Is(err, errUnwell):
		return ExitUnwell
	}
	return ExitFailed
}

const exitCodes = `
Exit codes: 0 done; 1 it failed; 2 wrong usage; 3 something is left that a person
has to decide or do, or it refused to begin.`

func newRoot(env Environment) *cobra.Command {
	root := &cobra.Command{
		Use: "kubectl-glusterfs", Short: "What an operator does about volumes on GlusterFS",
		Long:        "What an operator of the GlusterFS CSI driver does from a workstation.\n" + exitCodes + "\nOf doctor: 3 the worst is !, 4 the worst is ✘.",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl glusterfs"},
		Version:     env.Version, SilenceUsage: true, SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: there is no command %q; see `%s --help`", errUsage, args[0], c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see `%s --help`", errUsage, err, c.CommandPath())
	})
	base := command{env: env, connection: connect(root)}
	root.AddCommand(migrateCommand(base), trashCommand(base), undeleteCommand(base), recoverCommand(base), doctorCommand(base), dumpCommand(base))
	return root
}

// connection is how to reach a cluster, as kubectl's own flags say.
type connection struct{ *genericclioptions.ConfigFlags }

// connect offers kubectl's flags. Help shows those that most people use.
func connect(root *cobra.Command) connection {
	flags := genericclioptions.NewConfigFlags(false)
	flags.AddFlags(root.PersistentFlags())
	shown := map[string]bool{"context": true, "kubeconfig": true, "namespace": true}
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = !shown[f.Name] })
	return connection{flags}
}

// config is for a client. What the API server warns of (Endpoints are deprecated) is no news here.
func (c connection) config() (*rest.Config, error) {
	config, err := c.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("no cluster to ask: %w; say --kubeconfig and --context, or read files with --from-dir", err)
	}
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	config.QPS, config.Burst = 50, 100
	return config, nil
}

// current is the namespace that -n says, or the one of the context, as kubectl has it.
func (c connection) current() (string, error) {
	namespace, _, err := c.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// namespace is the one that -n says, or "".
func (c connection) namespace() string {
	if c.Namespace == nil {
		return ""
	}
	return *c.Namespace
}
