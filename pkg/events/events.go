// SPDX-License-Identifier: Apache-2.0

// Package events writes events of Kubernetes, by which people who look at a claim learn what the controller has seen
// of its Gluster volume, and who looks at a pod what its node has. It speaks to the API server by pkg/kubeapi: it lists
// PersistentVolumes and creates and patches events, and needs no other right.
// docs/decisions/14-events-by-the-controller.md says why so.
//
// An event is one object for each claim and reason: what comes again changes its message and count. What is to be said
// is queued by the same, so a brick that comes and goes has the last word said, and queues nothing; and it is said at
// a pace that an API server does not feel. Nobody waits for any of it, and what cannot be said is logged.
package events

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
)

// Type is how bad an event is, in Kubernetes' own words.
type Type string

// The types.
const (
	Normal  Type = "Normal"
	Warning Type = "Warning"
)

// Event is what has happened.
type Event struct {
	Type    Type
	Reason  string // in CamelCase, and stable
	Message string // what and where, and the cure
}

// Object is what an event is about.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"`
}

// Claim is a PersistentVolumeClaim as an Object.
func Claim(namespace, name, uid string) Object {
	return Object{APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: namespace, Name: name, UID: uid}
}

const (
	// pace is the time between two requests.
	pace = 200 * time.Millisecond
	// claimsTold is how many claims of a Gluster volume are told of one change; the pod of the controller is told of
	// all.
	claimsTold = 100
	// queued bounds what waits to be said.
	queued = 2 * claimsTold
	// remembered bounds the events whose count is known.
	remembered = 10 * claimsTold
	// retryAfter is for an API server that does not answer.
	retryAfter = 10 * time.Second
)

// Recorder says events. Its zero value, and nil, say nothing.
type Recorder struct {
	api    *kubeapi.Client
	driver string // its name in CSI
	self   Object // the pod of this process
	// pace and retry are the constants, but in tests.
	pace, retry time.Duration

	mu      sync.Mutex
	waiting []saying // in the order in which they came
	said    map[key]int
	wake    chan struct{}
}

// key is of one object of Kubernetes.
type key struct {
	about  Object
	reason string
}

// saying is an event that waits: of an object, or of the claims of volumes whose handles begin with a prefix; or with
// both, of the object if one of those claims is in its namespace.
type saying struct {
	key

	handles string
	event   Event
}

// New returns a recorder for the driver of this name. self is the pod of this process, for what concerns nobody's
// claim.
func New(driver string, api *kubeapi.Client, self Object) *Recorder {
	self.APIVersion, self.Kind, self.Namespace = "v1", "Pod", api.Namespace
	return &Recorder{api: api, driver: driver, self: self, pace: pace, retry: retryAfter, said: map[key]int{}, wake: make(chan struct{}, 1)}
}

// About says an event of one object.
func (r *Recorder) About(o Object, e Event) { r.queue(saying{key: key{o, e.Reason}, event: e}) }

// AboutVolumes says an event of the claims that are bound to volumes whose handles begin so, of a hundred at most, and
// of the pod of this process.
func (r *Recorder) AboutVolumes(handles string, e Event) {
	if r == nil {
		return
	}
	r.About(r.self, e)
	r.queue(saying{key: key{reason: e.Reason}, handles: handles, event: e})
}

// AboutPod says an event of a pod, if its namespace has a claim that is bound to a volume whose handle begins so: then
// the pod may have that volume.
func (r *Recorder) AboutPod(handles, namespace, name, uid string, e Event) {
	pod := Object{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: uid}
	r.queue(saying{key: key{pod, e.Reason}, handles: handles, event: e})
}

// Own says an event of the pod of this process.
func (r *Recorder) Own(e Event) {
	if r != nil {
		r.About(r.self, e)
	}
}

// queue replaces what waits to be said of the same. What there is no room for is dropped: it is in the log already.
func (r *Recorder) queue(s saying) {
	if r == nil || r.api == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.waiting, func(w saying) bool { return w.key == s.key && w.handles == s.handles })
	switch {
	case i >= 0:
		r.waiting[i] = s
	case len(r.waiting) < queued:
		r.waiting = append(r.waiting, s)
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Recorder) next() (saying, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return saying{}, false
	}
	s := r.waiting[0]
	r.waiting = r.waiting[1:]
	return s, true
}

// Run says what is queued until ctx is done.
func (r *Recorder) Run(ctx context.Context) {
	if r == nil || r.api == nil {
		return
	}
	for {
		s, waits := r.next()
		delay := r.pace
		if waits {
			delay = r.try(ctx, s)
		}
		var wake <-chan struct{}
		if !waits {
			wake, delay = r.wake, time.Hour
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// try says one, and returns how long to wait before the next. One that could not be said for want of an answer waits
// again, unless something newer does.
func (r *Recorder) try(ctx context.Context, s saying) time.Duration {
	err := r.say(ctx, s)
	var refusal *kubeapi.RefusedError
	switch {
	case err == nil || ctx.Err() != nil:
		return r.pace
	case errors.As(err, &refusal):
		klog.FromContext(ctx).Error(err, "An event is refused; the log has what it says", "reason", s.reason, "namespace", s.about.Namespace, "name", s.about.Name, "message", s.event.Message)
		return r.pace
	}
	klog.FromContext(ctx).Error(err, "The API server does not take events; they wait", "reason", s.reason)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.ContainsFunc(r.waiting, func(w saying) bool { return w.key == s.key && w.handles == s.handles }) {
		r.waiting = append([]saying{s}, r.waiting...)
	}
	return r.retry
}

func (r *Recorder) say(ctx context.Context, s saying) error {
	if s.handles == "" {
		return r.write(ctx, s)
	}
	claims, err := r.api.Claims(ctx, r.driver, s.handles, s.about.Namespace, claimsTold)
	if err != nil {
		return err
	}
	for _, c := range claims {
		if s.about.Kind != "" {
			r.About(s.about, s.event)
			break
		}
		r.About(Claim(c.Namespace, c.Name, c.UID), s.event)
	}
	return nil
}

// write makes the event, or changes the one that is there.
func (r *Recorder) write(ctx context.Context, s saying) error {
	count := r.said[s.key] // Run's own goroutine has it alone
	err := kubeapi.ErrNone
	if count > 0 {
		err = r.patch(ctx, s.about, s.event, count+1)
	}
	if errors.Is(err, kubeapi.ErrNone) {
		count = 0 // the one that was there is forgotten by Kubernetes, after an hour
		if err = r.create(ctx, s.about, s.event); errors.Is(err, kubeapi.ErrThere) {
			err = r.patch(ctx, s.about, s.event, 0) // another process of the controller's has said it
		}
	}
	if err == nil {
		if len(r.said) >= remembered {
			clear(r.said)
		}
		r.said[s.key] = count + 1
	}
	return err
}
