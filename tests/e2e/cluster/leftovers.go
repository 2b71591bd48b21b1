// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// leftovers lists what is left of a cluster that has been torn down: processes, mounts, network devices, control groups.
func leftovers() error {
	var left []string
	found, err := processes(isOurs)
	for _, p := range found {
		left = append(left, p.String())
	}
	mounts, mountErr := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, cache.Path("run")+"/") {
			left = append(left, "mount: "+strings.TrimSpace(line))
		}
	}
	devices, deviceErr := netlink.LinkList()
	for _, device := range devices {
		if name := device.Attrs().Name; isMachine(name) {
			left = append(left, "network device: "+name)
		}
	}
	all, groupErr := hierarchies()
	for _, directory := range all {
		if _, err := os.Stat(directory + controlGroup()); !errors.Is(err, fs.ErrNotExist) {
			left = append(left, "control group: "+directory+controlGroup())
		}
	}
	if len(left) > 0 {
		err = errors.Join(err, fmt.Errorf("left of the cluster:\n\t%s", strings.Join(left, "\n\t")))
	}
	return errors.Join(err, mountErr, deviceErr, groupErr)
}

// isOurs says whether a process is a machine's first, or was started from the cluster's directory. Tests that run beside a cluster start the same
// programs by their names alone.
func isOurs(p process) bool {
	return strings.HasPrefix(p.args[0], cache.Path("run")+"/") || strings.HasPrefix(p.args[0], cache.Path("bin")+"/")
}

func isMachine(name string) bool {
	return slices.ContainsFunc(plan().machines(), func(m *machine) bool { return m.name == name })
}

func settingsFile() string { return cache.Path("run", "settings.json") }

// readSettings are the values of all settings of this computer that can be set, of what is not a network's.
func readSettings() (map[string]string, error) {
	const all = "/proc/sys"
	// The kernel itself changes these.
	counters := []string{"kernel/hung_task_warnings", "kernel/ns_last_pid", "kernel/perf_event_max_sample_rate"}
	values := map[string]string{}
	read := func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, all+"/")
		if name == "fs/binfmt_misc" { // a file system of its own
			return fs.SkipDir
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() || info.Mode()&0o222 == 0 || slices.Contains(counters, name) {
			return nil
		}
		if value, err := os.ReadFile(path); err == nil { // some can only be written
			values[name] = string(bytes.TrimSpace(value))
		}
		return nil
	}
	var err error
	for _, part := range []string{"fs", "kernel", "vm"} {
		err = errors.Join(err, filepath.WalkDir(filepath.Join(all, part), read))
	}
	return values, err
}

// saveSettings writes down what this computer's settings are before there is a cluster.
func saveSettings() error {
	values, err := readSettings()
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return os.WriteFile(settingsFile(), encoded, 0o600)
}

// changedSettings lists the settings that are not what they were.
func changedSettings() error {
	encoded, err := os.ReadFile(settingsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there was no cluster
	}
	if err != nil {
		return err
	}
	var before map[string]string
	if err := json.Unmarshal(encoded, &before); err != nil {
		return err
	}
	now, err := readSettings()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if now[name] != before[name] {
			err = errors.Join(err, fmt.Errorf("setting %s was %s and is %s", name, before[name], now[name]))
		}
	}
	return err
}
