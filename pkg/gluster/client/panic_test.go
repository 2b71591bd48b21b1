// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// lockedLog is a log that is written and read at once.
type lockedLog struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lockedLog) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buffer.String(), text)
}

// brokenSlot has a client without a process, as no code makes one: each look at it panics.
func brokenSlot(t *testing.T, h *Host) *slot {
	t.Helper()
	s := h.slot(gluster.Volume{Cluster: "a-bug", Name: "gv0"}, nil) // the first one in order
	do(t, s.dir.Make())
	s.state.with(func(state *slotState) { state.client.Client = &Client{slot: s} })
	return s
}

func TestARoundThatPanicsIsFollowedByTheNext(t *testing.T) {
	h := sharedHost(t)
	c := ensure(t, h, gv0)
	h.grace, h.look = 0, 10*time.Millisecond
	broken := brokenSlot(t, h)
	log := &lockedLog{}
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(),
		textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(log)))))
	var running sync.WaitGroup
	running.Go(func() { h.Run(ctx) })
	defer func() { stop(); running.Wait() }()
	for _, task := range []string{"look for clients that hang", "look for idle clients"} {
		testcluster.Eventually(t, patience, func() error {
			if n := log.count(`in="` + task + `"`); n < 2 {
				return fmt.Errorf("%q has panicked %d times", task, n)
			}
			return nil
		})
	}
	if log.count("(*slotState).removeIdle") == 0 {
		t.Error("no stack is in the log")
	}
	h.slots.with(func(slots *map[statedir.Slot]*slot) { delete(*slots, broken.dir) })
	testcluster.Eventually(t, patience, func() error {
		if !c.HasEnded() {
			return errors.New("the idle client beside it has not been detached")
		}
		return nil
	})
}

// panicsOnce is a mounter with a bug.
type panicsOnce struct {
	Mounter

	has atomic.Bool
}

func (p *panicsOnce) Ensure(ctx context.Context, v gluster.Volume, options []string) (Info, error) {
	if p.has.CompareAndSwap(false, true) {
		panic("in the first start")
	}
	return p.Mounter.Ensure(ctx, v, options)
}

func TestAStartThatPanicsIsFollowedByOneThatWorks(t *testing.T) {
	m := &besideMe{host: sharedHost(t)}
	h := remoteHost(t, m.host, &panicsOnce{Mounter: m})
	_, err := h.Ensure(t.Context(), gv0, nil)
	checkError(t, err, gluster.ErrUnreachable, "in the first start", "bug")
	checkWorks(t, ensure(t, h, gv0))
}
