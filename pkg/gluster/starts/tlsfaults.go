// SPDX-License-Identifier: Apache-2.0

package starts

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// credentials returns the directory of certificates that the client's process is to have as credentials.Descriptor: it is
// what the process sees in place of GlusterFS's fixed paths. It is nil where the clusters file names none.
func (a *Attempt) credentials() (*os.File, error) {
	t := a.pool.TLS
	if t == nil {
		return nil, nil
	}
	if err := credentials.CheckLinks(); err != nil {
		return nil, err
	}
	set, err := credentials.Read(t.Directory(), t.SecretName)
	if err != nil {
		return nil, err
	}
	return set.Directory()
}

// brickFault is what keeps this host and a brick from each other over TLS.
type brickFault struct {
	brick glusterd.Brick
	fault credentials.Fault
}

// faultLimit is how long it may take to find it.
const faultLimit = 6 * time.Second

// findBrickFault asks the bricks, since a client's log does not say what is wrong with a certificate.
func (a *Attempt) findBrickFault(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), faultLimit)
	defer cancel()
	brick, fault := a.pool.BrickFault(ctx, a.volume.Name)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begun.brick = brickFault{brick, fault}
}

// tlsFault says what is wrong with TLS, and the cure: "" where nothing is known to be.
func (a *Attempt) tlsFault() (what, cure string) {
	secret := ""
	if a.pool.TLS != nil {
		secret = a.pool.TLS.SecretName
	}
	b := a.hasBegun()
	if at := b.brick; at.fault != "" {
		return fmt.Sprintf("its brick %s and this node do not agree on TLS: %s", at.brick, at.fault),
			at.fault.Cure(credentials.IO, secret, a.volume.Name)
	}
	if b.answers == nil || b.answers.Fault() == "" {
		return "", ""
	}
	fault := b.answers.Fault()
	return fmt.Sprintf("its server and this node do not agree on TLS: %s", fault),
		fault.Cure(credentials.Management, secret, a.volume.Name)
}
