// SPDX-License-Identifier: Apache-2.0

package mounter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
)

// Client calls a mounter. It implements client.Mounter. Calls may come at the same time.
type Client struct {
	path string
	self side
	node string
	http *http.Client

	met atomic.Pointer[side] // the mounter that answered last
}

// NewClient returns a client of the mounter that serves, or will serve, this socket. It does not connect. version is this
// process's, and node its node in Kubernetes, which errors name; "" where there is none.
func NewClient(path, version, node string) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true, // a call is rare, and the mounter may be another one by the next
	}
	return &Client{path: path, self: ourSide(version), node: node, http: &http.Client{Transport: transport}}
}

// Ensure implements client.Mounter. An option that the mounter refuses is ErrUnreachable if it is of another version: this one
// knows it, see Host.Ensure, so the mounter will once it is updated.
func (c *Client) Ensure(ctx context.Context, v gluster.Volume, options []string) (client.Info, error) {
	body, err := json.Marshal(request{Volume: v, Options: options})
	if err != nil {
		return client.Info{}, err
	}
	infos, err := c.call(ctx, http.MethodPost, clientsPath, body)
	if mounter := c.met.Load(); errors.Is(err, gluster.ErrOption) && mounter != nil && mounter.version != c.self.version {
		err = refusal(err, *mounter, c.self, c.node)
	}
	return c.one(infos, err)
}

// one is the client of an answer that has one.
func (c *Client) one(infos []client.Info, err error) (client.Info, error) {
	if err == nil && len(infos) != 1 {
		err = c.absent(fmt.Errorf("it answers with %d clients", len(infos)))
	}
	if err != nil {
		return client.Info{}, err
	}
	return infos[0], nil
}

// Renew is client.Host.Renew in the mounter.
func (c *Client) Renew(ctx context.Context, pid int) (client.Info, error) {
	body, err := json.Marshal(renewal{PID: pid})
	if err != nil {
		return client.Info{}, err
	}
	return c.one(c.call(ctx, http.MethodPost, renewPath, body))
}

// List returns the running clients.
func (c *Client) List(ctx context.Context) ([]client.Info, error) {
	return c.call(ctx, http.MethodGet, clientsPath, nil)
}

func (c *Client) call(ctx context.Context, method, path string, body []byte) ([]client.Info, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://mounter"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.self.tell(r.Header)
	response, err := c.http.Do(r)
	if err != nil {
		return nil, c.absent(errors.Unwrap(err)) // without the URL, which means nothing
	}
	defer func() { _ = response.Body.Close() }()
	if err := c.meet(ctx, sideOf(response.Header)); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode != http.StatusOK {
		var f failure
		if err := decoder.Decode(&f); err != nil || f.Error == "" {
			return nil, c.absent(fmt.Errorf("it answers %s", response.Status))
		}
		return nil, f.err()
	}
	var infos []client.Info
	if err := decoder.Decode(&infos); err != nil {
		return nil, c.absent(fmt.Errorf("it answers what cannot be read: %w", err))
	}
	return infos, nil
}

// meet notes who has answered, says in the log when it is another than this one or the last one, and fails if the two cannot
// work together.
func (c *Client) meet(ctx context.Context, mounter side) error {
	before := c.met.Swap(&mounter)
	if mounter != c.self && (before == nil || *before != mounter) {
		klog.FromContext(ctx).Info("The mounter is of another version", "mounter", mounter.String(), "own", c.self.String())
	}
	return checkLayout(mounter, c.self, c.node)
}

// absent is the error of a mounter that gives no answer, or none that this version understands.
func (c *Client) absent(err error) error {
	return fmt.Errorf("%w: the mounter of this host, which starts its GlusterFS clients, does not answer at %s: %w; "+
		"running clients go on; look at this node's pod of the DaemonSet glusterfs-csi-mounter and its log",
		gluster.ErrUnreachable, c.path, err)
}
