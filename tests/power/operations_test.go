// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package power

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// operation is something that is acknowledged once it is on disk.
type operation struct {
	name   string
	points []string // within it, at which the power may go
	// prepare makes what the operation changes, on disk, and returns the operation, which may be repeated. It asks at
	// each of its points whether the power goes there, and then returns errCut.
	prepare func(t *testing.T, g *gv0, name string) func(cut func(point string) bool) error
	// done says whether what was prepared under this name is as the operation leaves it, below the root of a mount or
	// of a brick.
	done         func(root, name string) error
	onEveryBrick bool // no part of it lies on some bricks only
}

// acknowledged is the point after an operation has said that it is done.
const acknowledged = "acknowledged"

// errCut is what an operation returns when the power goes within it.
var errCut = errors.New("the power goes here")

func never(string) bool { return false }

var operations = []operation{
	{
		name:   "make a directory with an owner",
		points: []string{"made", "owned"},
		prepare: func(_ *testing.T, g *gv0, name string) func(func(string) bool) error {
			path := filepath.Join(g.path, name)
			return g.steps(
				step{"made", func() error { return ignoreExist(os.Mkdir(path, 0o700)) }},
				step{"owned", func() error { return errors.Join(os.Chown(path, 1001, 1002), os.Chmod(path, 0o770)) }},
			)
		},
		done: func(root, name string) error {
			var st unix.Stat_t
			if err := unix.Lstat(filepath.Join(root, name), &st); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if got := fmt.Sprintf("%d:%d %o", st.Uid, st.Gid, st.Mode); got != "1001:1002 40770" {
				return fmt.Errorf("%s has %s", name, got)
			}
			return nil
		},
		onEveryBrick: true,
	},
	{
		name: "rename a directory",
		prepare: func(t *testing.T, g *gv0, name string) func(func(string) bool) error {
			from, to := filepath.Join(g.path, name), filepath.Join(g.path, name+".moved")
			g.prepared(t, os.MkdirAll(filepath.Join(from, "sub"), 0o700))
			return g.steps(step{"renamed", func() error { return ignoreNotExist(os.Rename(from, to)) }})
		},
		done: func(root, name string) error {
			return errors.Join(isThere(root, name+".moved/sub"), isNotThere(root, name))
		},
		onEveryBrick: true,
	},
	{
		name:   "claim a name by a link, and give up the first one",
		points: []string{"linked"},
		prepare: func(t *testing.T, g *gv0, name string) func(func(string) bool) error {
			from, to := filepath.Join(g.path, name+".aside"), filepath.Join(g.path, name)
			g.prepared(t, write(from, fsyncs))
			return g.steps(
				step{"linked", func() error { return ignoreNotExist(ignoreExist(os.Link(from, to))) }},
				step{"unlinked", func() error { return ignoreNotExist(os.Remove(from)) }},
			)
		},
		done: func(root, name string) error {
			data, err := os.ReadFile(filepath.Join(root, name))
			if err == nil && string(data) != newer {
				err = fmt.Errorf("%s has %q", name, data)
			}
			return errors.Join(err, isNotThere(root, name+".aside"))
		},
	},
}

// step is a part of an operation, and the point after it.
type step struct {
	point string
	do    func() error
}

// steps is an operation of steps, that is then committed.
func (g *gv0) steps(all ...step) func(cut func(point string) bool) error {
	return func(cut func(string) bool) error {
		for _, s := range all {
			if err := s.do(); err != nil {
				return err
			}
			if cut(s.point) {
				return errCut
			}
		}
		return g.commit()
	}
}

// prepared has what an operation finds on disk.
func (g *gv0) prepared(t *testing.T, err error) {
	t.Helper()
	if err := errors.Join(err, g.commit()); err != nil {
		t.Fatal(err)
	}
}

func isThere(root, name string) error {
	_, err := os.Lstat(filepath.Join(root, name))
	return err
}

func isNotThere(root, name string) error {
	err := isThere(root, name)
	if err == nil {
		return fmt.Errorf("%s is there", filepath.Join(root, name))
	}
	return ignoreNotExist(err)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func ignoreExist(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
