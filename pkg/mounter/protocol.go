// SPDX-License-Identifier: Apache-2.0

// Package mounter is the socket by which the node plugin of a host has another process, the mounter, start the
// GlusterFS clients. They are the mounter's children, so the node plugin can be killed, upgraded
// and restarted without one of them noticing. Only the start goes over the socket: what runs is found by the state
// directory, and I/O, health and unmounting need no mounter.
//
// It speaks JSON over HTTP/1.1. GET /v1/clients lists the running clients; POST /v1/clients ensures one, with a
// request as its body, and POST /v1/clients/renew has another one started in the place of one, with a renewal as its body. The answer to each is a list of client.Info, or a failure with a status other than 200.
// Unknown members are ignored, as either side may be the newer one; so what an older mounter must not overlook is a client
// option, which it refuses. In their headers both say which version they are, and which layout of the state directory they know.
package mounter

import (
	"context"
	"errors"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

const (
	clientsPath = "/v1/clients"
	renewPath   = "/v1/clients/renew"
	// callTimeout bounds a call on both sides. A start takes 50 s at most.
	callTimeout = 55 * time.Second
	// maxRequest and maxAnswer bound what is read, in bytes. A client is described by less than a kilobyte.
	maxRequest, maxAnswer = 64 << 10, 4 << 20
)

// request asks for a client.
type request struct {
	gluster.Volume

	Options []string `json:"options"`
}

// renewal asks for another client in the place of one.
type renewal struct {
	PID int `json:"pid"`
}

// failure is why there is no client.
type failure struct {
	Error string   `json:"error"`
	Kinds []string `json:"kinds"` // what it is to errors.Is; names of kinds
}

// kinds are the errors of Host.Ensure that callers act on.
var kinds = map[string]error{
	"NotLoaded":        gluster.ErrNotLoaded,
	"UnknownCluster":   gluster.ErrUnknownCluster,
	"UnknownVolume":    gluster.ErrUnknownVolume,
	"Option":           gluster.ErrOption,
	"Unreachable":      gluster.ErrUnreachable,
	"NoSuchVolume":     gluster.ErrNoSuchVolume,
	"NotStarted":       gluster.ErrNotStarted,
	"NotConnected":     gluster.ErrNotConnected,
	"DeadlineExceeded": context.DeadlineExceeded,
	"Canceled":         context.Canceled,
}

func describe(err error) failure {
	f := failure{Error: err.Error()}
	for name, kind := range kinds {
		if errors.Is(err, kind) {
			f.Kinds = append(f.Kinds, name)
		}
	}
	return f
}

// err is the error that was described: the same text, and the same kinds as far as this side knows them.
func (f failure) err() error {
	e := &mounterError{text: f.Error}
	for _, name := range f.Kinds {
		if kind := kinds[name]; kind != nil {
			e.kinds = append(e.kinds, kind)
		}
	}
	return e
}

type mounterError struct {
	text  string
	kinds []error
}

func (e *mounterError) Error() string   { return e.text }
func (e *mounterError) Unwrap() []error { return e.kinds }
