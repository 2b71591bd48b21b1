// SPDX-License-Identifier: Apache-2.0

package holders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount/holders"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
)

// silentLooker is a looker for which some processes do not answer, and the others hold nothing.
type silentLooker struct {
	silent []int
	asked  int // looks at some processes
	err    error
}

func (l *silentLooker) Look(context.Context, holders.Wanted) (holders.Found, error) {
	return holders.Found{Unknown: l.silent}, l.err
}

func (l *silentLooker) LookAt(_ context.Context, _ holders.Wanted, pids []int) (holders.Found, error) {
	l.asked++
	return holders.Found{Unknown: slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return !slices.Contains(l.silent, pid) })}, l.err
}

// Nobody is said to have closed a file because it could not be seen whether he has it: not in a look at those who are known, nor where a look
// at all of them fails.
func TestWhoDoesNotAnswerIsStillKnown(t *testing.T) {
	// Of another process: qemu makes up what /proc says of a process itself, and says of each of its threads that it started at another time.
	pid := programs.Shell(t, "true")
	_, start, _ := holders.Stat(pid)
	ended := []statedir.Ended{{Device: mount.Device{Minor: 7}, Connection: 7}}
	hold := statedir.Holder{Connection: 7, PID: pid, Start: start, Writable: 1}
	another, gone := hold, hold
	another.Start++
	gone.Connection++
	for name, test := range map[string]struct {
		known  statedir.Holder
		silent []int
		err    error
		stays  bool
	}{
		"it does not answer":                     {hold, []int{pid}, nil, true},
		"there was no time for it":               {hold, []int{pid}, errors.New("no time"), true},
		"it answers, and holds nothing any more": {hold, nil, nil, false},
		"it is another process with its number":  {another, []int{pid}, nil, false},
		"the file system is gone":                {gone, []int{pid}, nil, false},
	} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, in a look at all: %t", name, all), func(t *testing.T) {
				w := New(statedir.Root(t.TempDir()), time.Hour, nil)
				l := &silentLooker{silent: test.silent, err: test.err}
				w.looker, w.known = l, []statedir.Holder{test.known}
				if !all {
					w.looks[7] = &pace{due: time.Now().Add(time.Hour)}
				}
				known, _ := w.look(t.Context(), ended)
				if stays := slices.Equal(known, w.known); stays != test.stays {
					t.Errorf("known are %+v", known)
				}
				if fails := len(test.silent) > 0 || test.err != nil; (l.asked == 1) != (!all || fails) {
					t.Errorf("the known were looked at %d times", l.asked)
				}
			})
		}
	}
}
