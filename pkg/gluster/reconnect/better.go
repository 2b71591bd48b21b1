// SPDX-License-Identifier: Apache-2.0

package reconnect

import (
	"slices"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
)

// isBetter says whether a trial has every brick that a client has, and one more. now is nil of a client that has not told.
func isBetter(now, trial *meta.Reading) bool {
	if len(lacking(now, trial)) > 0 {
		return false
	}
	if now == nil {
		return true
	}
	_, lost := bricks(now)
	usable, _ := bricks(trial)
	return slices.ContainsFunc(lost, func(brick string) bool { return slices.Contains(usable, brick) })
}

// lacking are the bricks that a client has and a trial does not. now is nil of a client that has not told of any.
func lacking(now, trial *meta.Reading) (lacks []string) {
	found, _ := bricks(trial)
	if now == nil {
		if len(found) == 0 {
			lacks = append(lacks, "any brick")
		}
		return lacks
	}
	usable, _ := bricks(now)
	return slices.DeleteFunc(usable, func(brick string) bool { return slices.Contains(found, brick) })
}

// bricks are those that a client can use, and those that it cannot.
func bricks(r *meta.Reading) (usable, lost []string) {
	for i, b := range r.Graph.Bricks {
		name := b.Host + ":" + b.Path
		if r.Bricks[i].Connected && !r.IsDown(i) {
			usable = append(usable, name)
		} else {
			lost = append(lost, name)
		}
	}
	return usable, lost
}
