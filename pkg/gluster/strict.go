// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"fmt"
	"slices"
	"strings"
)

// Strict is the option of a client whose pods read at once what pods of other nodes have written under a lock; see
// docs/consistency.md. It is for Ensure alone; a class says consistency: strict. Other clients are relaxed: theirs remember for a
// second or two, and a program that relies on a lock then works on old bytes, without an error.
const Strict = "consistency=strict"

// What Strict consists of, by measurements on GlusterFS 10.3; docs/consistency.md says what is seen without each.
var (
	// The kernel asks for attributes and names each time. It does not remember what was read either: it would drop that only where
	// the time of modification has moved, and GlusterFS takes that time from the writer's clock and never turns it back. So behind a
	// node whose clock is ahead, what others write does not move it (TestStrictHoldsWhereClocksDiffer). What is read without being
	// remembered cannot be mapped and shared: a class may give another direct-io-mode.
	strictKernel = []string{"attribute-timeout=0", "entry-timeout=0"}
	strictDirect = "direct-io-mode=on"

	// The client's own translators, each by the name that it has in the graph: <Gluster volume>-<type>.
	strictTranslators = []string{
		"quick-read.max-file-size=0",   // which reads small files along with the lookup, and answers from there
		"md-cache.md-cache-timeout=0",  // which answers with attributes that are up to a second old
		"write-behind.pass-through=on", // which acknowledges a write before the bricks have it, and lets the unlock overtake it
		"open-behind.pass-through=on",  // which opens at the first read: the file may have been replaced by then
		// These are off by default; where an operator turns them on for the Gluster volume, they are passed through all the same
		// (TestStrictHoldsWhateverTheVolumeCaches).
		"io-cache.pass-through=on",
		"nl-cache.pass-through=on",
		"read-ahead.pass-through=on",
		"readdir-ahead.pass-through=on",
	}
	// A replica set keeps its lock on a file for a second after a write, in case the same client goes on. Who writes next on another
	// node waits for it, for a second at each turn; and what a returning brick has missed is not noted before.
	strictReplicas = "xlator-option=*-replicate-*.post-op-delay-secs=0"
)

// notStrict are the options that say otherwise than Strict. They are refused with whatever value, so that volumes of equal
// classes share a client.
var notStrict = []string{
	"attribute-timeout", "auto-invalidation", "entry-timeout", "fopen-keep-cache", "kernel-writeback-cache", "negative-timeout",
}

// CheckStrict returns ErrOption, with the options that cannot be had together with Strict, if there are any.
func CheckStrict(options []string) error {
	var refused []string
	for _, name := range notStrict {
		if gives(options, name) {
			refused = append(refused, name)
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s together with consistency: strict, which says itself what is remembered: leave it out of the mountOptions, or leave consistency out",
		ErrOption, strings.Join(refused, ", "))
}

func strictArguments(volumeName string, options []string) []string {
	own := slices.Clone(strictKernel)
	if name, _, _ := strings.Cut(strictDirect, "="); !gives(options, name) {
		own = append(own, strictDirect)
	}
	for _, translator := range strictTranslators {
		own = append(own, "xlator-option="+volumeName+"-"+translator)
	}
	own = append(own, strictReplicas)
	for i, option := range own {
		own[i] = "--" + option
	}
	return own
}
