// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
)

// ErrSilent says that the API server does not answer, and so it is not known which Kubernetes cluster this is.
var ErrSilent = errors.New("it is not known yet which Kubernetes cluster this is, since its API server does not answer")

// askAgain is for how long an API server that has refused the question is not asked again.
const askAgain = time.Minute

// Identity knows a Kubernetes cluster by the UID of its namespace kube-system, which it has as long as it lives and no
// other has. The only right that it needs is to get that namespace.
type Identity struct {
	api    *Client
	asking singleflight.Group

	mu      sync.Mutex
	uid     string
	refused time.Time // when the API server has refused last
}

// NewIdentity returns that of the client's Kubernetes cluster. It asks nothing yet.
func NewIdentity(api *Client) *Identity { return &Identity{api: api} }

// Get returns the UID, which is asked for once; "" where the API server refuses, which is logged. The error is an
// ErrSilent, or the context's.
func (i *Identity) Get(ctx context.Context) (string, error) {
	if uid, known := i.known(); known {
		return uid, nil
	}
	answer := i.asking.DoChan("", func() (any, error) {
		var uid string
		var err error
		if caught := panics.Catch(ctx, "question for the UID of the cluster", func() { uid, err = i.ask(context.WithoutCancel(ctx)) }); caught != nil {
			err = fmt.Errorf("%w: %w", ErrSilent, caught.Err())
		}
		return uid, err
	})
	select {
	case result := <-answer:
		uid, _ := result.Val.(string)
		return uid, result.Err
	case <-ctx.Done():
		return "", fmt.Errorf("%w: %w", ErrSilent, context.Cause(ctx))
	}
}

func (i *Identity) known() (uid string, known bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.uid, i.uid != "" || !i.refused.IsZero() && time.Since(i.refused) < askAgain
}

func (i *Identity) ask(ctx context.Context) (string, error) {
	var namespace struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	err := i.api.Do(ctx, Request{Method: http.MethodGet, Path: "/api/v1/namespaces/kube-system"}, &namespace)
	var refusal *RefusedError
	isRefused := errors.As(err, &refusal) || errors.Is(err, ErrNone)
	if err != nil && !isRefused {
		return "", fmt.Errorf("%w: %w", ErrSilent, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if isRefused {
		klog.FromContext(ctx).Error(err, "It is not known which Kubernetes cluster this is, so nothing that is made belongs to it; "+
			"let the controller's service account get the namespace kube-system, or set --kubernetes-id")
		i.refused = time.Now()
		return "", nil
	}
	i.uid = namespace.Metadata.UID
	klog.FromContext(ctx).Info("Volumes belong to this Kubernetes cluster", "kubernetes", i.uid)
	return i.uid, nil
}
