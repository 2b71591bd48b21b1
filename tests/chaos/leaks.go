// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// A process may have a few goroutines more than at another time when just as much is going
// on: those of a connection or a timer that are about to end. Descriptors come with them.
// What leaks does so with each event.
const tolerance = 6

// usage is what a process of the driver holds.
type usage struct{ descriptors, goroutines, zombies int }

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines", u.descriptors, u.goroutines)
}

// usage asks a process what it holds.
func (s *service) usage(ctx context.Context) (usage, error) {
	metrics, err := s.get(ctx, "/metrics")
	if err != nil {
		return usage{}, err
	}
	var u usage
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			if u.goroutines, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
				return u, err
			}
		}
	}
	if u.goroutines == 0 {
		return u, fmt.Errorf("the metrics of the %s have no go_goroutines", s.name)
	}
	descriptors, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.pid()))
	if err != nil {
		return u, err
	}
	u.descriptors = len(descriptors)
	u.zombies, err = zombies(s.pid())
	return u, err
}

// zombies counts the children of a process that ended and were not reaped.
func zombies(parent int) (int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	count := 0
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the state and the parent
		if len(fields) > 1 && string(fields[0]) == "Z" && string(fields[1]) == strconv.Itoa(parent) {
			count++
		}
	}
	return count, nil
}

// usages asks the mounter and the node plugin.
func (w *world) usages(ctx context.Context) (map[string]usage, error) {
	all := map[string]usage{}
	for _, s := range []*service{w.driver.mounter, w.driver.node} {
		u, err := s.usage(ctx)
		if err != nil {
			return nil, err
		}
		all[s.name] = u
	}
	return all, nil
}

// backTo waits until the processes hold no more than before, and no dead client is remembered.
func (w *world) backTo(ctx context.Context, before map[string]usage) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	return testcluster.Poll(ctx, func() error {
		after, err := w.usages(ctx)
		if err != nil {
			return err
		}
		for name, u := range after {
			if b := before[name]; u.descriptors > b.descriptors+tolerance || u.goroutines > b.goroutines+tolerance || u.zombies > 0 {
				return fmt.Errorf("the %s has %v and %d zombies, and had %v before", name, u, u.zombies, b)
			}
		}
		graves, err := filepath.Glob(filepath.Join(w.driver.state(), "clients/*/*/*/dead-*"))
		if err == nil && len(graves) > 0 {
			err = fmt.Errorf("dead clients are still remembered: %q", graves)
		}
		return err
	})
}

// nothingLeft says that nothing is mounted any more but the clients' own mounts, and that the
// clients end as soon as those are taken away: so nobody holds anything of them.
func (w *world) nothingLeft(ctx context.Context) error {
	all, err := mount.List()
	if err != nil {
		return err
	}
	clients, err := w.driver.clients()
	if err != nil {
		return err
	}
	own := map[string]bool{}
	for _, c := range clients {
		own[c.mountpoint] = true
	}
	var errs []error
	for _, e := range all {
		if strings.HasPrefix(e.Target, w.driver.pods()+"/") || strings.HasPrefix(e.Target, w.driver.state()+"/") && !own[e.Target] {
			errs = append(errs, fmt.Errorf("left mounted: %s of %s at %s", e.Root, e.Source, e.Target))
		}
	}
	processes, err := processesOf(filepath.Join(w.driver.state(), "clients") + "/")
	errs = append(errs, err)
	for target, pid := range processes {
		if !own[target] {
			errs = append(errs, fmt.Errorf("process %d is a client without a mount: %s", pid, target))
		}
	}
	for target := range own {
		errs = append(errs, mount.Detach(target))
	}
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	for _, c := range clients {
		if err := gone(ctx, c.pid); err != nil {
			errs = append(errs, fmt.Errorf("a client that nobody should use: %w; it is still seen in the mount namespaces of %q", err, seenBy(c.device)))
		}
	}
	return errors.Join(errs...)
}

// seenBy names a process of each mount namespace in which a device is mounted.
func seenBy(device uint64) []string {
	var found []string
	known := map[string]bool{}
	tables, _ := filepath.Glob("/proc/[0-9]*/mountinfo") // the pattern is good
	for _, path := range tables {
		process := filepath.Dir(path)
		namespace, err := os.Readlink(filepath.Join(process, "ns/mnt"))
		if err != nil || known[namespace] {
			continue
		}
		known[namespace] = true
		table, err := os.Open(path)
		if err != nil {
			continue
		}
		all, _ := mount.Parse(table) // it may have ended
		table.Close()
		if slices.ContainsFunc(all, func(e mount.Entry) bool { return deviceNumber(e.Device) == device }) {
			command, _ := os.ReadFile(filepath.Join(process, "cmdline"))
			found = append(found, filepath.Base(process)+": "+strings.ReplaceAll(string(command), "\x00", " "))
		}
	}
	return found
}

// races are the data races that the driver's processes have reported, if they have the
// detector.
func (d *driver) races() error {
	var errs []error
	for _, s := range d.services() {
		for i, line := range s.lines() {
			if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic:") {
				all := s.lines()
				errs = append(errs, fmt.Errorf("the %s's log:\n%s", s.name, strings.Join(all[i:min(i+30, len(all))], "\n")))
			}
		}
	}
	return errors.Join(first(errs)...)
}
