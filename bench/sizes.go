// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
)

const (
	defaultFiles  = 1000
	defaultRounds = 3
	fullFiles     = 10_000
)

// sizes say how much there is of everything.
type sizes struct {
	name        string // for the page
	rounds      int
	files       int   // in a volume
	volumes     []int // numbers of volumes present
	trashed     []int // numbers of deleted volumes in the trash, besides those that are deleted again
	published   []int // numbers of volumes on a node
	pods        []int // numbers of mount namespaces
	roots       int   // directories of a volume that one pod has mounted
	others      int   // mounts of something else beside them
	crowd       int   // dead mounts of one pod that another is not to wait for
	made        int   // volumes that a driver has made when its memory is read
	calls       int   // of one kind in a round, where each takes milliseconds
	slowCalls   int   // … where each takes a second
	metadata    int   // files created, asked for and removed in a round
	fioMiB      int
	fioSeconds  int
	countsCalls int // calls for one count of requests
	entries     int // files of a volume that is copied for the memory that this takes
	idle        time.Duration
	roundTrip   time.Duration // of the wire to the servers; 0: there is none
}

func newSizes(files, rounds int, full bool) sizes {
	s := sizes{
		rounds: rounds, files: files, volumes: []int{10, max(files, 11)}, trashed: []int{0, files}, published: []int{1, 10, 100}, pods: []int{1, 5, 20}, made: files,
		roots: 100, others: 1000, crowd: 10_000,
		calls: 20, slowCalls: 3, metadata: min(files, 150), fioMiB: 64, fioSeconds: 1, countsCalls: 10, entries: 20 * files, idle: 2 * time.Minute,
	}
	s.name = chart.Number(float64(files)) + " files"
	if full {
		s.files, s.volumes, s.made, s.calls = fullFiles, []int{10, 1000, fullFiles}, 1000, 100
		s.trashed, s.entries = []int{0, 1500, fullFiles}, 1_000_000
		s.metadata, s.fioMiB, s.fioSeconds, s.idle = 2000, 256, 10, 10*time.Minute
		s.name = fmt.Sprintf("full: %s files", chart.Number(fullFiles))
	}
	if files < defaultFiles { // a trial of the benchmarks themselves
		s.published, s.calls, s.slowCalls, s.fioMiB, s.fioSeconds = []int{1, 3, 5}, 5, 1, 4, 1
		s.roots, s.others, s.crowd, s.idle = 10, 100, 1000, time.Second
	}
	return s
}
