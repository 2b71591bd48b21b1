// SPDX-License-Identifier: Apache-2.0

package ask

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// Who has many containers has no more of this process's threads for it.
func TestAllContainersTogetherHaveABoundOfThreads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []*question
		for i := range maxUnansweredInAll {
			q := &question{ended + i, fmt.Sprintf("0::/container-%d\n", i)}
			all = append(all, q)
			unanswered.questions[q] = true
		}
		f := func(pid int) (int, error) { return pid - ended, nil }
		if found, err := Processes([]int{ended - 1}, f); len(found) > 0 || !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("one of another container: %v, %v", found, err)
		}
		forget(all[0])
		if found, err := Processes([]int{ended, ended + 1}, f); !slices.Equal(found, []int{0}) || !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("after one answer: %v, %v", found, err)
		}
		for _, q := range all {
			forget(q)
		}
	})
}

// The time that one does not take is not another's.
func TestEachOfManyHasASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, began := make(chan struct{}), time.Now()
		f := func(pid int) (int, error) {
			if pid > ended {
				<-release
			} else {
				time.Sleep(limit / 4)
			}
			return 0, nil
		}
		if found, err := Processes([]int{ended, ended + 1, ended + 2, ended + 3}, f); len(found) != 1 || !errors.Is(err, unix.ETIMEDOUT) {
			t.Errorf("%v, %v", found, err)
		}
		if took := time.Since(began); took != limit/4+3*limit {
			t.Errorf("three that give no answer took %v", took)
		}
		close(release)
		synctest.Wait()
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
