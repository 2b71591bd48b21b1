// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/hack/vm/protocol"
)

// job is a program that is built here and run there.
type job struct {
	name   string // its package
	isTest bool
	only   string // pattern of the tests; all if ""
}

// dependOnKernel are the packages whose code is another one on another kernel: mounts and their repair, walks, control groups.
var dependOnKernel = []string{
	"pkg/safepath", "pkg/mount", "pkg/mount/holders", "pkg/cgroup", "pkg/gluster/repair", "pkg/gluster/programs", "tests/oldkernel", "tests/apart",
}

// all are the packages that are run unless some are named.
func all() []string { return append([]string{demo, "tests/sanity"}, dependOnKernel...) }

const demo = "hack/demo"

func jobsOf(only string, packages ...string) (jobs []job) {
	for _, name := range packages {
		name = strings.TrimPrefix(filepath.Clean(name), "./")
		jobs = append(jobs, job{name: name, isTest: name != demo, only: only})
	}
	return jobs
}

// programs are what tests build, which they cannot there.
var programs = []string{"cmd/glusterfs-csi"}

const (
	jobLimit = 40 * time.Minute
	// dumped is how long before that a test ends itself, and says where it stood.
	dumped = time.Minute
)

// inArchive is where the archive has what a package is built to.
func (j job) inArchive() string {
	return filepath.Join(protocol.Programs, strings.ReplaceAll(j.name, "/", "-"))
}

// planned is the job as that machine is told of it.
func (j job) planned() protocol.Job {
	p := protocol.Job{
		Name: j.name, Dir: filepath.Join(protocol.Dir, protocol.Source), Limit: jobLimit,
		Args: []string{filepath.Join(protocol.Dir, j.inArchive())},
	}
	if j.isTest {
		p.Dir = filepath.Join(p.Dir, j.name)
		p.Args = append(p.Args, "-test.v", "-test.count=1", "-test.timeout="+(jobLimit-dumped).String(), "-test.run="+j.only)
	}
	return p
}

// build builds the job's program, without the race detector, which wants a compiler for that architecture.
func (j job) build(ctx context.Context, arch, to string) error {
	args := []string{"build", "-trimpath", "-ldflags", "-s -w", "-o", to}
	if j.isTest {
		args = []string{"test", "-c", "-ldflags", "-s -w", "-o", to}
	}
	_, err := output(ctx, []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch}, "go", append(args, "./"+j.name)...)
	return err
}

// prepare builds all that the machine runs, and makes its initial RAM disk and the disk with the plan.
func (m *machine) prepare(ctx context.Context, modules []string, jobs []job) error {
	began := time.Now()
	guest := filepath.Join(m.work, "guest")
	if err := (job{name: "hack/vm/guest"}).build(ctx, m.arch, guest); err != nil {
		return err
	}
	if err := writeInitrd(m.initrd(), guest, modules); err != nil {
		return err
	}
	plan := protocol.Plan{Now: time.Now()}
	files := map[string]string{}
	for _, j := range jobs {
		plan.Jobs = append(plan.Jobs, j.planned())
		files[j.inArchive()] = filepath.Join(m.work, filepath.Base(j.inArchive()))
		if err := j.build(ctx, m.arch, files[j.inArchive()]); err != nil {
			return err
		}
	}
	for _, name := range programs {
		file := filepath.Join(m.work, filepath.Base(name))
		files[filepath.Join(protocol.Programs, filepath.Base(name))] = file
		if err := (job{name: name}).build(ctx, m.arch, file); err != nil {
			return err
		}
	}
	listed, err := output(ctx, nil, "git", "ls-files", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return err
	}
	for name := range strings.Lines(listed) {
		name = strings.TrimSuffix(name, "\n")
		files[filepath.Join(protocol.Source, name)] = name
	}
	fmt.Printf("built for %s in %s\n", m.arch, time.Since(began).Round(time.Second))
	return writePlan(m.planDisk(), plan, files)
}

// writePlan writes the archive with a plan and files, by their names there.
func writePlan(to string, plan protocol.Plan, files map[string]string) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	archive, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	w := tar.NewWriter(archive)
	if err := add(w, protocol.PlanFile, 0o644, text); err != nil {
		return err
	}
	for name, path := range files {
		content, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed, and not yet from git's index
		}
		info, errMode := os.Stat(path)
		if err := errors.Join(err, errMode); err != nil {
			return err
		}
		if err := add(w, name, info.Mode().Perm(), content); err != nil {
			return err
		}
	}
	return w.Close()
}

func add(w *tar.Writer, name string, mode os.FileMode, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: int64(mode), Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}
