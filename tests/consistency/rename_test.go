// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package consistency

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Between a name's look-up and the open of what it led to there is a moment: an open may say ESTALE, or ENOENT. One that has succeeded
// reads what it has opened, whole, and never something older than the one before.
func TestAFileThatIsReplacedByRenameIsReadWhole(t *testing.T) {
	two := testcluster.Shared(t, testcluster.Options{})
	one := testcluster.Shared(t, testcluster.Options{Servers: 1, Replica: 1})
	for _, test := range []struct {
		name    string
		cluster *testcluster.Cluster
		bricks  []bool // which of them are up
	}{{"two bricks", two, bothBricks}, {"one brick", one, []bool{true}}, {"one brick of two is down", two, []bool{true, false}}} {
		t.Run(test.name, func(t *testing.T) {
			if slices.Contains(test.bricks, false) {
				if err := two.KillBrick(gv0, 1); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := two.StartBrick(gv0, 1); err != nil {
						t.Error(err)
					}
				})
			}
			a, b := mount(t, test.cluster, test.bricks, gluster.Strict), mount(t, test.cluster, test.bricks, gluster.Strict)
			readWhileReplaced(t, a, b)
		})
	}
}

func readWhileReplaced(t *testing.T, writer, reader node) {
	t.Helper()
	// Where a reader opens as fast as it can while another node renames as fast as it can.
	const opens, fewest, most = 1000, 20, 20
	if err := replace(writer, 0); err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	stop := make(chan struct{})
	renames := 0
	group.Go(func() error {
		for ; ; renames++ {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := replace(writer, renames+1); err != nil {
				return err
			}
		}
	})
	last, missed := 0, 0
	for range opens {
		file, err := os.Open(reader.path("target"))
		if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
			missed++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := read(file)
		number, malformed := strconv.Atoi(text)
		if err := errors.Join(err, malformed, file.Close()); err != nil {
			t.Errorf("after an open that succeeded: %v", err)
		}
		if number < last {
			t.Errorf("read %d after %d", number, last)
		}
		last = number
	}
	close(stop)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d opens beside %d renames: %d said ESTALE or ENOENT", opens, renames, missed)
	if renames < fewest || missed > most {
		t.Errorf("%d opens beside %d renames (want %d): %d said ESTALE or ENOENT (at most %d are a few)", opens, renames, fewest, missed, most)
	}
}

// replace writes a file aside, syncs it, and renames it into place.
func replace(n node, number int) error {
	file, err := os.Create(n.path("new"))
	if err != nil {
		return err
	}
	_, err = file.WriteString(value(number))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(n.path("new"), n.path("target"))
}
