// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/apply"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/live"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// migration is one run of `migrate`.
type migration struct {
	command

	fromDir   string
	servers   []string
	manifests bool
	all       bool
	apply     bool
	rollback  bool
	dryRun    bool
	wait      bool
	timeout   time.Duration
}

func migrateCommand(base command) *cobra.Command {
	m := &migration{command: base}
	c := &cobra.Command{
		Use:   "migrate [--from-dir DIR] [--apply | --rollback]",
		Short: "Move volumes of the removed in-tree GlusterFS plugin to this driver",
		Long: `Plan the way from the in-tree GlusterFS plugin, which Kubernetes 1.26 removed, to
this driver: PersistentVolumes with spec.glusterfs, heketi's, and glusterfs
volumes in pod templates. Without --apply nothing is changed. No data is moved or
deleted, and each claim keeps its name.

PersistentVolumes belong to no namespace, so the plan is of all of them, unless
-n says whose claims are meant.
` + exitCodes,
		Example: `  kubectl glusterfs migrate                   # what would be done
  kubectl glusterfs migrate --from-dir manifests/ -o yaml
  kubectl glusterfs migrate --from-dir manifests/ --manifests > new.yaml
  kubectl glusterfs migrate --servers app/glusterfs-cluster=10.0.0.1,10.0.0.2
  kubectl glusterfs migrate --apply --wait    # waits for the pods to be stopped
  kubectl glusterfs migrate --rollback`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, _ []string) error { return m.run(c.Context()) },
	}
	addOutput(c, &m.format)
	f := c.Flags()
	f.StringVar(&m.fromDir, "from-dir", "", "plan of the files in `DIR`, or of one file,\nand of no cluster")
	f.StringArrayVar(&m.servers, "servers", nil, "servers of Endpoints that are gone, as\n`NAME=ADDRESSES` or NAMESPACE/NAME=…; repeatable")
	f.BoolVar(&m.manifests, "manifests", false, "print the new objects alone")
	f.BoolVarP(&m.all, "all-namespaces", "A", false, "of all namespaces, which is so without -n")
	f.BoolVar(&m.apply, "apply", false, "do it, step by step; repeated, it goes on")
	f.BoolVar(&m.rollback, "rollback", false, "restore the objects that --apply replaced")
	f.BoolVar(&m.dryRun, "dry-run", false, "say what --apply or --rollback would do")
	f.BoolVar(&m.wait, "wait", false, "with --apply or --rollback: wait for pods to\ngo, and for claims to be bound")
	f.DurationVar(&m.timeout, "timeout", 5*time.Minute, "how long --wait waits, as `TIME`")
	_ = c.MarkFlagDirname("from-dir")
	return c
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %s takes no arguments, and got %q; see `%s --help`", errUsage, c.Name(), args[0], c.CommandPath())
	}
	return nil
}

// check is of what the flags say together.
func (m *migration) check() error {
	changes := m.apply || m.rollback
	return m.command.check("migrate", []wrong{
		{m.apply && m.rollback, "--apply and --rollback exclude each other"},
		{m.fromDir != "" && changes, "--from-dir is for planning; --apply and --rollback are of a running cluster. To make the new objects of files in a cluster that " +
			"has no old ones: --manifests"},
		{(m.dryRun || m.wait) && !changes, "--dry-run and --wait need --apply or --rollback; without them nothing is changed anyway"},
		{m.manifests && changes, "--manifests prints, --apply and --rollback change"},
		{m.all && m.connection.namespace() != "", "-A and -n exclude each other"},
		{m.rollback && m.connection.namespace() != "", "--rollback is of all that was applied; -n has no meaning with it"},
	})
}

func (m *migration) run(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	options, err := m.options()
	if err != nil {
		return err
	}
	if m.fromDir != "" {
		objects, findings, err := readFiles(m.fromDir)
		if err != nil {
			return err
		}
		return m.print(migrate.Make(objects, findings, options), true)
	}
	if m.rollback {
		return m.rollBack(ctx)
	}
	client, objects, findings, err := m.read(ctx)
	if err != nil {
		return err
	}
	options.Live = true
	plan := migrate.Make(objects, findings, options)
	namespace := live.DriverNamespace(objects)
	if !m.apply {
		return m.print(plan, namespace != "")
	}
	again := func(ctx context.Context) (*migrate.Plan, error) {
		_, objects, findings, err := m.read(ctx)
		return migrate.Make(objects, findings, options), err
	}
	return m.change(ctx, &apply.Applier{Client: client, Namespace: namespace, Again: again}, plan)
}

