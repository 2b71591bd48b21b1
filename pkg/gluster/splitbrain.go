// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"slices"
	"strings"
)

// What both sides of a cut cable have changed GlusterFS's clients refuse. To show what each side has, and to settle
// which one counts, takes clients of two kinds of their own. No check of options lets these options through, so they
// are given by the functions here alone, and by client.Host's of the same names.

const (
	// without is the option of a client that does without some bricks, by the names of their translators.
	without = "without="
	// settles is the option of a client that GlusterFS lets settle which copy of a file counts.
	settles = "settles="
)

// OneSideOptions are those of a client that never has the bricks of these translators (gv0-client-1), all but one of
// each replica set, so that it shows what that one has. It is read-only: what was written through it the other bricks
// would lack.
func OneSideOptions(others []string) []string {
	return []string{without + strings.Join(others, ","), ReadOnly, FreshNames, ACL}
}

// Choice is how a client settles which copy counts.
type Choice string

// The choices.
const (
	// ByNobody settles nothing: the client is asked what is in split-brain.
	ByNobody Choice = "none"
	// ByData is told which copy counts, of files whose data is in split-brain, and ByMetadata of those whose metadata is,
	// or both.
	ByData     Choice = "data"
	ByMetadata Choice = "metadata"
	// The others are cluster.favorite-child-policy: GlusterFS chooses by itself.
	ByMtime Choice = "mtime"
	ByCtime Choice = "ctime"
	BySize  Choice = "size"
)

// SettlingOptions are those of a client that may settle which copy of a file counts. With ByMtime, ByCtime and BySize
// it does so by itself, for whatever in split-brain it looks up: so nothing but that is looked up through it, and no
// directory is listed.
func SettlingOptions(by Choice) []string { return []string{settles + string(by)} }

// BindsNothing says whether a client with these options is one of those from which nothing is ever bound: that sets
// limits, or shows or settles a split-brain.
func BindsNothing(options []string) bool {
	return IsPrivileged(options) || slices.ContainsFunc(options, func(option string) bool {
		return strings.HasPrefix(option, settles) || strings.HasPrefix(option, without)
	})
}

// splitBrainArguments are those of one option, of the clients above or of any other.
func splitBrainArguments(option string) []string {
	if others, ok := strings.CutPrefix(option, without); ok {
		// A replica set with a quorum would refuse to show what one brick alone has.
		all := []string{"--xlator-option=*-replicate-*.quorum-type=none"}
		for translator := range strings.SplitSeq(others, ",") {
			// Nobody listens at port 1. Where a port is named, the client does not ask glusterd for another one: on a
			// server that would answer for its own brick.
			all = append(all, "--xlator-option="+translator+".remote-host=127.0.0.1", "--xlator-option="+translator+".remote-port=1")
		}
		return all
	}
	if by, ok := strings.CutPrefix(option, settles); ok {
		// The kernel asks for the attributes of what it has just looked up, unless it may believe for a while what it was
		// told; and of what is in split-brain GlusterFS tells none.
		all := []string{"--attribute-timeout=10", "--entry-timeout=0", "--xlator-option=*md-cache.md-cache-timeout=0"}
		// Without these GlusterFS does not do what it is told. With the second it also makes the times of all copies
		// those of one, of whatever is looked up: so it is only for files whose metadata is to be settled.
		if Choice(by) != ByNobody {
			all = append(all, "--xlator-option=*-replicate-*.data-self-heal=on")
		}
		switch Choice(by) {
		case ByNobody, ByData:
		case ByMetadata:
			all = append(all, "--xlator-option=*-replicate-*.metadata-self-heal=on")
		default:
			all = append(all, "--xlator-option=*-replicate-*.favorite-child-policy="+by)
		}
		return all
	}
	return []string{"--" + option}
}
