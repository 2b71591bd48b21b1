// SPDX-License-Identifier: Apache-2.0

package jobs

import (
	"fmt"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
)

// Begin says that the run waits for its turn no more.
func (j *Copy) Begin() { j.waits.Store(false) }

// text says how far a run is.
func (j *Copy) text() string {
	if j.waits.Load() {
		return fmt.Sprintf("waits for its turn since %s, as --max-copies or --max-copies-per-volume others are being copied", time.Since(j.began).Round(time.Second))
	}
	return progressText(j.Progress.Status())
}

// progressText is like "12.3 of 40.0 GiB, 120 of 4000 files, 45 MB/s, about 10 min left".
func progressText(s copies.Status) string {
	parts := []string{Bytes(s.Bytes, s.OfBytes), filesOf(s.Entries, s.OfEntries)}
	if s.Rate > 0 {
		parts = append(parts, fmt.Sprintf("%.0f MB/s", float64(s.Rate)/1e6))
	}
	if left, known := timeLeft(s); known {
		parts = append(parts, "about "+left+" left")
	}
	return strings.Join(parts, ", ")
}

const gib = 1 << 30

// Bytes is like "12.3 of 40.0 GiB", or "12.3 GiB" where all is 0.
func Bytes(done, all int64) string {
	unit, name := float64(gib), "GiB"
	if max(done, all) < gib {
		unit, name = 1<<20, "MiB"
	}
	if all > 0 {
		return fmt.Sprintf("%.1f of %.1f %s", float64(done)/unit, float64(max(done, all))/unit, name)
	}
	return fmt.Sprintf("%.1f %s", float64(done)/unit, name)
}

func filesOf(done, all int64) string {
	if all > 0 {
		return fmt.Sprintf("%d of %d files", done, max(done, all))
	}
	return fmt.Sprintf("%d files", done)
}

// timeLeft is what the rest takes if it goes on as fast as until now: by files or by bytes, whichever takes longer.
func timeLeft(s copies.Status) (text string, known bool) {
	var left time.Duration
	if s.OfBytes > s.Bytes && s.Rate > 0 {
		left, known = time.Duration(float64(s.OfBytes-s.Bytes)/float64(s.Rate)*float64(time.Second)), true
	}
	if s.Rate > 0 && s.OfEntries > s.Entries && s.Entries > 0 {
		took := time.Duration(float64(s.Written) / float64(s.Rate) * float64(time.Second))
		left, known = max(left, time.Duration(float64(took)*float64(s.OfEntries-s.Entries)/float64(s.Entries))), true
	}
	switch {
	case !known:
		return "", false
	case left < time.Minute:
		return "1 min", true
	case left < 2*time.Hour:
		return fmt.Sprintf("%.0f min", left.Minutes()), true
	}
	return fmt.Sprintf("%.0f h", left.Hours()), true
}
