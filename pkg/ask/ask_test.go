// SPDX-License-Identifier: Apache-2.0

package ask

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"
)

// ended are numbers that no process has: they are above the kernel's limit. All are of one container, which has no name.
const ended = 1 << 23

func TestAProcessThatGivesNoAnswerIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, dropped := make(chan struct{}), make(chan int, 1)
		_, err := Process(ended, func() (int, error) { <-release; return 7, nil }, func(n int) { dropped <- n })
		if !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("it says %v", err)
		}
		_, err = Process(ended, func() (int, error) { t.Error("it was asked again"); return 0, nil }, nil)
		if !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("a second question: %v", err)
		}
		if n, err := Process(ended+1, func() (int, error) { return 8, nil }, nil); n != 8 || err != nil {
			t.Errorf("another process: %d, %v", n, err)
		}
		close(release)
		if n := <-dropped; n != 7 {
			t.Errorf("dropped: %d", n)
		}
		if n, err := Process(ended, func() (int, error) { return 9, nil }, nil); n != 9 || err != nil {
			t.Errorf("after its answer: %d, %v", n, err)
		}
	})
}

func TestOneContainerHasFewThreadsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int32
		for pid := range 10 * maxUnanswered {
			_, err := Process(ended+pid, func() (int, error) { asked.Add(1); <-release; return 0, nil }, nil)
			if !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("question %d: %v", pid, err)
			}
		}
		if n := asked.Load(); n != maxUnanswered {
			t.Errorf("%d were asked, want %d", n, maxUnanswered)
		}
		if n, err := Process(unix.Getpid(), func() (int, error) { return 8, nil }, nil); n != 8 || err != nil {
			t.Errorf("a process of another container: %d, %v", n, err)
		}
		close(release)
		synctest.Wait()
		if n, err := Process(ended, func() (int, error) { return 9, nil }, nil); n != 9 || err != nil {
			t.Errorf("after all answers: %d, %v", n, err)
		}
	})
}

func TestOfManyThatAreAskedEachThatAnswersIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		wrong := errors.New("wrong")
		pids := []int{ended, ended + 1, ended + 2, ended + 3, ended + 4}
		f := func(pid int) (int, error) {
			switch pid {
			case ended + 1, ended + 4:
				<-release
			case ended + 2:
				return 0, wrong
			}
			return pid - ended, nil
		}
		for range 2 {
			found, err := Processes(pids, f)
			if !slices.Equal(found, []int{0, 3}) || !errors.Is(err, wrong) || !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("%v, %v", found, err)
			}
		}
		close(release)
		synctest.Wait()
		if found, err := Processes(pids, f); !slices.Equal(found, []int{0, 1, 3, 4}) || !errors.Is(err, wrong) || errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("after all answers: %v, %v", found, err)
		}
	})
}

func TestAPanicIsTheAnswersError(t *testing.T) {
	if _, err := Process(ended, func() (int, error) { panic("why") }, nil); err == nil {
		t.Error("no error")
	}
}
