// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"sync"
	"sync/atomic"
	"time"
)

// Progress says from any goroutine how far a copy is. Its zero value is ready. Make another for each attempt.
type Progress struct {
	entries, bytes, written atomic.Int64

	mu            sync.Mutex
	begun         time.Time
	ofEntries, of int64
}

// Status is how far a copy is.
type Status struct {
	Entries, Bytes     int64 // done, by whichever attempt; bytes of content without holes
	OfEntries, OfBytes int64 // 0 where it is not known
	Written            int64 // bytes, by this attempt
	Rate               int64 // bytes written in a second, from the attempt's beginning until now
}

// Expect says how much there is to be done, as a measurement or the previous copy's Result has it.
func (p *Progress) Expect(entries, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ofEntries, p.of = entries, bytes
}

// Status is what has been done until now.
func (p *Progress) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{Entries: p.entries.Load(), Bytes: p.bytes.Load(), Written: p.written.Load(), OfEntries: p.ofEntries, OfBytes: p.of}
	if took := time.Since(p.begun).Seconds(); !p.begun.IsZero() && took > 0 {
		s.Rate = int64(float64(s.Written) / took)
	}
	return s
}

func (p *Progress) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
}
