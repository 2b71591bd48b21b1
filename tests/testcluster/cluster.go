// SPDX-License-Identifier: Apache-2.0

// Package testcluster runs real GlusterFS clusters on loopback addresses for tests and for the demo, and checks that
// nothing of them is left afterwards.
//
// A cluster is up in about 4 s. It needs root. Several may run at once, in one process or in many. Everything they
// write lies below one temporary directory, and every server has a mount namespace of its own in which GlusterFS's
// fixed paths (/var/lib/glusterd, /var/log/glusterfs, /run, /tmp) are covered, so the host's own GlusterFS is never
// touched.
//
// A test package that uses it has
//
//	func TestMain(m *testing.M) { testcluster.Main(m) }
//
// and then calls Shared, or New for a cluster that the test is going to break.
package testcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/glusterfs-csi/glusterfs-csi/tests/wire"
)

// Name is what clusters files call the cluster.
const Name = "pi"

const startTimeout = 2 * time.Minute // with room for a busy machine; Install has its own minutes

// Options say which cluster to start. The zero value is two servers with a replica 2 volume gv0.
type Options struct {
	Servers    int    // by default as many as a subvolume has bricks, but at least 2
	Unprobed   int    // how many of them, the last ones, nobody has probed: they run, are no peers and get no bricks
	Volume     string // name of the volume to start with; by default gv0
	Replica    int    // as in VolumeOptions, all five
	Arbiter    bool
	Subvolumes int
	FileSystem FileSystem
	BrickSize  int64
	// Wire has the servers at its far end instead of on loopback. There is one cluster on a wire.
	Wire *wire.Wire
	TLS  *TLS // of the servers, from their start; bricks speak it with client.ssl and server.ssl
}

// Cluster is a running trusted pool. Servers and bricks must be killed and started by one goroutine at a time;
// everything else may be called by several. Servers and bricks are counted from 0. A brick keeps its number when
// others are removed (StartRemoval).
type Cluster struct {
	dir     string
	servers []*server
	peers   []*server // those that are in the pool from its start
	release func()
	closing sync.Once

	mu      sync.Mutex
	volumes map[string]volume
	mounts  int
}

// Start installs GlusterFS if it is missing and starts a cluster with one started volume. When it returns, all bricks
// accept connections. After an error nothing is left. The caller must call Close.
func Start(ctx context.Context, options Options) (_ *Cluster, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a test cluster needs root (what runs without it is in files without //go:build !quick)")
	}
	if err := Install(ctx); err != nil {
		return nil, err
	}
	first := VolumeOptions{
		Replica: options.Replica, Arbiter: options.Arbiter, Subvolumes: options.Subvolumes,
		FileSystem: options.FileSystem, BrickSize: options.BrickSize,
	}
	if options.Servers == 0 {
		options.Servers = max(2, first.replicas())
	}
	if options.Volume == "" {
		options.Volume = "gv0"
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if err := thisRun.open(ctx); err != nil {
		return nil, err
	}
	dir, network, release, err := thisRun.newCluster(options)
	if err != nil {
		return nil, errors.Join(err, thisRun.close())
	}
	c := &Cluster{dir: dir, release: release, volumes: map[string]volume{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	for i := range options.Servers {
		c.servers = append(c.servers, &server{
			address: fmt.Sprintf("%s%d", network, i+1),
			dir:     filepath.Join(dir, fmt.Sprintf("s%d", i)),
			wire:    options.Wire,
		})
	}
	c.peers = c.servers[:options.Servers-options.Unprobed]
	if options.TLS != nil {
		if err := c.SetTLS(*options.TLS); err != nil {
			return nil, err
		}
	}
	if err := c.form(ctx); err != nil {
		return nil, fmt.Errorf("form a cluster of %d servers: %w", options.Servers, err)
	}
	if err := c.createVolume(ctx, options.Volume, first); err != nil {
		return nil, err
	}
	return c, nil
}

// form starts all servers and makes peers of those that are to be.
func (c *Cluster) form(ctx context.Context) error {
	group, groupContext := errgroup.WithContext(ctx)
	for _, s := range c.servers {
		group.Go(func() error { return s.start(groupContext) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, s := range c.peers[1:] {
		if _, err := c.gluster(ctx, "peer", "probe", s.address); err != nil {
			return err
		}
	}
	return Poll(ctx, func() error { return c.formed(ctx) })
}

// formed says that every peer that runs has met every other one. A probe tells the first server's friends of each
// other a moment later; a command in between that needs all of them now and then hangs for two minutes. A server that
// comes back meets the others a moment later, too; what is set on them in between it takes over from them then, and if
// it is killed while it writes that down, its glusterd never starts again.
func (c *Cluster) formed(ctx context.Context) error {
	running := slices.DeleteFunc(slices.Clone(c.peers), func(s *server) bool { return !s.alive.Load() })
	for _, s := range running {
		status, err := s.gluster(ctx, "peer", "status")
		if err != nil {
			return err
		}
		if n := strings.Count(status, "Peer in Cluster (Connected)"); n < len(running)-1 {
			return fmt.Errorf("%s has met %d of %d other servers: %s", s.address, n, len(running)-1, status)
		}
	}
	return nil
}

// Close ends the cluster's processes (stopped ones too, and its raw mounts' clients), unmounts what is mounted below
// its directory and removes that. It takes less than a second. Closing again does nothing more. An error names what
// is left.
func (c *Cluster) Close() error {
	err := reclaim(context.Background(), c.dir, func(process) bool { return false })
	for _, s := range c.servers {
		s.wait()
	}
	c.closing.Do(func() {
		c.release()
		err = errors.Join(err, thisRun.close())
	})
	if err != nil {
		return fmt.Errorf("close the test cluster in %s: %w", c.dir, err)
	}
	return nil
}

// New starts a cluster for one test, which fails if that is impossible, and closes it when the test ends, which fails
// it if anything is left.
func New(t testing.TB, options Options) *Cluster {
	t.Helper()
	began := time.Now()
	c, err := Start(t.Context(), options)
	if err != nil {
		t.Fatalf("start a test cluster: %v", err)
	}
	t.Logf("test cluster of %d servers started in %v", len(c.servers), time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Dir is the directory below which everything of the cluster lies.
func (c *Cluster) Dir() string { return c.dir }

// Servers are the addresses of the servers.
func (c *Cluster) Servers() []string {
	var addresses []string
	for _, s := range c.servers {
		addresses = append(addresses, s.address)
	}
	return addresses
}

// Socket is where glusterd of server i takes commands: `gluster --glusterd-sock=PATH …`, for people; tests use Gluster.
func (c *Cluster) Socket(i int) string { return c.servers[i].socket() }

// ClustersYAML is the driver's clusters file for this cluster, with the volumes that exist now.
func (c *Cluster) ClustersYAML() string {
	return fmt.Sprintf("clusters:\n  - name: %s\n    servers: [%s]\n    volumes: [%s]\n",
		Name, strings.Join(c.Servers(), ", "), strings.Join(c.Volumes(), ", "))
}

// ClustersFile writes ClustersYAML to path, in one step for those who watch it.
func (c *Cluster) ClustersFile(path string) error {
	aside := path + ".new"
	if err := os.WriteFile(aside, []byte(c.ClustersYAML()), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}
