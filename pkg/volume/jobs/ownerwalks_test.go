// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// The end of a walk is told to who asks again soon, and forgotten where nobody does.
func TestTheEndOfAWalkIsRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var walks OwnerWalks
		begun := 0
		ask := func(ctx context.Context) error {
			return walks.Walk(ctx, "vol", 1, 2, func(context.Context, int, int, *atomic.Int64) error {
				begun++
				time.Sleep(time.Minute)
				return nil
			})
		}
		askBriefly := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return ask(ctx)
		}
		if err := askBriefly(); !errors.Is(err, volume.ErrBusy) {
			t.Error(err)
		}
		time.Sleep(walkCounts)
		if err := ask(t.Context()); err != nil || begun != 1 {
			t.Errorf("after %d walks: %v", begun, err)
		}
		if err := askBriefly(); !errors.Is(err, volume.ErrBusy) {
			t.Error(err)
		}
		time.Sleep(walkCounts + 2*time.Minute)
		synctest.Wait()
		if begun != 2 || len(walks.of) > 0 {
			t.Errorf("%d walks, of which %d are remembered", begun, len(walks.of))
		}
	})
}

func TestAWalkThatPanicsIsAnError(t *testing.T) {
	var walks OwnerWalks
	err := walks.Walk(t.Context(), "vol", 1, 2, func(context.Context, int, int, *atomic.Int64) error { panic("broken") })
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}

// Nor after what is done when a walk was stopped, as a change of the volume's own owner alone does.
func TestAWalkBeginsWhenTheOneThatWasStoppedHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var walks OwnerWalks
		under := 0
		ask := func(ctx context.Context) error {
			return walks.Walk(ctx, "vol", 1, -1, func(context.Context, int, int, *atomic.Int64) error {
				if under++; under > 1 {
					t.Error("two are under way")
				}
				time.Sleep(time.Minute)
				under--
				return nil
			})
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := ask(brief); !errors.Is(err, volume.ErrBusy) {
			t.Error(err)
		}
		walks.Stop("vol")
		if err := ask(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * walkCounts)
		synctest.Wait()
		if len(walks.of) > 0 {
			t.Error("a walk is remembered")
		}
	})
}

// A request of the walk that is replaced may be at a slow brick: it must not come after those of the next one.
func TestAWalkToAnotherOwnerBeginsWhenTheOneBeforeHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var walks OwnerWalks
		owner := 0
		ask := func(ctx context.Context, uid int) error {
			return walks.Walk(ctx, "vol", uid, -1, func(ctx context.Context, uid, _ int, _ *atomic.Int64) error {
				if uid == 1 {
					time.Sleep(time.Minute) // the brick
				}
				owner = uid
				return ctx.Err()
			})
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := ask(brief, 1); !errors.Is(err, volume.ErrBusy) {
			t.Error(err)
		}
		err := ask(t.Context(), 2)
		time.Sleep(2 * time.Minute)
		if err != nil || owner != 2 {
			t.Errorf("the owner is %d, and the change to 2 said %v", owner, err)
		}
	})
}
