// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"fmt"
	"os"
	"slices"
)

// IsShown says whether a device is mounted in any mount namespace, but for these mount points of this one, which others may show, too, at the same place
// of the same file system. It asks no file system, and does not see namespaces whose processes all have more rights than this one. It is true where that
// cannot be told of another, and the error says so.
func IsShown(device Device, except ...string) (bool, error) {
	v, err := newVisitor()
	if err != nil {
		return true, err
	}
	defer v.close()
	found, err := v.namespaces()
	defer func() {
		for _, ns := range found.all {
			ns.close()
		}
	}()
	if err != nil {
		return true, err
	}
	here, err := readTable("/proc")
	if err != nil {
		return true, err
	}
	var places []location
	for _, m := range here.byDevice[device] {
		if slices.Contains(except, m.Target) {
			places = append(places, here.location(m))
		}
	}
	for _, ns := range found.all {
		mounts, err := v.listOrShown(ns)
		if err != nil {
			return true, fmt.Errorf("tell what process %d has mounted: %w", ns.pid, err)
		}
		for _, m := range mounts.byDevice[device] {
			if at := mounts.location(m); at == (location{}) || !slices.Contains(places, at) {
				return true, nil
			}
		}
	}
	return false, nil
}

// listOrShown is list, and, of a namespace that cannot be entered, what one of its processes shows of it; nothing if that has ended.
func (v *visitor) listOrShown(ns *namespace) (*table, error) {
	if mounts, err := v.list(ns); err == nil {
		return mounts, nil
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", ns.pid))
	if gone(err) {
		return parseTable("")
	}
	if err != nil {
		return nil, err
	}
	return parseTable(string(text))
}
