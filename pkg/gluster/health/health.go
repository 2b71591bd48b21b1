// SPDX-License-Identifier: Apache-2.0

// Package health says how well Gluster volumes can be used from this host: from what each client says of its bricks
// and their quorum, what the servers say where no client can, and what dead clients have left mounted. It reads and
// writes nothing of a volume's data, starts and ends no client, and returns within a second, whatever hangs.
package health

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/probe"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// Observer says how well the Gluster volumes can be used through the clients of a host.
type Observer struct {
	host     host
	clusters *gluster.ClustersFile
	settings *settings.Known
	gauges   gauges
	changed  func(before, now Report) // see Notify

	mu     sync.Mutex
	checks map[string]*serverCheck // by cluster

	names  names
	splits splits
}

// host is what is asked of a client.Host.
type host interface {
	Running() []*client.Client
	Dead(entries []mount.Entry) []client.Dead
	Serves(device mount.Device) bool
	Owns(target string) bool
	Stale() ([]statedir.Stale, error)
	Holders() ([]statedir.Holder, error)
}

// New returns an Observer of this host's clients. The clusters file says whose servers are asked where no client
// runs, and known what Gluster volumes are set to. The metrics are registered with registry, unless that is nil.
func New(host *client.Host, clusters *gluster.ClustersFile, known *settings.Known, registry prometheus.Registerer) *Observer {
	return &Observer{host: host, clusters: clusters, settings: known, gauges: newGauges(registry), checks: map[string]*serverCheck{}}
}

// Notify has Watch tell each change that it sees of a Gluster volume's health, also that what it sees first is not
// Healthy: then before has no more than the state Unknown. It comes before Watch, and the function returns at once.
func (o *Observer) Notify(changed func(before, now Report)) { o.changed = changed }

// State is how well a Gluster volume can be used from this host. A higher one is worse.
type State int

// The states.
const (
	Unknown      State = iota - 1 // neither a client nor a server has told anything yet
	Healthy                       // nothing is known to be wrong
	Degraded                      // it can be used, or can be again within ping-timeout, and something is broken
	Inaccessible                  // files cannot be read or written
)

// String is the state's name.
func (s State) String() string {
	return [...]string{"Unknown", "Healthy", "Degraded", "Inaccessible"}[s-Unknown]
}

// The codes of reasons. They are stable: people's alerts hang on them.
const (
	// BrickUnreachable: a brick is not connected, or has not sent a byte since it was asked something several seconds
	// ago. Degraded where other bricks stand in for it, else Inaccessible.
	BrickUnreachable = "BrickUnreachable"
	// QuorumLost: too few bricks of a replica set are connected; GlusterFS refuses its files until they are back.
	// Inaccessible.
	QuorumLost = "QuorumLost"
	// ClusterUnreachable: no brick is reachable, or, where no client runs, no server gives a sign of life.
	// Inaccessible.
	ClusterUnreachable = "ClusterUnreachable"
	// ClientDead: a client's process has ended, and mounts of it are still there. Inaccessible.
	ClientDead = "ClientDead"
	// ContainerMountDead: in a container mounts of a client that died stay dead, where the host's were repaired; the pod has to be
	// restarted. Inaccessible for the pod that is asked for, else Degraded.
	ContainerMountDead = "ContainerMountDead"
	// DeadFiles: a process keeps files of a client open that has died: what it writes to them is lost, and what it reads fails, until it opens
	// them anew. Paths work. Degraded.
	DeadFiles = "DeadFiles"
	// TwoNames: a brick has the volume's directory under another name than the others, since it has forgotten a rename.
	// Files are read and written as before. Degraded.
	TwoNames = "TwoNames"
	// SplitBrain: the bricks disagree on files, which GlusterFS refuses to read until somebody says which copy counts. Those are told
	// that somebody on this host has tried to use. Degraded.
	SplitBrain = "SplitBrain"
	// ClientUnresponsive: a client's process runs and does not even tell its own state. Inaccessible.
	ClientUnresponsive = "ClientUnresponsive"
	// ProbeTimeout: a client waits for an answer, and there is no brick to blame. Degraded.
	ProbeTimeout = "ProbeTimeout"
	// ProbeFailed: the Gluster volume's root directory cannot be read. Degraded.
	ProbeFailed = "ProbeFailed"
	// Those of pkg settings, as ReadOnly: an option of the Gluster volume forbids what the driver does. Degraded.
)

