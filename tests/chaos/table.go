// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table shows what happened and what it cost.
func (w *world) table() string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "event\ttimes\terrors\tlongest stall\tmin\tmedian\tmax\ttime to repair is")
	for i := range kinds {
		k := &kinds[i]
		times, failures, stall, repairs := 0, 0, time.Duration(0), []time.Duration(nil)
		for _, e := range w.events {
			if e.kind == k {
				times++
				failures += w.errors(e)
				stall = max(stall, w.stall(e))
				repairs = append(repairs, e.repairs...)
			}
		}
		shortest, median, longest := "–", "–", "–"
		if slices.Sort(repairs); len(repairs) > 0 {
			shortest, median, longest = milliseconds(repairs[0]), milliseconds(repairs[len(repairs)/2]), milliseconds(repairs[len(repairs)-1])
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", k.name, times, failures, milliseconds(stall), shortest, median, longest, k.repair)
	}
	_ = t.Flush() // to memory
	return b.String()
}

func milliseconds(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// acknowledged is how many records all writers were told are written.
func (w *world) acknowledged() int {
	count := 0
	for _, c := range w.writers {
		count += len(c.numbers())
	}
	return count
}
