// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// VolumeOptions say what a volume is made of. The zero value is replica 2. Bricks go to the servers in turn.
type VolumeOptions struct {
	Replica int  // number of bricks, each with all data; 1 makes a volume of a single brick; by default 2, or 3 with Arbiter
	Arbiter bool // the last of three bricks holds names and attributes only
	// Subvolumes is the number of such replica sets, over which files are distributed; by default 1. With 2, and replica
	// 2, it is the 2×2 volume of GlusterFS's own words.
	Subvolumes int
	// FileSystem puts each brick on a file system of its own of this kind, on a loop device, for PowerOff. By default
	// bricks are directories of the temporary directory's file system.
	FileSystem FileSystem
	// BrickSize is the size of that file system in bytes, so that it can be full: about what is free on Ext4, and what XFS
	// has some of for itself. Alone it means Ext4. XFS wants 300 MiB; neither needs the room before it is written to.
	BrickSize int64
}

func (o VolumeOptions) fileSystem() FileSystem {
	if o.FileSystem == "" && o.BrickSize > 0 {
		return Ext4
	}
	return o.FileSystem
}

// replicas is the number of bricks of each subvolume.
func (o VolumeOptions) replicas() int {
	switch {
	case o.Replica != 0:
		return o.Replica
	case o.Arbiter:
		return 3
	default:
		return 2
	}
}

type volume struct {
	name    string
	options VolumeOptions
	bricks  []brick // in GlusterFS's order: one subvolume after the other
}

type brick struct {
	server *server
	number int    // the brick's as long as it lives, and that of the clients' translator for it (gv0-client-2)
	path   string // of the brick itself, for the server; its parent is its file system, if it has its own
	disk   *disk  // nil if it has none
}

// CreateVolume makes a volume and starts it. It returns when all its bricks accept connections.
func (c *Cluster) CreateVolume(name string, options VolumeOptions) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	return c.createVolume(ctx, name, options)
}

func (c *Cluster) createVolume(ctx context.Context, name string, options VolumeOptions) error {
	args := []string{"volume", "create", name}
	switch {
	case options.Arbiter:
		args = append(args, "replica", "3", "arbiter", "1")
	case options.replicas() > 1:
		args = append(args, "replica", strconv.Itoa(options.replicas()))
	}
	bricks, err := c.prepareBricks(ctx, name, 0, options.replicas()*max(1, options.Subvolumes), options)
	if err != nil {
		return err
	}
	// force: the bricks are on the root file system, and more than one may be on the same server.
	if _, err := c.gluster(ctx, slices.Concat(args, addresses(bricks), []string{"force"})...); err != nil {
		return err
	}
	c.mu.Lock()
	c.volumes[name] = volume{name: name, options: options, bricks: bricks}
	c.mu.Unlock()
	if options.Subvolumes > 1 {
		if err := c.useNearlyFull(ctx, name, options); err != nil {
			return err
		}
	}
	if err := c.startVolume(ctx, name); err != nil {
		return err
	}
	return syncDisks(bricks)
}

// syncDisks makes new bricks what they would be if they had been made long ago: on their disks, whatever power is lost.
func syncDisks(bricks []brick) error {
	var err error
	for _, b := range bricks {
		if b.disk != nil {
			err = errors.Join(err, b.disk.sync())
		}
	}
	return err
}

// prepare makes the directory above the brick, or its own file system, which the server then sees there.
func (b brick) prepare(ctx context.Context, o VolumeOptions) (*disk, error) {
	above := filepath.Dir(b.path)
	kind := o.fileSystem()
	if kind == "" {
		return nil, os.MkdirAll(above, 0o755)
	}
	d, err := newDisk(ctx, filepath.Join(b.server.dir, "disks", filepath.Base(above)), above, kind, o.BrickSize)
	if err != nil {
		return nil, err
	}
	b.server.addDisk(d)
	return d, inNamespacesOf(b.server.pid, d.mount)
}

// StartVolume starts a stopped volume and returns when all its bricks accept connections.
func (c *Cluster) StartVolume(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	return c.startVolume(ctx, name)
}

func (c *Cluster) startVolume(ctx context.Context, name string, force ...string) error {
	if _, err := c.gluster(ctx, append([]string{"volume", "start", name}, force...)...); err != nil {
		return err
	}
	bricks := c.bricks(name)
	return c.awaitBricks(ctx, func(b brick) bool { return slices.Contains(bricks, b) })
}

// StopVolume stops a volume: its bricks end, its clients get ENOTCONN.
func (c *Cluster) StopVolume(name string) error {
	_, err := c.Gluster("volume", "stop", name, "force")
	return err
}

// DeleteVolume deletes a stopped volume with its bricks' data.
func (c *Cluster) DeleteVolume(name string) error {
	if _, err := c.Gluster("volume", "delete", name); err != nil {
		return err
	}
	var err error
	for _, b := range c.bricks(name) {
		err = errors.Join(err, b.remove())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.volumes, name)
	return err
}

