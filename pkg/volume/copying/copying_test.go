// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copying_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/copying"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// Two controllers, each with a client of its own.
func TestOfTwoThatCopyOneDoes(t *testing.T) {
	_, _, mountpoints := volumes.TwoClients(t, testcluster.VolumeOptions{})
	source := makeSource(t, mountpoints[0])
	var all sync.WaitGroup
	errs, stamps := make([]error, 2), make([]string, 2)
	for i, mountpoint := range mountpoints {
		s, from := volumes.Open(t, mountpoint), open(t, filepath.Join(mountpoint, "source"))
		all.Go(func() {
			c := copying.New(s.Store, volume.Snapshots)
			st, err := c.Claim(wanted())
			if err == nil {
				stamps[i] = st.Stamp()
				_, err = c.Run(volumes.Background, st, from, copying.Options{})
			}
			errs[i] = err
		})
	}
	all.Wait()
	if stamps[0] != stamps[1] {
		t.Errorf("they have claimed %q", stamps)
	}
	failed := slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(failed) > 1 || len(failed) == 1 && !errors.Is(failed[0], volume.ErrBusy) {
		t.Errorf("they said %v", errs)
	}
	isCopy(t, copying.New(volumes.Open(t, mountpoints[1]).Store, volume.Snapshots), mountpoints[1], source)
}

// One stands still when it has copied, for so long that another goes on with it.
func TestWhoLosesTheLeaseCompletesNothing(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	source := makeSource(t, mountpoint)
	slow := copying.New(s.Store, volume.Snapshots)
	st := claim(t, slow)
	other := impatient(volumes.Open(t, mountpoint).Store)
	s.Step = func(point string) {
		if point == "copy: tree copied" {
			_, err := other.Run(volumes.Background, st, open(t, source), copying.Options{PreviousStamp: "the other"})
			volumes.Must(t, err)
		}
	}
	_, err := slow.Run(volumes.Background, st, open(t, source), copying.Options{})
	volumes.Wants(t, err, volume.ErrBusy, "another controller")
	if got := find(t, other).Result; got == nil || got.Previous != "the other" {
		t.Errorf("the result is %+v", got)
	}
	isCopy(t, other, mountpoint, source)
}

// While one copies, its lease changes: another who looks for longer than a lease lasts leaves it alone.
func TestALeaseThatIsRenewedHolds(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	source := makeSource(t, mountpoint)
	holder := copying.New(s.Store, volume.Snapshots)
	holder.Renewed = 20 * time.Millisecond
	st := claim(t, holder)
	other := copying.New(volumes.Open(t, mountpoint).Store, volume.Snapshots)
	other.Lasts = 2 * time.Second
	copies, goOn := make(chan struct{}), make(chan struct{})
	begun := sync.OnceFunc(func() { close(copies) })
	var all sync.WaitGroup
	var err error
	all.Go(func() {
		_, err = holder.Run(volumes.Background, st, open(t, source), copying.Options{Own: func(*safepath.Dir, unix.Stat_t) error {
			begun()
			<-goOn
			return nil
		}})
	})
	<-copies
	tried := 0
	for began := time.Now(); time.Since(began) < 2*other.Lasts; tried++ {
		if _, err := other.Run(volumes.Background, st, open(t, source), copying.Options{}); !errors.Is(err, volume.ErrBusy) {
			t.Errorf("after %d tries the other got %v", tried, err)
			break
		}
	}
	close(goOn)
	all.Wait()
	volumes.Must(t, err)
	isCopy(t, other, mountpoint, source)
}

func TestWhatIsGivenUpMeanwhileIsNotCompleted(t *testing.T) {
	for _, point := range []string{"copy: directory made", "copy: lease taken", "copy: tree copied", "copy: complete"} {
		t.Run(point, func(t *testing.T) {
			s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
			source := makeSource(t, mountpoint)
			c := impatient(s.Store)
			st := claim(t, c)
			other := impatient(volumes.Open(t, mountpoint).Store)
			s.Step = func(at string) {
				if at == point {
					volumes.Must(t, other.GiveUp(st))
				}
			}
			_, err := c.Run(volumes.Background, st, open(t, source), copying.Options{})
			if !errors.Is(err, volume.ErrNotFound) {
				t.Errorf("it said %v", err)
			}
			s.Step = func(string) {}
			if _, err := c.Find("snap"); !errors.Is(err, volume.ErrNotFound) {
				t.Errorf("it is there: %v", err)
			}
			volumes.Must(t, c.Settle(volumes.Background))
			if _, err := copying.Reap(volumes.Background, s.Store); err != nil {
				t.Error(err)
			}
			volumes.Must(t, os.RemoveAll(source))
			volumes.Same(t, volumes.Audit(t, mountpoint))
		})
	}
}

// newComplete has a complete copy, of which what belongs to nobody is abandoned after a time, and the file that is its claim.
func newComplete(t *testing.T, abandoned time.Duration) (c *copying.Copies, mountpoint, source, claimFile string) {
	t.Helper()
	s, mountpoint := volumes.OnGV0(t)
	source = makeSource(t, mountpoint)
	c = impatient(s.Store)
	c.Abandoned = abandoned
	_, err := c.Run(volumes.Background, claim(t, c), open(t, source), copying.Options{})
	volumes.Must(t, err)
	claims, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, string(c.Kind), "??", "snap"+store.RecordSuffix))
	volumes.Must(t, err)
	return c, mountpoint, source, claims[0]
}

