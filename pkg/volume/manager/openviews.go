// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// openedView is a view, and how many use it.
type openedView struct {
	*owndir.View

	users int
}

// views are those of all clients that somebody uses. The zero value has none.
type views struct {
	mu sync.Mutex
	of map[*client.Client]*openedView
}

// use returns the view of a client, which stays open until leave is called. It asks GlusterFS nothing.
func (vs *views) use(c *client.Client) (v *openedView, leave func(), err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v = vs.of[c]
	if v == nil {
		opened, err := owndir.OpenView(c.Volume(), c.Mountpoint())
		if err != nil {
			return nil, nil, err
		}
		v = &openedView{View: opened}
		if vs.of == nil {
			vs.of = map[*client.Client]*openedView{}
		}
		vs.of[c] = v
	}
	v.users++
	return v, sync.OnceFunc(func() { vs.leave(c, v) }), nil
}

func (vs *views) leave(c *client.Client, v *openedView) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v.users--; v.users > 0 {
		return
	}
	if vs.of[c] == v {
		delete(vs.of, c)
	}
	v.Close()
}

// forget lets those who use the view go on with it, and opens another for those who come.
func (vs *views) forget(c *client.Client, v *openedView) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.of[c] == v {
		delete(vs.of, c)
	}
}

// renew opens a new view of a client, and keeps it open until leave is called: what somebody has done by hand to the
// driver's directories is seen by those who use it from then on.
func (vs *views) renew(c *client.Client) (leave func(), err error) {
	old, left, err := vs.use(c)
	if err != nil {
		return nil, err
	}
	vs.forget(c, old)
	left()
	_, leave, err = vs.use(c)
	return leave, err
}

// isOutdated says of an operation's error that what was open may be the cause.
func isOutdated(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED)
}