// rollBack needs no more than the driver's namespace, where the records are: whatever else cannot be read does not matter.
func (m *migration) rollBack(ctx context.Context) error {
	r, err := m.connection.reach(m.env)
	if err != nil {
		return err
	}
	namespace, err := live.FindDriver(ctx, r.client)
	if err != nil {
		return err
	}
	return m.change(ctx, &apply.Applier{Client: r.client, Namespace: namespace}, &migrate.Plan{})
}

// options are the planner's.
func (m *migration) options() (migrate.Options, error) {
	options := migrate.Options{Namespace: m.connection.namespace(), Servers: map[string][]string{}}
	if m.fromDir != "" {
		options.DefaultNamespace = options.Namespace
	}
	for _, said := range m.servers {
		name, addresses, ok := strings.Cut(said, "=")
		if !ok || name == "" || addresses == "" {
			return options, fmt.Errorf("%w: --servers %s: write [NAMESPACE/]NAME=ADDRESS,ADDRESS", errUsage, said)
		}
		options.Servers[name] = append(options.Servers[name], strings.Split(addresses, ",")...)
	}
	return options, nil
}

// readFiles reads a directory, or the one file that is named in its place.
func readFiles(dir string) ([]migrate.Object, []migrate.Finding, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		objects, findings := migrate.ReadFile(os.DirFS(filepath.Dir(dir)), filepath.Base(dir))
		return objects, findings, nil
	}
	return migrate.ReadFiles(os.DirFS(dir))
}

// read asks the cluster.
func (m *migration) read(ctx context.Context) (dynamic.Interface, []migrate.Object, []migrate.Finding, error) {
	config, err := m.connection.config()
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, nil, nil, err
	}
	resources, err := discovery.NewDiscoveryClientForConfig(config) // not kubectl's cache, which may not know a kind yet
	if err != nil {
		return nil, nil, nil, err
	}
	objects, findings, err := live.Read(ctx, resources, client)
	return client, objects, findings, err
}

// print reports a plan.
func (m *migration) print(plan *migrate.Plan, isInstalled bool) error {
	var err error
	switch {
	case m.manifests:
		err = m.printManifests(plan)
	case m.format == "json" || m.format == "yaml":
		err = encode(m.env.Out, m.format, plan)
	case m.format == "name":
		for _, o := range plan.Objects() {
			fmt.Fprintln(m.env.Out, report.Name(o))
		}
	default:
		report.Plan(m.env.Out, plan, report.Style{Width: m.env.Width, Colour: m.env.Colour, Wide: m.format == "wide", IsInstalled: isInstalled})
	}
	if err == nil && !plan.Complete() {
		return errLeft
	}
	return err
}

// printManifests prints the new objects; what is left to do goes to standard error, so that it is not lost in a file.
func (m *migration) printManifests(plan *migrate.Plan) error {
	for _, f := range plan.Findings {
		if f.Severity != migrate.Note {
			m.say("%s", report.Line(f))
		}
	}
	return documents(m.env.Out, plan.Objects())
}

// change applies or rolls back.
func (m *migration) change(ctx context.Context, a *apply.Applier, plan *migrate.Plan) error {
	if a.Namespace == "" {
		return fmt.Errorf("%w: the driver is not installed here: no namespace has a ConfigMap %s. Install it first (docs/install.md), with the clusters file of "+
			"the plan that `kubectl glusterfs migrate` prints", errLeft, migrate.ClustersConfigMap)
	}
	a.Say, a.Step, a.Wait = m.say, m.env.Step, m.wait
	if m.wait {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, m.timeout)
		defer cancel()
	}
	err := m.do(ctx, a, plan)
	if errors.Is(err, apply.ErrInUse) {
		report.StopCommands(m.env.Err, plan)
		return fmt.Errorf("%w: %w. Nothing was begun that is not recorded; stop the pods, and repeat", errLeft, err)
	}
	if errors.Is(err, apply.ErrLeft) {
		err = fmt.Errorf("%w: %w", errLeft, err)
	} else if err != nil {
		return err
	}
	if m.dryRun || m.rollback {
		return err
	}
	report.After(m.env.Out, plan, m.style())
	if err == nil && !plan.Complete() {
		return errLeft
	}
	return err
}

func (m *migration) do(ctx context.Context, a *apply.Applier, plan *migrate.Plan) error {
	if !m.dryRun {
		if m.rollback {
			return a.Rollback(ctx)
		}
		return a.Apply(ctx, plan)
	}
	preview := a.PreviewRollback
	if m.apply {
		preview = func(ctx context.Context) ([]string, error) { return a.Preview(ctx, plan) }
	}
	lines, err := preview(ctx)
	for _, line := range lines {
		fmt.Fprintln(m.env.Out, line)
	}
	return err
}