// A claim on a brick that is away, or in a directory that is just healed, is not to be seen for a moment; days later once more.
func TestACopyThatIsMissedForAMomentTwiceStays(t *testing.T) {
	c, mountpoint, source, claimFile := newComplete(t, time.Nanosecond)
	away := filepath.Join(mountpoint, "away")
	for range 2 {
		volumes.Must(t, os.Rename(claimFile, away), c.Settle(volumes.Background), os.Rename(away, claimFile), c.Settle(volumes.Background))
	}
	isCopy(t, c, mountpoint, source)
	volumes.Must(t, os.Rename(claimFile, away), c.Settle(volumes.Background), c.Settle(volumes.Background))
	if strays, err := c.Strays(volumes.Background); err != nil || len(strays) > 0 {
		t.Errorf("missed for longer, it is there: %v, %v", strays, err)
	}
}

// The reconciler looks once an hour: an outage of a little more, and both looks miss the claim.
func TestACompleteCopyThatTwoLooksMissStays(t *testing.T) {
	c, mountpoint, source, claimFile := newComplete(t, time.Second)
	away := filepath.Join(mountpoint, "away")
	volumes.Must(t, os.Rename(claimFile, away), c.Settle(volumes.Background))
	time.Sleep(c.Abandoned)
	volumes.Must(t, c.Settle(volumes.Background), os.Rename(away, claimFile))
	isCopy(t, c, mountpoint, source)
}

// What was given up is in nobody's way: neither for a copy of its name, nor when that is given up late once more.
func TestGivingUpASecondTimeLeavesTheNextAlone(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	source := makeSource(t, mountpoint)
	c := impatient(s.Store)
	first := claim(t, c)
	volumes.Must(t, c.GiveUp(first))
	second := claim(t, c)
	if first.Stamp() == second.Stamp() {
		t.Fatal("both have one stamp")
	}
	_, err := c.Run(volumes.Background, second, open(t, source), copying.Options{})
	volumes.Must(t, err, c.GiveUp(first))
	if _, err := copying.Reap(volumes.Background, s.Store); err != nil {
		t.Error(err)
	}
	isCopy(t, c, mountpoint, source)
}

// A claim that became another's between the look and the rename goes back.
func TestAClaimThatBecameAnothersIsPutBack(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	c := impatient(s.Store)
	first := claim(t, c)
	other := impatient(volumes.Open(t, mountpoint).Store)
	var second copying.Status
	s.Step = func(point string) {
		if point == "copy: to be given up" {
			volumes.Must(t, other.GiveUp(first))
			second = claim(t, other)
		}
	}
	volumes.Must(t, c.GiveUp(first))
	if got := find(t, c); got.Stamp() != second.Stamp() || second.Stamp() == first.Stamp() {
		t.Errorf("it is %s, want %s", got.Stamp(), second.Stamp())
	}
}

func TestAFileThatGoesOnChangingIsInTheResult(t *testing.T) {
	_, _, mountpoints := volumes.TwoClients(t, testcluster.VolumeOptions{})
	source := makeSource(t, mountpoints[0])
	at := filepath.Join(source, "d0", "0")
	volumes.Must(t, os.WriteFile(at, make([]byte, 4<<20), 0o600))
	file, err := os.OpenFile(at, os.O_WRONLY, 0)
	volumes.Must(t, err)
	defer file.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			if _, err := file.WriteAt([]byte("x"), 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	c := impatient(volumes.Open(t, mountpoints[1]).Store)
	result, err := c.Run(volumes.Background, claim(t, c), open(t, filepath.Join(mountpoints[1], "source")), copying.Options{})
	cancel()
	writing.Wait()
	volumes.Must(t, err)
	if result.Changed.Count != 1 || !slices.Equal(result.Changed.First, []string{`"d0/0"`}) {
		t.Errorf("it counts %+v", result.Changed)
	}
	if kept := find(t, c).Result; kept == nil || kept.Changed.Count != 1 {
		t.Errorf("what is kept says %+v", kept)
	}
}

// A copy of which half was done goes on with it.
func TestACopyGoesOnWhereItWas(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	source := makeSource(t, mountpoint)
	c := impatient(s.Store)
	st := claim(t, c)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	progress := &copies.Progress{}
	go func() {
		for progress.Status().Entries < files/2 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel(stopped)
	}()
	_, err := c.Run(ctx, st, open(t, source), copying.Options{Progress: progress})
	volumes.Wants(t, err, stopped)
	again := &copies.Progress{}
	_, err = c.Run(volumes.Background, st, open(t, source), copying.Options{Progress: again})
	volumes.Must(t, err)
	if whole := int64(files * len("content 10")); again.Status().Written > whole*3/4 {
		t.Errorf("%d bytes were written once more, of some %d", again.Status().Written, whole)
	}
	isCopy(t, c, mountpoint, source)
}

func TestAnUnaskedCloneIsKnown(t *testing.T) {
	s, _ := volumes.OnGV0(t)
	s.Abandoned = 200 * time.Millisecond
	c := copying.New(s.Store, volume.Clones)
	want := wanted()
	want.Kind = volume.Clones
	st, err := c.Claim(want)
	volumes.Must(t, err)
	asked := func() bool {
		is, err := c.IsAskedFor(st)
		volumes.Must(t, err)
		return is
	}
	if !asked() {
		t.Error("it was seen this moment")
	}
	testcluster.Eventually(t, time.Minute, func() error {
		if asked() {
			return errors.New("it counts as asked for")
		}
		return nil
	})
	volumes.Must(t, c.Ask(st))
	if !asked() {
		t.Error("it was asked for this moment")
	}
}
