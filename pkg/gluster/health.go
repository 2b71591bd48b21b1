// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// answerLimit is how long Health waits for fresh answers of bricks and servers. They take milliseconds; the callers have a second.
const answerLimit = 500 * time.Millisecond

// State is how well a Gluster volume can be used from this host. A higher one is worse.
type State int

// The states.
const (
	Healthy      State = iota
	Degraded           // it can be used, or can be again within ping-timeout, and something is broken
	Inaccessible       // files cannot be read or written
)

// String is the state's name.
func (s State) String() string { return [...]string{"Healthy", "Degraded", "Inaccessible"}[s] }

// The codes of reasons. They are stable: people's alerts hang on them.
const (
	// BrickUnreachable: a brick is not connected, or has not sent a byte since it was asked something several seconds ago. Degraded
	// where other bricks stand in for it, else Inaccessible.
	BrickUnreachable = "BrickUnreachable"
	// QuorumLost: too few bricks of a replica set are connected; GlusterFS refuses its files until they are back. Inaccessible.
	QuorumLost = "QuorumLost"
	// ClusterUnreachable: no brick is reachable, or, where no client runs, no server gives a sign of life. Inaccessible.
	ClusterUnreachable = "ClusterUnreachable"
	// ClientDead: a client's process has ended, and mounts of it are still there. Inaccessible.
	ClientDead = "ClientDead"
	// ClientUnresponsive: a client's process runs and does not even tell its own state. Inaccessible.
	ClientUnresponsive = "ClientUnresponsive"
	// ProbeTimeout: a client waits for an answer, and there is no brick to blame. Degraded.
	ProbeTimeout = "ProbeTimeout"
	// ProbeFailed: the Gluster volume's root directory cannot be read. Degraded.
	ProbeFailed = "ProbeFailed"
)

// Reason is one thing that is wrong. The message names the Gluster volume, and hosts and bricks.
type Reason struct {
	State   State // Degraded or Inaccessible
	Code    string
	Message string
}

// BrickHealth is a brick as this host sees it.
type BrickHealth struct {
	Host, Path string
	Connected  bool // and answering, by all clients of the Gluster volume
}

// Health is what this host knows about a Gluster volume.
type Health struct {
	Volume  Volume
	State   State         // the worst of the reasons; Healthy without
	Reasons []Reason      // worst first; no two with the same state and code
	Bricks  []BrickHealth // sorted; none where no client runs
	Age     time.Duration // of the oldest information in it
}

// Health returns how well a Gluster volume can be used through this host's clients of it, or whether its servers give signs of
// life where there is no client. It returns well within a second, whatever hangs: what is not answered by then is taken from the
// last known state. It reads and writes nothing of the volume's data, starts no client, and needs no clusters file.
func (h *Host) Health(ctx context.Context, v Volume) Health {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return h.health(ctx, v, everyDevice)
}

// HealthAt is Health for one mount, which has this device: other clients of the same Gluster volume do not matter to it.
func (h *Host) HealthAt(ctx context.Context, v Volume, device mount.Device) Health {
	if !h.Serves(device) {
		var r report
		r.add(Inaccessible, ClientDead, fmt.Sprintf("the client process of %s has ended; the mount waits for a new one", v))
		return r.health(v)
	}
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	return h.health(ctx, v, func(d mount.Device) bool { return d == device })
}

func everyDevice(mount.Device) bool { return true }

// HealthOfAll is Health for every Gluster volume of the clusters file and those others that have clients, sorted.
func (h *Host) HealthOfAll(ctx context.Context) []Health {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	volumes := h.usedVolumes()
	if clusters, err := h.clusters.Current(); err == nil {
		for _, v := range clusters.Volumes() {
			volumes[v] = true
		}
	}
	return h.healthOf(ctx, volumes)
}

func (h *Host) healthOf(ctx context.Context, volumes map[Volume]bool) []Health {
	sorted := slices.SortedFunc(maps.Keys(volumes), compareVolumes)
	all := make([]Health, len(sorted))
	var group sync.WaitGroup
	for i, v := range sorted {
		group.Go(func() { all[i] = h.health(ctx, v, everyDevice) })
	}
	group.Wait()
	return all
}