// Reason is one thing that is wrong. The message names the Gluster volume, and hosts and bricks.
type Reason struct {
	State   State // Degraded or Inaccessible
	Code    string
	Message string
}

// Brick is a brick as this host sees it.
type Brick struct {
	Host, Path string
	Connected  bool // and answering, by all clients of the Gluster volume
}

// Report is what this host knows about a Gluster volume.
type Report struct {
	Volume  gluster.Volume
	State   State         // the worst of the reasons; Healthy, or Unknown, without
	Reasons []Reason      // worst first; no two with the same state and code
	Bricks  []Brick       // sorted; none where no client runs
	Age     time.Duration // of the oldest information in it
}

// Volume returns how well a Gluster volume can be used through this host's clients of it, or whether its servers give
// signs of life where there is no client. It returns well within a second, whatever hangs: what is not answered by
// then is taken from the last known state. It reads and writes nothing of the volume's data, starts no client, and
// needs no clusters file.
func (o *Observer) Volume(ctx context.Context, v gluster.Volume) Report {
	ctx, cancel := context.WithTimeout(ctx, probe.AnswerLimit)
	defer cancel()
	return o.health(ctx, v, nil)
}

// Place is where a volume is mounted for a pod.
type Place struct {
	Device mount.Device
	Root   string // of the mount
	Target string // where it is mounted
	Pod    string // its UID in Kubernetes; "" if that is not known
}

// Mount is Volume for one mount: other clients of the same Gluster volume do not matter to it, nor what other pods have of it.
func (o *Observer) Mount(ctx context.Context, v gluster.Volume, at Place) Report {
	if !o.host.Serves(at.Device) {
		return clientEnded(v)
	}
	ctx, cancel := context.WithTimeout(ctx, probe.AnswerLimit)
	defer cancel()
	report := o.health(ctx, v, &at)
	if report.State == Unknown && !o.host.Serves(at.Device) { // it has ended while it was asked
		return clientEnded(v)
	}
	return report
}

func clientEnded(v gluster.Volume) Report {
	var r findings
	r.add(Inaccessible, ClientDead,
		fmt.Sprintf("the client process of %s has ended; the mount waits for a new one", v))
	return r.report(v)
}

// All is Volume for every Gluster volume of the clusters file and those others that have clients, sorted.
func (o *Observer) All(ctx context.Context) []Report {
	ctx, cancel := context.WithTimeout(ctx, probe.AnswerLimit)
	defer cancel()
	volumes := o.usedVolumes()
	if clusters, err := o.clusters.Current(); err == nil {
		for _, v := range clusters.Volumes() {
			volumes[v] = true
		}
	}
	return o.healthOf(ctx, volumes)
}

func (o *Observer) healthOf(ctx context.Context, volumes map[gluster.Volume]bool) []Report {
	sorted := slices.SortedFunc(maps.Keys(volumes), gluster.CompareVolumes)
	all := make([]Report, len(sorted))
	var group panics.Group
	for i, v := range sorted {
		group.Go(func() { all[i] = o.health(ctx, v, nil) })
	}
	group.Wait()
	return all
}

// usedVolumes are those that have clients, dead ones with mounts included.
func (o *Observer) usedVolumes() map[gluster.Volume]bool {
	volumes := map[gluster.Volume]bool{}
	for _, c := range o.running() {
		volumes[c.Volume()] = true
	}
	for _, d := range o.deadMounts() {
		volumes[d.Volume] = true
	}
	return volumes
}

