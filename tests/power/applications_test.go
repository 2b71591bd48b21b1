// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package power

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// application is what a program does with a file and what it finds after the power of every server is back.
// docs/failures.md has it as a table.
type application struct {
	name    string
	options map[string]string // of the Gluster volume
	do      func(path string) error
	finds   string // what the file then has; "" for no file, or an empty one
	perhaps bool   // only unless the kernel has written the log by itself in between
}

const (
	older, newer = "older", "newer"

	writeBehind = "performance.write-behind"
	flushBehind = "performance.flush-behind"
	durability  = "cluster.ensure-durability"
)

// Each file has been there before, on disk, with the content "older".
var applications = []application{
	{name: "writes a new file and closes it", do: func(path string) error { return write(path+".new", 0) }, perhaps: true},
	{
		name: "writes a new file and closes it, without GlusterFS's write-behind", perhaps: true,
		options: map[string]string{writeBehind: "off", flushBehind: "off"},
		do:      func(path string) error { return write(path+".new", 0) },
	},
	{
		name: "writes a new file and closes it, and another program calls fsync of its own", perhaps: true,
		do: func(path string) error { return errors.Join(write(path+".new", 0), write(path+".other", fsyncs)) },
	},
	{name: "writes a new file and calls fsync", do: func(path string) error { return write(path+".new", fsyncs) }, finds: newer},
	{name: "writes a new file with O_SYNC", do: func(path string) error { return write(path+".new", os.O_SYNC) }, finds: newer},
	{
		name: "writes a new file and calls fsync, without ensure-durability", options: map[string]string{durability: "off"},
		do: func(path string) error { return write(path+".new", fsyncs) }, finds: newer,
	},
	{
		name: "replaces a file by rename after fsync", perhaps: true, finds: older,
		do: func(path string) error {
			return errors.Join(write(path+".tmp", fsyncs), os.Rename(path+".tmp", path+".new"))
		},
	},
	{
		name: "replaces a file by rename after fsync, and calls fsync of the directory", perhaps: true, finds: older,
		do: func(path string) error {
			return errors.Join(write(path+".tmp", fsyncs), os.Rename(path+".tmp", path+".new"), syncDir(filepath.Dir(path), unix.Fsync))
		},
	},
	{
		name: "replaces a file by rename after fsync, and calls syncfs", perhaps: true, finds: older,
		do: func(path string) error {
			return errors.Join(write(path+".tmp", fsyncs), os.Rename(path+".tmp", path+".new"), syncDir(filepath.Dir(path), unix.Syncfs))
		},
	},
	{
		name: "replaces a file by rename after fsync, then writes any other file and calls fsync", finds: newer,
		do: func(path string) error {
			return errors.Join(write(path+".tmp", fsyncs), os.Rename(path+".tmp", path+".new"), write(path+".other", fsyncs))
		},
	},
}

// fsyncs is a flag for write: fsync before the close.
const fsyncs = 1 << 30

func write(path string, flags int) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|flags&^fsyncs, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(newer)
	if flags&fsyncs != 0 {
		err = errors.Join(err, f.Sync())
	}
	return errors.Join(err, f.Close())
}

func syncDir(path string, sync func(fd int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return sync(int(f.Fd()))
}

// TestWhatApplicationsFindAfterTheLossOfPower is about GlusterFS and the file systems below it, not about the driver.
func TestWhatApplicationsFindAfterTheLossOfPower(t *testing.T) {
	kinds := []testcluster.FileSystem{testcluster.XFS}
	if *full {
		kinds = append(kinds, testcluster.Ext4)
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			c := testcluster.New(t, testcluster.Options{FileSystem: kind})
			g := mountGV0(t, c)
			for i, a := range applications {
				t.Run(a.name, func(t *testing.T) {
					for key, value := range a.options {
						if err := c.SetOption("gv0", key, value); err != nil {
							t.Fatal(err)
						}
						defer func() {
							if err := c.ResetOption("gv0", key); err != nil {
								t.Error(err)
							}
						}()
					}
					by := g
					if len(a.options) > 0 {
						by = mountGV0(t, c) // which has the options from its start
					}
					by.finds(t, a, filepath.Join(by.path, fmt.Sprint("app", i)))
				})
			}
		})
	}
}

func (g *gv0) finds(t *testing.T, a application, path string) {
	t.Helper()
	attempts := 1
	if a.perhaps {
		attempts = 4
	}
	found := ""
	for attempt := range attempts {
		dir := fmt.Sprintf("%s-%d", path, attempt)
		file := filepath.Join(dir, "file")
		g.prepared(t, os.Mkdir(dir, 0o700))
		if a.finds == older {
			g.prepared(t, os.WriteFile(file+".new", []byte(older), 0o600))
			g.prepared(t, syncFile(file+".new"))
		}
		if err := a.do(file); err != nil {
			t.Fatal(err)
		}
		if err := g.cluster.PowerCut(0, 1); err != nil {
			t.Fatal(err)
		}
		g.connected(t)
		data, err := os.ReadFile(file + ".new")
		if ignoreNotExist(err) != nil {
			t.Fatal(err)
		}
		if found = string(data); found == a.finds {
			return
		}
		if found != "" && found != older && found != newer {
			t.Fatalf("found %q", found) // neither the one nor the other
		}
	}
	t.Errorf("found %q each time, want %q", found, a.finds)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