// RemoveVolume ends and deletes a started volume with its bricks' data. It kills the bricks first: to those that run
// glusterd gives a second each, one server after the other.
func (c *Cluster) RemoveVolume(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	bricks := c.bricks(name)
	err := killDaemons(ctx, func() ([]process, error) {
		return filterProcesses(func(p process) bool {
			return slices.ContainsFunc(bricks, func(b brick) bool { return p.brick() == b.path })
		})
	})
	return errors.Join(err, c.StopVolume(name), c.DeleteVolume(name))
}

// SetOption sets a volume option, e.g. "server.root-squash" to "on". Connected clients learn it a moment later.
func (c *Cluster) SetOption(volume, key, value string) error {
	return c.change("set", volume, key, value)
}

// ResetOption undoes SetOption.
func (c *Cluster) ResetOption(volume, key string) error { return c.change("reset", volume, key) }

func (c *Cluster) change(words ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	if err := Poll(ctx, func() error { return c.formed(ctx) }); err != nil {
		return err
	}
	_, err := c.gluster(ctx, append([]string{"volume"}, words...)...)
	return err
}

// KillBrick ends brick i of a volume by SIGKILL.
func (c *Cluster) KillBrick(volume string, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	b := c.brick(volume, i)
	if err := killDaemons(ctx, b.processes); err != nil {
		return fmt.Errorf("kill brick %d of %s: %w", i, volume, err)
	}
	return nil
}

// AwaitHeal returns when no brick of a replicated volume knows of anything that another lacks. That is so about as soon
// as the brick has come back, for what was changed by clients that are connected to all bricks by now (see Connected).
func (c *Cluster) AwaitHeal(ctx context.Context, volume string) error {
	return Poll(ctx, func() error {
		for _, b := range c.bricks(volume) {
			pending, err := b.pending()
			if err != nil {
				return err
			}
			if pending > 0 {
				// Which tells the daemon that heals; it looks by itself every ten minutes.
				_, healErr := c.gluster(ctx, "volume", "heal", volume)
				return errors.Join(fmt.Errorf("brick %d knows of %d files that others lack something of", b.number, pending), healErr)
			}
		}
		return nil
	})
}

// pending is how many files and directories the brick knows of that others lack something of: it keeps a name for each,
// beside one that the others are links to.
func (b brick) pending() (int, error) {
	entries, err := os.ReadDir(filepath.Join(b.storage(), ".glusterfs/indices/xattrop"))
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), "xattrop-") })
	return len(entries), err
}

// StartBrick starts brick i of a started volume again if it is not running, and returns when it accepts connections.
// GlusterFS can start only all missing bricks of a volume, so all others must be on servers that are running.
func (c *Cluster) StartBrick(volume string, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), glusterTimeout)
	defer cancel()
	if err := c.startVolume(ctx, volume, "force"); err != nil {
		return fmt.Errorf("start brick %d of %s: %w", i, volume, err)
	}
	return nil
}

// StopBrick freezes brick i of a volume by SIGSTOP: it keeps its connections and answers nothing.
func (c *Cluster) StopBrick(volume string, i int) error {
	return c.brick(volume, i).signal(syscall.SIGSTOP, func(p process) bool { return p.state == 'T' })
}

// ContinueBrick undoes StopBrick.
func (c *Cluster) ContinueBrick(volume string, i int) error {
	return c.brick(volume, i).signal(syscall.SIGCONT, func(p process) bool { return p.state != 'T' })
}

// BrickPath is the directory of brick i of a volume, to look at what a server really stores. Writing there breaks
// replicas. That of a brick with a file system of its own is another one after each PowerOff.
func (c *Cluster) BrickPath(volume string, i int) string {
	return c.brick(volume, i).storage()
}

// storage is the brick's directory for this process.
func (b brick) storage() string {
	if b.disk == nil {
		return b.path
	}
	return filepath.Join(b.disk.path(), filepath.Base(b.path))
}

// Bricks is how many bricks a volume has.
func (c *Cluster) Bricks(volume string) int { return len(c.bricks(volume)) }

// Volumes are the names of all volumes, sorted.
func (c *Cluster) Volumes() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.volumes))
}

func (c *Cluster) volume(name string) (volume, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.volumes[name]
	if !ok {
		return volume{}, fmt.Errorf("there is no volume %s", name)
	}
	return v, nil
}

func (c *Cluster) bricks(name string) []brick {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.volumes[name].bricks
}

// brick is the one with this number. It panics if there is none.
func (c *Cluster) brick(name string, number int) brick {
	bricks := c.bricks(name)
	return bricks[slices.IndexFunc(bricks, func(b brick) bool { return b.number == number })]
}

func (c *Cluster) setBricks(name string, bricks []brick) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.volumes[name]
	v.bricks = bricks
	c.volumes[name] = v
}

func (b brick) processes() ([]process, error) {
	return filterProcesses(func(p process) bool { return p.brick() == b.path })
}

func (b brick) signal(signal syscall.Signal, done func(process) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), faultTimeout)
	defer cancel()
	return signalAll(ctx, signal, b.processes, done)
}