// health waits until ctx is done at most. at is the one place that counts, nil if all do.
func (o *Observer) health(ctx context.Context, v gluster.Volume, at *Place) Report {
	concerns := func(d mount.Device) bool { return at == nil || d == at.Device }
	var clients []*client.Client
	for _, c := range o.running() {
		if c.Volume() == v && concerns(c.Device()) {
			clients = append(clients, c)
		}
	}
	views := make([]view, len(clients))
	var group panics.Group
	for i, c := range clients {
		group.Go(func() {
			c.Checkup(ctx)
			views[i] = viewOf(ctx, c, time.Now())
		})
	}
	group.Wait()
	var r findings
	isKnown := false
	for i, view := range views {
		if view.needsServers() {
			view.silent, _ = o.silentServers(ctx, v)
		}
		if !clients[i].HasEnded() { // it may have meanwhile; then it is among the dead if anything shows it
			view.diagnose(&r)
			isKnown = isKnown || view.hasTold()
		}
	}
	if dead := o.addDead(&r, v, concerns); len(clients)+dead == 0 {
		var silent string
		if silent, isKnown = o.silentServers(ctx, v); silent != "" {
			r.add(Inaccessible, ClusterUnreachable, fmt.Sprintf("no server of %s gives a sign of life: %s", v, silent))
		}
	}
	o.addStale(ctx, &r, v, at)
	o.addHolders(ctx, &r, v, at)
	o.names.add(ctx, &r, v, at)
	o.addSplit(&r, v, at)
	o.addRestrictions(ctx, &r, v)
	report := r.report(v)
	if len(report.Reasons) == 0 && !isKnown {
		report.State = Unknown
	}
	return report
}

// addDead adds the dead clients whose mounts are seen on this host, and returns how many there are.
func (o *Observer) addDead(r *findings, v gluster.Volume, concerns func(mount.Device) bool) int {
	dead := slices.DeleteFunc(o.deadMounts(), func(d deadClient) bool { return d.Volume != v || !concerns(d.Device) })
	for _, d := range dead {
		fate := "wait for a new one"
		if d.Replaced {
			fate = "are about to be replaced by those of the new one, or cannot be: then the mounter's log says why, and " +
				"the pods have to be restarted"
		}
		r.add(Inaccessible, ClientDead,
			fmt.Sprintf("the client process of %s has ended; its mounts on this host (%d) %s", v, d.mounts, fate))
	}
	return len(dead)
}

// findings collects what several clients tell.
type findings struct {
	reasons []Reason
	bricks  map[[2]string]bool // host and path → connected
	age     time.Duration
}

// add adds a message, once, to the entry of its state and code. The age of an answer differs from client to client:
// it follows the message, and does not make it another one.
func (r *findings) add(state State, code, message string, age ...string) {
	i := slices.IndexFunc(r.reasons, func(known Reason) bool { return known.State == state && known.Code == code })
	if i < 0 {
		first := Reason{State: state, Code: code, Message: strings.Join(append([]string{message}, age...), "; ")}
		r.reasons = append(r.reasons, first)
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

func (r *findings) has(code string) bool {
	return slices.ContainsFunc(r.reasons, func(reason Reason) bool { return reason.Code == code })
}

func (r *findings) addBrick(b meta.Brick, connected bool) {
	if r.bricks == nil {
		r.bricks = map[[2]string]bool{}
	}
	key := [2]string{b.Host, b.Path}
	known, has := r.bricks[key]
	r.bricks[key] = connected && (known || !has)
}

func (r *findings) report(v gluster.Volume) Report {
	health := Report{Volume: v, Reasons: r.reasons, Age: r.age}
	slices.SortStableFunc(health.Reasons, func(a, b Reason) int {
		return cmp.Or(-cmp.Compare(a.State, b.State), cmp.Compare(a.Code, b.Code))
	})
	if len(health.Reasons) > 0 {
		health.State = health.Reasons[0].State
	}
	for key, connected := range r.bricks {
		health.Bricks = append(health.Bricks, Brick{Host: key[0], Path: key[1], Connected: connected})
	}
	slices.SortFunc(health.Bricks, func(a, b Brick) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Path, b.Path))
	})
	return health
}
