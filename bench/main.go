// SPDX-License-Identifier: Apache-2.0

// Command bench measures the driver against every other way to do the same, on a real
// GlusterFS volume gv0 of two servers, and leaves nothing behind but its results.
//
//	make bench                  all scenarios
//	make bench BENCH=create     one (or several, separated by commas)
//	BENCH_FULL=1 make bench     the full sizes, which take 40 minutes
//	make bench ROUND_TRIP=1ms   with the servers behind a wire of that round trip
//
// The machine may be busy: what is compared is done in turn, in the same run, so what counts
// is the ratio. No figure makes it fail; errors do, and processes, mounts or files that are
// left do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// scenarios are in the order of the page.
var scenarios = []scenario{
	{"create", "CreateVolume", create},
	{"scale", "With many volumes present", scale},
	{"delete", "DeleteVolume and the trash", remove},
	{"atonce", "Many calls at once", calls},
	{"publish", "NodePublishVolume and NodeUnpublishVolume", publish},
	{"repair", "Repair of a dead client's binds", repair},
	{"memory", "Memory of a node", memory},
	{"footprint", "The driver's own memory and size", footprint},
	{"idle", "An idle node", idle},
	{"data", "The data path", data},
	{"consistency", "consistency: strict against relaxed", consistency},
	{"quota", "Writing below a limit", quotas},
	{"limits", "Making and expanding volumes with limits", limits},
	{"fsgroup", "fsGroup", fsGroup},
	{"copy", "Copies of a tree", copyTrees},
	{"snapshots", "Snapshots and clones", snapshots},
	{"roundtrips", "Requests to the bricks", countRequests},
}

// scenario measures one thing.
type scenario struct {
	name, title string
	run         func(context.Context, *bench) (report.Result, error)
}

func main() {
	if spec := os.Getenv(podVariable); spec != "" {
		if err := bePod(spec); err != nil {
			fmt.Fprintln(os.Stderr, "pod:", err)
			os.Exit(1)
		}
		return
	}
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	only := flag.String("bench", "", "what to measure, separated by commas, of "+strings.Join(names, ", ")+" (default: all)")
	whole := flag.Bool("full", false, "the full sizes")
	files := flag.Int("files", defaultFiles, "number of files and volumes, where it is not a full run")
	rounds := flag.Int("rounds", defaultRounds, "interleaved rounds")
	roundTrip := flag.Duration("round-trip", 0, "what a request and its answer wait on a wire between the servers and everything else (default: loopback)")
	out := flag.String("out", ".", "the directory with bench/results and docs/performance.md to write to")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	sizes := newSizes(*files, *rounds, *whole)
	sizes.roundTrip = *roundTrip
	err := measure(ctx, sizes, *only, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// choose returns the scenarios with these names, all if there are none.
func choose(names string) ([]scenario, error) {
	if names == "" {
		return scenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no benchmark %q: see -help", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}

func measure(ctx context.Context, sizes sizes, names, out string) (err error) {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	if err := install(ctx); err != nil {
		return err
	}
	if sizes.roundTrip > 0 { // after the installation: there is no other network then
		if err := wire.OwnNamespace(); err != nil {
			return err
		}
	}
	before := testcluster.Snapshot()
	b, err := start(ctx, sizes)
	if err != nil {
		return err
	}
	for _, s := range chosen {
		if err = b.one(ctx, s, filepath.Join(out, "bench/results")); err != nil {
			break
		}
	}
	err = errors.Join(err, b.close())
	if leaks := before.Leaks(); len(leaks) > 0 {
		err = errors.Join(err, fmt.Errorf("left behind: %q", leaks))
	}
	if err != nil {
		return err
	}
	results, err := report.Load(filepath.Join(out, "bench/results"))
	if err != nil {
		return err
	}
	return report.Page(filepath.Join(out, "docs/performance.md"), results)
}

// one runs a scenario and keeps and prints its result.
func (b *bench) one(ctx context.Context, s scenario, results string) error {
	began := time.Now()
	fmt.Fprintf(os.Stdout, "\n── %s (%s)\n", s.title, s.name)
	r, err := s.run(ctx, b)
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	r.Scenario, r.Title, r.Run = s.name, s.title, b.about
	r.Order = slices.IndexFunc(scenarios, func(o scenario) bool { return o.name == s.name })
	r.Run.Date, r.Run.Seconds = began.UTC().Format(time.RFC3339), int(time.Since(began).Seconds())
	for _, f := range r.Figures {
		fmt.Fprintln(os.Stdout, "  ", f)
	}
	for _, c := range r.Counts {
		fmt.Fprintln(os.Stdout, "  ", c)
	}
	fmt.Fprintf(os.Stdout, "   took %d s\n", r.Run.Seconds)
	return r.Save(results)
}
