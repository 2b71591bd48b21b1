// SPDX-License-Identifier: Apache-2.0

package waiting

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"
)

// buffer is one that two goroutines may use.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

func TestWhatACallWaitsForIsSaidAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		said := func() string {
			synctest.Wait()
			return log.take()
		}
		wants := func(word string, parts ...string) {
			t.Helper()
			got := said()
			for _, part := range append(parts, word) {
				if !strings.Contains(got, part) {
					t.Errorf("said %q, want %q", got, part)
				}
			}
		}
		silent := func() {
			t.Helper()
			if got := said(); got != "" {
				t.Errorf("said %q", got)
			}
		}
		logger := textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))).WithValues("request", "7")
		ctx, stop := Watch(klog.NewContext(t.Context(), logger))
		defer stop()
		For(ctx, "what is soon over")()
		lock := For(ctx, "the lock of %s", "pvc-1")
		time.Sleep(4 * time.Second)
		answer := For(ctx, "an answer")
		time.Sleep(5 * time.Second)
		silent()
		time.Sleep(2 * time.Second)
		wants("Still waiting for an answer", `for="6s"`, `callTook="10s"`, `request="7"`)
		answer()
		time.Sleep(9 * time.Second)
		wants("Still waiting for the lock of pvc-1", `callTook="20s"`)
		lock()
		time.Sleep(19 * time.Second)
		silent() // it is said again after twice the time
		time.Sleep(2 * time.Second)
		wants("nothing that is known", "goroutines", `callTook="40s"`)
		stop()
		time.Sleep(time.Hour)
		silent()
	})
}

func TestWhoIsNotWatchedMayWait(*testing.T) {
	For(context.Background(), "nobody")()
}
