// SPDX-License-Identifier: Apache-2.0

// Command manifests makes deploy/kubernetes from the Helm chart, which is the one source:
// base is what the chart renders, each component is the difference that other values make, each overlay the base with one component, and
// snapshot-controller is what a cluster has once for all drivers. The definitions of snapshots it puts into the chart first, from the Go module that they are part of, and the
// chart's README.md it has helm-docs make of values.yaml.
//
//	go run ./manifests          writes them
//	go run ./manifests -check   fails, with the difference, if they are not what the chart makes
package main

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

func main() {
	check := flag.Bool("check", false, "write nothing; fail if the manifests differ from the chart")
	root := flag.String("root", "../..", "root of the repository")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	chart := filepath.Join(root, "deploy/helm/glusterfs-csi")
	if err := settleDashboard(chart, check); err != nil { // first, as the chart renders it
		return err
	}
	if err := settleReadme(root, chart, check); err != nil {
		return err
	}
	if err := ensureCRDs(filepath.Join(chart, crdsFile), check); err != nil {
		return err
	}
	files, err := generate(chart)
	if err != nil {
		return err
	}
	beside, err := monitoring(chart)
	if err != nil {
		return err
	}
	target, besideTarget := filepath.Join(root, "deploy/kubernetes"), filepath.Join(root, "deploy/monitoring")
	if check {
		return errors.Join(compare(target, files), compare(besideTarget, beside))
	}
	if err := errors.Join(os.RemoveAll(besideTarget), write(besideTarget, beside)); err != nil {
		return err
	}
	for _, dir := range []string{"base", "components", "overlays", snapshotController.dir} { // a file that is not made any more
		if err := os.RemoveAll(filepath.Join(target, dir)); err != nil {
			return err
		}
	}
	return write(target, files)
}

func write(target string, files map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(target, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compare shows the difference as diff does.
func compare(target string, files map[string]string) error {
	fresh, err := os.MkdirTemp("", "manifests")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := write(fresh, files); err != nil {
		return err
	}
	diff := exec.Command("diff", "-ruN", target, fresh)
	diff.Stdout, diff.Stderr = os.Stdout, os.Stderr
	if err := diff.Run(); err != nil {
		return fmt.Errorf("%s is not what the chart makes: run `make manifests`", target)
	}
	return nil
}
