// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
)

// SplitBrain calls do with a volume as each side of its replica sets sees it. It takes as long as that does, and ends
// with ctx only where do does.
func (m *Manager) SplitBrain(ctx context.Context, id volume.ID, do func(v *splitbrain.Volume) error) error {
	apart := context.WithoutCancel(ctx)
	return m.run(apart, id.Volume, m.own, id.ID, func(_ context.Context, s *lifecycle.Volumes, _ *operation) error {
		r, err := s.Get(id.ID)
		if err != nil {
			return err
		}
		clients, err := m.sides(ctx, id.Volume)
		if err != nil {
			return err
		}
		v, err := splitbrain.Open(s.Store, r, clients)
		if err != nil {
			return s.Explain(err)
		}
		defer v.Close()
		return do(v)
	})
}

// sides are the clients that show what each side of a Gluster volume has. Every brick must be there.
func (m *Manager) sides(ctx context.Context, v gluster.Volume) (splitbrain.Clients, error) {
	c, err := m.host.Ensure(ctx, v, m.own)
	if err != nil {
		return splitbrain.Clients{}, err
	}
	reading, err := m.stateOf(ctx, c)
	if err != nil {
		return splitbrain.Clients{}, err
	}
	for i, b := range reading.Graph.Bricks {
		if !reading.Bricks[i].Connected {
			return splitbrain.Clients{}, fmt.Errorf("%s: brick %s:%s is not connected: %w: what it has is not known; try again when it is back",
				v, b.Host, b.Path, volume.ErrDisconnected)
		}
	}
	sets := replicaSets(reading)
	return splitbrain.Clients{
		Sets: sets,
		Settling: func(by gluster.Choice) (*safepath.Dir, func(), error) {
			return opened(ctx, v, func(ctx context.Context) (*client.Client, error) { return m.host.EnsureSettling(ctx, v, by) })
		},
		Side: func(i int) (*safepath.Dir, func(), error) {
			others := othersThan(sets, i)
			return opened(ctx, v, func(ctx context.Context) (*client.Client, error) {
				c, err := m.host.EnsureOneSide(ctx, v, others)
				if err != nil {
					return nil, err
				}
				return c, m.isOneSided(ctx, c, others)
			})
		},
	}, nil
}

// stateOf is what a client says of its bricks now.
func (m *Manager) stateOf(ctx context.Context, c *client.Client) (*meta.Reading, error) {
	began := time.Now()
	c.Checkup(ctx)
	now := c.Observed()
	if now.Reading == nil || now.Reading.At.Before(began) {
		return nil, fmt.Errorf("%s: its client does not tell which bricks it has: %w", c.Volume(), errors.Join(volume.ErrDisconnected, now.ReadErr))
	}
	return now.Reading, nil
}

// isOneSided waits until a client has all bricks but the others, and returns an error if it has one of those: it shows
// another side then than it is taken for.
func (m *Manager) isOneSided(ctx context.Context, c *client.Client, others []string) error {
	for {
		reading, err := m.stateOf(ctx, c)
		if err != nil {
			return err
		}
		missing := ""
		for i, b := range reading.Graph.Bricks {
			isOther := slices.Contains(others, b.Translator)
			switch {
			case isOther && reading.Bricks[i].Connected:
				return fmt.Errorf("%s: a client that is to do without %s is connected to it: %w", c.Volume(), b.Translator, volume.ErrInvalid)
			case !isOther && !reading.Bricks[i].Connected:
				missing = b.Host + ":" + b.Path
			}
		}
		if missing == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: brick %s is not connected: %w", c.Volume(), missing, volume.ErrDisconnected)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// replicaSets are those of a Gluster volume.
func replicaSets(reading *meta.Reading) []splitbrain.Set {
	var sets []splitbrain.Set
	for i, s := range reading.Graph.Sets {
		if reading.Sets[i].Quorum == "" {
			continue // it is dispersed: its bricks have parts of a file each
		}
		set := splitbrain.Set{Translator: s.Translator}
		for _, child := range s.Children {
			at := slices.IndexFunc(reading.Graph.Bricks, func(b meta.Brick) bool { return b.Translator == child })
			b := reading.Graph.Bricks[at]
			set.Bricks = append(set.Bricks, splitbrain.Brick{Translator: child, Address: b.Host + ":" + b.Path})
		}
		sets = append(sets, set)
	}
	return sets
}

// othersThan are the translators of all bricks but the i-th of each replica set. Of a set that has none, all stay.
func othersThan(sets []splitbrain.Set, i int) (others []string) {
	for _, s := range sets {
		for n, b := range s.Bricks {
			if n != i && i < len(s.Bricks) {
				others = append(others, b.Translator)
			}
		}
	}
	return others
}
