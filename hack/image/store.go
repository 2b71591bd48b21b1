// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// store is a storage of images and containers of its own, in a temporary directory.
type store struct{ dir string }

// inStore leaves nothing behind.
func inStore(fn func(*store) error) (err error) {
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		return err
	}
	s := &store{dir: dir}
	defer func() {
		// The containers' mounts of proc and such, of a build that was interrupted, must go before the directory does.
		_, failed := s.buildah(context.Background(), "rm", "--all")
		err = errors.Join(err, failed, os.RemoveAll(dir))
	}()
	return fn(s)
}

// buildah runs it and returns what it prints, trimmed.
func (s *store) buildah(ctx context.Context, args ...string) (string, error) {
	global := []string{"--root", filepath.Join(s.dir, "root"), "--runroot", filepath.Join(s.dir, "run"), "--storage-driver", "vfs"}
	return output(ctx, "buildah", append(global, args...)...)
}

// commit makes an image of a directory tree that fill makes, on top of from.
func (s *store) commit(ctx context.Context, from, name string, fill func(root string) error, config ...string) error {
	container, err := s.buildah(ctx, "from", "--pull-never", from)
	if err != nil {
		return err
	}
	root, err := s.buildah(ctx, "mount", container)
	if err != nil {
		return err
	}
	if err := fill(root); err != nil {
		return err
	}
	if len(config) > 0 {
		if _, err := s.buildah(ctx, append(append([]string{"config"}, config...), container)...); err != nil {
			return err
		}
	}
	_, err = s.buildah(ctx, "commit", "--quiet", "--disable-compression", "--rm", container, name)
	return err
}

// unpacked is the root directory of an image, for fn.
func (s *store) unpacked(ctx context.Context, image string, fn func(root string) error) error {
	container, err := s.buildah(ctx, "from", "--pull-never", image)
	if err != nil {
		return err
	}
	root, err := s.buildah(ctx, "mount", container)
	if err != nil {
		return err
	}
	err = fn(root)
	_, failed := s.buildah(context.WithoutCancel(ctx), "rm", container)
	return errors.Join(err, failed)
}

// output runs a program, and has what it says in the error.
func output(ctx context.Context, program string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, program, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
