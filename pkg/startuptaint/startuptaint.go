// SPDX-License-Identifier: Apache-2.0

// Package startuptaint takes the taint off nodes with which they are registered, so that no pod starts there before
// volumes can be mounted. A node is ready for volumes when its CSINode lists the driver, as kubelet writes when the node
// plugin has registered, and a pod of the mounter on it is ready.
//
// Whoever registers the node sets the taint: kubelet (--register-with-taints), or what makes the node. This package
// never sets it: a node that loses its mounter later keeps its pods.
//
// Nodes are watched, so that where none has the taint nothing is asked. Of one that has it, its CSINode and its pod of
// the mounter are asked for, less and less often. The rights that this needs are: watch and patch nodes, get CSINodes,
// list the pods of the driver's own namespace.
package startuptaint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
)

// mounterPods are the labels of the mounter's pods.
const mounterPods = "app.kubernetes.io/name=glusterfs-csi,app.kubernetes.io/component=mounter"

const (
	// firstLook and rarestLook are the times between two looks at one node: the first, and the longest, which each look
	// doubles up to.
	firstLook, rarestLook = time.Second, 15 * time.Second
	// pace is the time between looks at two nodes.
	pace = 50 * time.Millisecond
	// retryAfter is for an API server that does not answer, and for rights that are missing.
	retryAfter = 10 * time.Second
)

// Key is the taint's key, of the driver of this name. Whatever its effect is, it is taken off.
func Key(driver string) string { return driver + "/agent-not-ready" }

// Remover takes the taint off nodes. Nil takes none off.
type Remover struct {
	api    *kubeapi.Client
	driver string // its name in CSI
	// first and retry are the constants, but in tests.
	first, retry time.Duration

	mu      sync.Mutex
	wait    map[string]*waiting // by the node's name: those that have the taint
	watches int                 // that have said something, with the one under way
	wake    chan struct{}
}

// waiting is a node that has the taint.
type waiting struct {
	uid    string // of this Node: a machine may come back under its name, with a CSINode of before
	taints []taint
	seen   int       // the watch that named it last
	next   time.Time // when it is looked at again
	pause  time.Duration
	told   string // why it waits, as the log has it
}

type taint struct {
	Key    string `json:"key"`
	Effect string `json:"effect"`
}

// New returns a Remover for the driver of this name, whose namespace is that of the service account.
func New(driver string, api *kubeapi.Client) *Remover {
	return &Remover{api: api, driver: driver, first: firstLook, retry: retryAfter, wait: map[string]*waiting{}, wake: make(chan struct{}, 1)}
}

