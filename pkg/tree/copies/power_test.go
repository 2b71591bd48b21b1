// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Both servers lose their power in the middle of a copy. Whatever has the size and the time of its source then has its
// content on each brick, so the next attempt may pass over it.
func TestWhatLooksDoneAfterALossOfPowerIsDone(t *testing.T) {
	c := testcluster.New(t, testcluster.Options{FileSystem: testcluster.XFS})
	b := newBench(t, t.TempDir())
	for i := range 40 {
		b.write(fmt.Sprintf("src/f%02d", i), strings.Repeat(fmt.Sprintf("content %02d ", i), 3000))
		b.sparse(fmt.Sprintf("src/s%02d", i), 1<<20, []int64{64 << 10, 128 << 10})
		setTime(t, b.at(fmt.Sprintf("src/s%02d", i)), int64(1e9+i), 5)
	}
	mount := mountOf(t, c)
	must(t, os.Mkdir(filepath.Join(mount, "copy"), 0o700), os.Mkdir(filepath.Join(mount, "work"), 0o700))
	to := func(ctx context.Context) (Result, error) {
		return Copy(ctx, b.dir("src"), hold(t, filepath.Join(mount, "copy")), Options{Work: hold(t, filepath.Join(mount, "work"))})
	}
	ctx, cancel := context.WithCancelCause(background)
	var cut sync.Mutex
	files := 0
	atStep(t, func(name string) {
		cut.Lock()
		defer cut.Unlock()
		if name != "after the time of a file" {
			return
		}
		if files++; files == 50 {
			must(t, c.PowerCut(0, 1))
			cancel(errors.New("no power"))
		}
	})
	if _, err := to(ctx); err == nil {
		t.Error("the copy says that it is complete")
	}
	step = func(string) {}
	looksDone := 0
	for i := range c.Bricks("gv0") {
		for _, path := range allBelow(t, filepath.Join(c.BrickPath("gv0", i), "copy")) {
			var is, was unix.Stat_t
			source := b.at("src", filepath.Base(path))
			must(t, unix.Stat(path, &is))
			if unix.Stat(source, &was) != nil || is.Size != was.Size || is.Mtim != was.Mtim {
				continue
			}
			looksDone++
			have, err := contentHash(path)
			must(t, err)
			want, err := contentHash(source)
			must(t, err)
			if have != want {
				t.Errorf("brick %d: %s looks done and is not", i, filepath.Base(path))
			}
		}
	}
	t.Logf("%d files look done", looksDone)
	if looksDone < 40 {
		t.Errorf("only %d files look done: this shows nothing", looksDone)
	}
	testcluster.Eventually(t, time.Minute, func() error {
		return errors.Join(testcluster.Connected(mount, "gv0", 0), testcluster.Connected(mount, "gv0", 1))
	})
	_, err := to(background)
	must(t, err)
	compare(t, describe(t, b.at("src")), describe(t, filepath.Join(mount, "copy")))
}
