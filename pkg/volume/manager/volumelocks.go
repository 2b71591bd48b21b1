// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// keyedLocks are mutexes by name, held as long as they are used. Waiting ends with the
// context.
type keyedLocks struct {
	mu   sync.Mutex
	held map[string]*keyedLock
}

type keyedLock struct {
	free  chan struct{} // holds one token while nobody has the lock
	users int
}

func (l *keyedLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyedLock{}
	}
	k := l.held[key]
	if k == nil {
		k = &keyedLock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.held[key] = k
	}
	k.users++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(l.held, key)
		}
	}
	release := func() { k.free <- struct{}{}; leave() }
	select {
	case <-k.free:
		return release, nil
	default: // a free lock is had even if ctx is done
	}
	select {
	case <-k.free:
		return release, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("volume %s: %w", key, errors.Join(volume.ErrBusy, context.Cause(ctx)))
	}
}

// try takes the lock if nobody has it.
func (l *keyedLocks) try(key string) (unlock func(), free bool) {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	unlock, err := l.lock(now, key)
	return unlock, err == nil
}
