// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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

// isOurs says whether a process is a machine's first, or was started from the cluster's directory.
func isOurs(p process) bool {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
	return strings.HasPrefix(p.args[0], cache.Path("run")+"/") || err == nil && strings.HasPrefix(program, cache.Path("bin")+"/")
}

func isMachine(name string) bool {
	return slices.ContainsFunc(plan().machines(), func(m *machine) bool { return m.name == name })
}

func settingsFile() string { return cache.Path("run", "settings.json") }

func readSettings() map[string]string {
	values := map[string]string{}
	for _, name := range settings {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			values[name] = string(bytes.TrimSpace(value))
		}
	}
	return values
}

// saveSettings writes down what this computer's settings are before there is a cluster.
func saveSettings() error {
	encoded, err := json.Marshal(readSettings())
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
	for name, value := range readSettings() {
		if value != before[name] {
			err = errors.Join(err, fmt.Errorf("setting %s was %s and is %s", name, before[name], value))
		}
	}
	return err
}
