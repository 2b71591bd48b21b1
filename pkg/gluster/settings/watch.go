// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

const (
	// validFor is how long what servers have said counts where nothing is in the way. A call before which it is asked
	// again takes some round trips longer.
	validFor = 10 * time.Second
	// restrictedFor is how long any restriction counts: whoever lifts it tries again at once.
	restrictedFor = 2 * time.Second
)

// Known is what the servers of each Gluster volume have said last. All of it may be called at the same time.
type Known struct {
	clusters *gluster.ClustersFile
	asked    singleflight.Group

	mu sync.Mutex
	of map[gluster.Volume]said
}

// said is an answer that counts until a time.
type said struct {
	settings Settings // none where servers did not answer
	until    time.Time
	logged   Settings // what was said in the log last
}

// New returns one that has asked nobody yet.
func New(clusters *gluster.ClustersFile) *Known {
	return &Known{clusters: clusters, of: map[gluster.Volume]said{}}
}

// Get returns what a Gluster volume is set to: by an answer of the last ten seconds, or by asking, one question at a
// time for each, of four seconds at most. Where ctx is done before, it is the answer before that, if there was one.
// Where servers do not answer, nothing is known to be in the way: then it is tried, and GlusterFS says so itself. A
// volume that the clusters file does not name is not asked about.
func (k *Known) Get(ctx context.Context, v gluster.Volume) Settings {
	before := k.last(v)
	if time.Now().Before(before.until) {
		return before.settings
	}
	clusters, err := k.clusters.Current()
	if err != nil {
		return before.settings
	}
	cluster, err := clusters.Find(v)
	if err != nil {
		return before.settings
	}
	answer := k.asked.DoChan(v.String(), func() (any, error) {
		k.ask(context.WithoutCancel(ctx), v, glusterd.PoolOf(cluster))
		return struct{}{}, nil
	})
	select {
	case <-answer:
		return k.last(v).settings
	case <-ctx.Done():
		return before.settings
	}
}

// Again is Get, and asks even if there is an answer that counts, unless that says that something is in the way.
func (k *Known) Again(ctx context.Context, v gluster.Volume) Settings {
	k.mu.Lock()
	known := k.of[v]
	if len(known.settings.Restrictions) == 0 {
		known.until = time.Time{}
		k.of[v] = known
	}
	k.mu.Unlock()
	return k.Get(ctx, v)
}

func (k *Known) last(v gluster.Volume) said {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.of[v]
}

// ask asks the servers, remembers what they say, and logs it where they said another thing before.
func (k *Known) ask(ctx context.Context, v gluster.Volume, pool glusterd.Pool) {
	if time.Now().Before(k.last(v).until) {
		return // another has asked since this one has looked
	}
	var volfile glusterd.Volfile
	var err error
	caught := panics.Catch(ctx, "question for the settings of a Gluster volume", func() {
		volfile, err = pool.GetBrickOptions(ctx, v.Name)
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	now := said{logged: k.of[v].logged, until: time.Now().Add(validFor)}
	if caught == nil && err == nil {
		now.settings = Of(volfile)
		logChange(klog.FromContext(ctx).WithValues("glusterVolume", v.String()), v, now.logged, now.settings)
		now.logged = now.settings
	}
	if len(now.settings.Restrictions) > 0 {
		now.until = time.Now().Add(restrictedFor)
	}
	k.of[v] = now
}

func logChange(logger klog.Logger, v gluster.Volume, before, now Settings) {
	was, is := "", ""
	if err := before.Check(v); err != nil {
		was = err.Error()
	}
	if err := now.Check(v); err != nil {
		is = err.Error()
	}
	switch {
	case was == is:
	case is == "":
		logger.Info("No option of the Gluster volume forbids any more what the driver does")
	default:
		logger.Error(nil, "An option of the Gluster volume forbids what the driver does, which goes on by itself when it is off", "why", is)
	}
	if now.Modes != before.Modes {
		logger.Info("The bricks make another mode of what a directory is to have, or do not any more", "options", now.Modes.Options())
	}
}
