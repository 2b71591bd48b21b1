// SPDX-License-Identifier: Apache-2.0

// Package quota is the limit of a directory on a Gluster volume: setting, reading and lifting it, what is used of it,
// and whether the servers hold anybody to it.
//
// GlusterFS keeps a limit in an extended attribute of the directory. It takes that from its own quota command alone, so
// every Directory must have been reached through a client of Host.EnsurePrivileged; through any other one
// ErrUnprivileged comes back, or no limit is seen.
//
// A brick asks the others at times what is used below a limit, and lets everything pass in between. How often is said
// by two options of the Gluster volume, for what is below and above a share of the limit that can be chosen for each
// directory; see Choose. So a limit is exact only with both, which docs/capacity.md shows with figures.
//
// No method of Directory has a deadline: the caller bounds them.
package quota

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// ErrMalformed says that the attribute of a directory is none that GlusterFS writes.
var ErrMalformed = errors.New("malformed attribute of a limit")

// Limit is what may be used below a directory.
type Limit struct {
	Bytes int64 // more than none
	// SoftPercent is the share of Bytes, 0 to 100, from which on bricks ask at each hard-timeout what is used, instead
	// of at each soft-timeout. -1 stands for the Gluster volume's default, 80.
	SoftPercent int64
}

// DefaultSoftPercent is the share where a limit says none.
const DefaultSoftPercent = -1

// DefaultHeadroom is what the fastest writers of a volume together are expected to write within the SoftTimeout
// of the commands that State gives, in bytes: 200 MiB/s.
const DefaultHeadroom = 1 << 30

// Choose returns the limit of this many bytes that ends exactly and costs as little as it may: bricks begin to
// ask about each write one headroom before the end, and with the first byte where the limit is no larger than that.
func Choose(bytes, headroom int64) Limit {
	if bytes <= headroom {
		return Limit{Bytes: bytes}
	}
	// Whole percents, rounded down so that the headroom is not shortened. The product may need more than 64 bits.
	high, low := bits.Mul64(100, uint64(bytes-max(0, headroom)))
	percent, _ := bits.Div64(high, low, uint64(bytes))
	return Limit{Bytes: bytes, SoftPercent: int64(percent)}
}

// encode is the value of the attribute.
func (l Limit) encode() string {
	var value []byte
	value = binary.BigEndian.AppendUint64(value, uint64(l.Bytes))
	return string(binary.BigEndian.AppendUint64(value, uint64(l.SoftPercent)))
}

// decodeLimit is strict in what GlusterFS is: two numbers, the first of which is not negative.
func decodeLimit(value string) (Limit, error) {
	numbers, err := decode(value, 2)
	if err != nil {
		return Limit{}, err
	}
	l := Limit{Bytes: numbers[0], SoftPercent: numbers[1]}
	if l.Bytes <= 0 || l.SoftPercent < DefaultSoftPercent || l.SoftPercent > 100 {
		return Limit{}, fmt.Errorf("%w: %d bytes, %d %%", ErrMalformed, l.Bytes, l.SoftPercent)
	}
	return l, nil
}

// decode returns the big-endian numbers of which an attribute consists.
func decode(value string, count int) ([]int64, error) {
	const size = 8
	if len(value) != count*size {
		return nil, fmt.Errorf("%w: %x", ErrMalformed, value)
	}
	numbers := make([]int64, count)
	for i := range numbers {
		numbers[i] = int64(binary.BigEndian.Uint64([]byte(value[i*size:])))
	}
	return numbers, nil
}
