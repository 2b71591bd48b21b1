// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

const (
	controlGroups        = "/sys/fs/cgroup"
	controlGroupsTimeout = 10 * time.Second
)

// controlGroup is the cluster's, in each hierarchy. Clusters in other cache directories have others.
func controlGroup() string {
	digest := sha256.Sum256([]byte(cache.Path()))
	return "/glusterfs-csi-e2e-" + hex.EncodeToString(digest[:4])
}

// controlGroup is the node's own, below which its kubelet puts those of its pods.
func (n *Node) controlGroup() string { return controlGroup() + "/" + n.Name }

// hierarchies are the directories of all hierarchies of control groups: one with version 2, one for each controller with version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(controlGroups + "/cgroup.controllers"); err == nil {
		return []string{controlGroups}, nil
	}
	entries, err := os.ReadDir(controlGroups)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() { // links are second names
			found = append(found, filepath.Join(controlGroups, entry.Name()))
		}
	}
	return found, nil
}

// makeControlGroups makes a group in every hierarchy, with all controllers that there are.
func makeControlGroups(group string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, directory := range all {
		for _, name := range strings.Split(strings.Trim(group, "/"), "/") {
			if err := passControllers(directory); err != nil {
				return err
			}
			directory = filepath.Join(directory, name)
			if err := os.Mkdir(directory, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
		if err := passControllers(directory); err != nil {
			return err
		}
	}
	return nil
}

// passControllers gives a group's controllers to the groups below it. With version 1 there is nothing to do.
func passControllers(directory string) error {
	controllers, err := os.ReadFile(filepath.Join(directory, "cgroup.controllers"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, controller := range strings.Fields(string(controllers)) {
		file := filepath.Join(directory, "cgroup.subtree_control")
		if err := os.WriteFile(file, []byte("+"+controller), 0o644); err != nil {
			return fmt.Errorf("controller %s: %w", controller, err)
		}
	}
	return nil
}

// removeControlGroups removes a group and those below it from every hierarchy. Their processes must have been ended.
func removeControlGroups(ctx context.Context, group string) error {
	ctx, cancel := context.WithTimeout(ctx, controlGroupsTimeout)
	defer cancel()
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, directory := range all {
		// A group is busy for a moment longer than its processes live.
		err := poll(ctx, "control groups to be empty", func() error { return removeDirectories(filepath.Join(directory, group)) })
		if err != nil {
			return err
		}
	}
	return nil
}

// removeDirectories removes a tree of directories. The files in those of control groups go with them.
func removeDirectories(top string) error {
	var all []string
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) && len(all) == 0 {
		return nil
	}
	for _, path := range slices.Backward(all) {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
