// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testdriver"
)

// player is the driver, and what the demo does with it.
type player struct{ *testdriver.Driver }

func startDriver(ctx context.Context, cluster *testcluster.Cluster) (player, error) {
	dir := filepath.Join(cluster.Dir(), "demo")
	binary, clusters := filepath.Join(dir, "glusterfs-csi"), filepath.Join(dir, "clusters.yaml")
	if err := errors.Join(os.Mkdir(dir, 0o755), openUp(dir), cluster.ClustersFile(clusters)); err != nil {
		return player{}, err
	}
	if err := testdriver.Build(ctx, binary, testdriver.Source, false); err != nil {
		return player{}, err
	}
	d, err := testdriver.Start(ctx, binary, dir, clusters)
	return player{d}, err
}

// openUp lets uid 1001 walk to the pods' directories; the way there is made for root alone.
func openUp(dir string) error {
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (d player) publish(ctx context.Context, volume *csi.Volume, target string, readOnly bool) error {
	start := time.Now()
	err := d.Publish(ctx, volume, target, func(r *csi.NodePublishVolumeRequest) { r.Readonly = readOnly })
	if err == nil {
		show(fmt.Sprintf("published at %s in %s", filepath.Base(target), took(start)))
	}
	return err
}

func (d player) unpublish(ctx context.Context, volume *csi.Volume, target string) error {
	err := d.Unpublish(ctx, volume, target)
	if err == nil {
		if _, statErr := os.Lstat(target); !errors.Is(statErr, os.ErrNotExist) {
			err = fmt.Errorf("the target %s is left", target)
		}
	}
	return err
}

func (d player) delete(ctx context.Context, volume *csi.Volume) error {
	start := time.Now()
	err := d.Delete(ctx, volume)
	if err == nil {
		show("deleted in " + took(start))
	}
	return err
}

// admin runs one of the binary's own commands, as an operator does in the controller's pod.
func (d player) admin(ctx context.Context, args ...string) error {
	output, err := d.Command(ctx, args...).CombinedOutput()
	show("$ glusterfs-csi " + strings.Join(args, " ") + "\n" + string(output))
	return err
}

// trashEntry shows the trash, and returns the volume's entry there.
func (d player) trashEntry(ctx context.Context, volume *csi.Volume) (string, error) {
	if err := d.admin(ctx, "trash", "list"); err != nil {
		return "", err
	}
	return d.TrashEntry(ctx, volume)
}

// as1001 runs a command as the container's user would, and shows what it prints.
func (d player) as1001(ctx context.Context, dir, name string, args ...string) error {
	return d.run1001(ctx, dir, "", name, args...)
}

// write writes a file as uid 1001, through tee.
func (d player) write(ctx context.Context, dir, file, text string) error {
	return d.run1001(ctx, dir, text, "tee", file)
}

func (d player) run1001(ctx context.Context, dir, input, name string, args ...string) error {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = dir
	command.Stdin = strings.NewReader(input)
	// A change to another uid than 0 takes all capabilities away.
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1001, Gid: 0}}
	output, err := command.CombinedOutput()
	show(fmt.Sprintf("%s, uid 1001$ %s\n%s", filepath.Base(dir), strings.Join(command.Args, " "), bytes.TrimRight(output, "\n")))
	return err
}

func say(text string) { fmt.Printf("\n── %s\n", text) }

func show(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Print("   ", line)
	}
	fmt.Println()
}

// lines keeps those that begin with one of the words.
func lines(text string, words ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		for _, word := range words {
			if strings.HasPrefix(line, word+":") {
				kept.WriteString(line)
			}
		}
	}
	return kept.String()
}

func took(start time.Time) string { return time.Since(start).Round(100 * time.Microsecond).String() }
