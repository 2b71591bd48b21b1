// SPDX-License-Identifier: Apache-2.0

package panics

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

func brokenWork() { panic("broken") }

func TestAPanicIsLoggedWithTheStackOfWhereItHappened(t *testing.T) {
	for name, work := range map[string]func(){
		"in the work itself": brokenWork,
		"on a goroutine that the work waits for": func() {
			var group Group
			group.Go(func() {})
			group.Go(brokenWork)
			group.Wait()
		},
		"handed on": func() { Try(brokenWork).Again() },
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log)))
			caught := Catch(klog.NewContext(context.Background(), logger), "a test", work)
			if caught == nil || caught.Value != "broken" || !strings.Contains(caught.Err().Error(), "broken") {
				t.Fatalf("caught %v", caught)
			}
			for _, text := range []string{`in="a test"`, "broken", "panics.brokenWork"} {
				if !strings.Contains(log.String(), text) {
					t.Errorf("the log does not mention %q:\n%s", text, log.String())
				}
			}
		})
	}
}

func TestTheFirstRoundIsAtOnceAndWhenItPanicsAnotherFollows(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	rounds := 0
	EveryFromNow(ctx, time.Millisecond, "a test", func(context.Context) {
		if rounds++; rounds == 1 {
			brokenWork()
		}
		cancel()
	})
	if rounds != 2 {
		t.Errorf("%d rounds", rounds)
	}
	EveryFromNow(ctx, time.Hour, "a test", func(context.Context) { rounds++ })
	if rounds != 3 {
		t.Errorf("%d rounds after an hour's first", rounds)
	}
}

// The next round is due, too, when the last one has ended.
func TestNoRoundBeginsAfterTheEnd(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			rounds := 0
			Every(ctx, time.Second, "a test", func(context.Context) {
				rounds++
				time.Sleep(2 * time.Second)
				cancel()
			})
			if rounds != 1 {
				t.Fatalf("%d rounds", rounds)
			}
		})
	}
}

func TestWorkThatDoesNotPanicIsLeftAlone(t *testing.T) {
	done := 0
	var group Group
	group.Go(func() { done++ })
	group.Wait()
	if caught := Catch(context.Background(), "a test", func() { done++ }); caught != nil || done != 2 {
		t.Errorf("caught %v, %d of 2 are done", caught, done)
	}
}