// usedVolumes are those that have clients, dead ones with mounts included.
func (h *Host) usedVolumes() map[Volume]bool {
	volumes := map[Volume]bool{}
	for _, c := range h.running() {
		volumes[c.slot.volume] = true
	}
	for _, d := range h.deadMounts() {
		volumes[d.volume] = true
	}
	return volumes
}

// health waits until ctx is done at most.
func (h *Host) health(ctx context.Context, v Volume, concerns func(mount.Device) bool) Health {
	var clients []*Client
	for _, c := range h.running() {
		if c.slot.volume == v && concerns(c.device) {
			clients = append(clients, c)
		}
	}
	views := make([]view, len(clients))
	var group sync.WaitGroup
	for i, c := range clients {
		group.Go(func() {
			c.checkup(ctx)
			views[i] = c.view(time.Now())
		})
	}
	group.Wait()
	var r report
	for i, view := range views {
		if view.needsServers() {
			view.silent = h.silentServers(ctx, v)
		}
		if !clients[i].process.hasExited() { // it may have meanwhile; then it is among the dead if anything shows it
			view.diagnose(&r)
		}
	}
	dead := slices.DeleteFunc(h.deadMounts(), func(d deadClient) bool { return d.volume != v || !concerns(d.device) })
	for _, d := range dead {
		fate := "wait for a new one"
		if d.replaced {
			fate = "are about to be replaced by those of the new one, or cannot be: then the mounter's log says why, and the pods have to be restarted"
		}
		r.add(Inaccessible, ClientDead, fmt.Sprintf("the client process of %s has ended; its mounts on this host (%d) %s", v, d.mounts, fate))
	}
	if len(clients)+len(dead) == 0 {
		if silent := h.silentServers(ctx, v); silent != "" {
			r.add(Inaccessible, ClusterUnreachable, fmt.Sprintf("no server of %s gives a sign of life: %s", v, silent))
		}
	}
	return r.health(v)
}

// report collects what several clients tell.
type report struct {
	reasons []Reason
	bricks  map[[2]string]bool // host and path → connected
	age     time.Duration
}

// add adds a message, once, to the entry of its state and code. The age of an answer differs from client to client: it follows the
// message, and does not make it another one.
func (r *report) add(state State, code, message string, age ...string) {
	i := slices.IndexFunc(r.reasons, func(known Reason) bool { return known.State == state && known.Code == code })
	if i < 0 {
		r.reasons = append(r.reasons, Reason{State: state, Code: code, Message: strings.Join(append([]string{message}, age...), "; ")})
		return
	}
	known := &r.reasons[i]
	if strings.Contains(known.Message, message) {
		return
	}
	for _, more := range append([]string{message}, age...) {
		if !strings.Contains(known.Message, more) {
			known.Message += "; " + more
		}
	}
}

func (r *report) has(code string) bool {
	return slices.ContainsFunc(r.reasons, func(reason Reason) bool { return reason.Code == code })
}

func (r *report) addBrick(b brick, connected bool) {
	if r.bricks == nil {
		r.bricks = map[[2]string]bool{}
	}
	key := [2]string{b.host, b.path}
	known, has := r.bricks[key]
	r.bricks[key] = connected && (known || !has)
}

func (r *report) health(v Volume) Health {
	health := Health{Volume: v, Reasons: r.reasons, Age: r.age}
	slices.SortStableFunc(health.Reasons, func(a, b Reason) int { return cmp.Or(-cmp.Compare(a.State, b.State), cmp.Compare(a.Code, b.Code)) })
	if len(health.Reasons) > 0 {
		health.State = health.Reasons[0].State
	}
	for key, connected := range r.bricks {
		health.Bricks = append(health.Bricks, BrickHealth{Host: key[0], Path: key[1], Connected: connected})
	}
	slices.SortFunc(health.Bricks, func(a, b BrickHealth) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path)) })
	return health
}
