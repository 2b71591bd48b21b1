// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Who asks for the figures of a volume while another does gets them, also when the other has left.
func TestFiguresOutliveWhoAskedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s statter
		answered := make(chan struct{})
		figures := func(ctx context.Context) (st unix.Statfs_t, err error) {
			select {
			case <-answered:
				return unix.Statfs_t{Blocks: 7}, nil
			case <-ctx.Done():
				return st, ctx.Err()
			}
		}
		ask := func(ctx context.Context) (unix.Statfs_t, error) {
			return s.ask(ctx, volume.ID{ID: "vol"}, "/target", figures)
		}
		first, leave := context.WithCancel(t.Context())
		go func() {
			if _, err := ask(first); !errors.Is(err, context.Canceled) {
				t.Errorf("who has left got %v", err)
			}
		}()
		synctest.Wait()
		go func() {
			if st, err := ask(t.Context()); err != nil || st.Blocks != 7 {
				t.Errorf("who has stayed got %d blocks, %v", st.Blocks, err)
			}
		}()
		synctest.Wait()
		leave()
		synctest.Wait()
		close(answered)
		synctest.Wait()
	})
}

func TestAPanicWhileFiguresAreAskedForIsAnError(t *testing.T) {
	var s statter
	_, err := s.ask(t.Context(), volume.ID{ID: "vol"}, "/target", func(context.Context) (unix.Statfs_t, error) { panic("broken") })
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}