// Run takes the taint off nodes until ctx is done.
func (r *Remover) Run(ctx context.Context) {
	if r == nil {
		return
	}
	var watching sync.WaitGroup
	watching.Go(func() { r.watch(ctx) })
	defer watching.Wait()
	for {
		name, w, delay := r.due(time.Now())
		if w != nil {
			r.look(ctx, name, w)
			delay = pace
		}
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// watch knows which nodes have the taint. Each new watch begins with all nodes.
func (r *Remover) watch(ctx context.Context) {
	for ctx.Err() == nil {
		said := false
		err := r.api.Watch(ctx, "/api/v1/nodes", func(c kubeapi.Change) error {
			if !said {
				r.forgetUnseen()
			}
			said = true
			return r.changed(c)
		})
		if err == nil || ctx.Err() != nil {
			continue
		}
		klog.FromContext(ctx).Error(err, "Nodes cannot be watched: the start-up taint stays on them meanwhile", "taint", Key(r.driver), "again", r.retry)
		timer := time.NewTimer(r.retry)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// forgetUnseen is for the beginning of a watch: no watch says that a node is gone that was deleted between two. One that the last watch has
// not named, from its beginning to its end, is gone; where that end came too early, this one names it anew.
func (r *Remover) forgetUnseen() {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.wait, func(_ string, w *waiting) bool { return w.seen != r.watches })
	r.watches++
}

func (r *Remover) changed(c kubeapi.Change) error {
	var node struct {
		Metadata struct {
			Name string `json:"name"`
			UID  string `json:"uid"`
		} `json:"metadata"`
		Spec struct {
			Taints []taint `json:"taints"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(c.Object, &node); err != nil {
		return fmt.Errorf("a node: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	name := node.Metadata.Name
	switch w := r.wait[name]; {
	case c.Type == "DELETED" || !slices.ContainsFunc(node.Spec.Taints, r.is):
		delete(r.wait, name)
	case w != nil && w.uid == node.Metadata.UID:
		w.taints, w.seen = node.Spec.Taints, r.watches
	default:
		r.wait[name] = &waiting{uid: node.Metadata.UID, taints: node.Spec.Taints, seen: r.watches, pause: r.first}
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

func (r *Remover) is(t taint) bool { return t.Key == Key(r.driver) }

// due is the node that is to be looked at next, or how long there is none.
func (r *Remover) due(now time.Time) (string, *waiting, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delay := time.Hour
	for name, w := range r.wait {
		if left := w.next.Sub(now); left <= 0 {
			w.next = now.Add(w.pause)
			w.pause = min(2*w.pause, rarestLook)
			return name, w, 0
		} else if left < delay {
			delay = left
		}
	}
	return "", nil, delay
}

// look takes the taint off a node that is ready for volumes.
func (r *Remover) look(ctx context.Context, name string, w *waiting) {
	logger := klog.FromContext(ctx).WithValues("node", name, "taint", Key(r.driver))
	missing, err := r.missing(ctx, name, w.uid)
	if err == nil && missing == "" {
		err = r.remove(ctx, name, w)
	}
	var refusal *kubeapi.RefusedError
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case ctx.Err() != nil || errors.Is(err, kubeapi.ErrNone): // the node is gone: the watch says it, too
	case errors.As(err, &refusal) && refusal.Code == http.StatusUnprocessableEntity: // its taints are others: the watch says which
	case err != nil && w.told != err.Error():
		w.told = err.Error()
		logger.Error(err, "The start-up taint cannot be taken off; it is tried again")
	case err == nil && missing == "": // the watch takes it off the list
		logger.Info("Took the start-up taint off: volumes can be mounted there")
	case err == nil && w.told != missing:
		w.told = missing
		logger.Info("The start-up taint stays on until volumes can be mounted there", "missing", missing)
	}
}

// missing says what a node lacks to mount volumes.
func (r *Remover) missing(ctx context.Context, name, uid string) (string, error) {
	var csiNode struct {
		Metadata struct {
			Owners []struct {
				UID string `json:"uid"`
			} `json:"ownerReferences"`
		} `json:"metadata"`
		Spec struct {
			Drivers []struct {
				Name string `json:"name"`
			} `json:"drivers"`
		} `json:"spec"`
	}
	err := r.api.Do(ctx, kubeapi.Request{Method: http.MethodGet, Path: "/apis/storage.k8s.io/v1/csinodes/" + url.PathEscape(name)}, &csiNode)
	if err != nil && !errors.Is(err, kubeapi.ErrNone) {
		return "", err
	}
	for _, owner := range csiNode.Metadata.Owners {
		if owner.UID != uid {
			return "its CSINode is that of a node of the same name that is gone", nil
		}
	}
	for _, d := range csiNode.Spec.Drivers {
		if d.Name == r.driver {
			return r.missingMounter(ctx, name)
		}
	}
	return "its CSINode does not list the driver: the node plugin has not registered", nil
}

func (r *Remover) missingMounter(ctx context.Context, name string) (string, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				DeletionTimestamp string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				Conditions []struct {
					Type   string `json:"type"`
					Status string `json:"status"`
				} `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	query := url.Values{"labelSelector": {mounterPods}, "fieldSelector": {"spec.nodeName=" + name}}
	if err := r.api.Do(ctx, kubeapi.Request{Method: http.MethodGet, Path: "/api/v1/namespaces/" + r.api.Namespace + "/pods", Query: query}, &list); err != nil {
		return "", err
	}
	for _, pod := range list.Items {
		for _, c := range pod.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" && pod.Metadata.DeletionTimestamp == "" {
				return "", nil
			}
		}
	}
	return "no pod of its mounter is ready", nil
}

// remove takes the taint off, and no other: taints are one list, which somebody may change at the same moment, so each
// is named and the API server changes nothing where it is another one.
func (r *Remover) remove(ctx context.Context, name string, w *waiting) error {
	type operation struct {
		Do    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value,omitempty"`
	}
	r.mu.Lock()
	taints := w.taints
	r.mu.Unlock()
	patch := []operation{{"test", "/metadata/uid", w.uid}} // of the node that was looked at
	for i, t := range slices.Backward(taints) {            // the last first, since those behind one that goes move up
		if r.is(t) {
			at := fmt.Sprintf("/spec/taints/%d", i)
			patch = append(patch, operation{"test", at + "/key", t.Key}, operation{"test", at + "/effect", t.Effect}, operation{Do: "remove", Path: at})
		}
	}
	return r.api.Do(ctx, kubeapi.Request{Method: http.MethodPatch, Path: "/api/v1/nodes/" + url.PathEscape(name), ContentType: "application/json-patch+json", Body: patch}, nil)
}
