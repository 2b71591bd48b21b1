// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"math"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// freed are the names of claims that were given up, and of which that may not be on disk. A server that loses its power
// would have the claim from before under the name, and the others the next one: a name of two files is a split-brain
// (EIO), which nobody settles. So what was given up is put on disk before the name is claimed again:
// TestTheClaimOfAPathThatWasGivenUpIsNotInSplitBrain.
type freed struct {
	mu     sync.Mutex
	forces int            // begun so far
	names  map[string]int // how many had been begun when the name was free
}

// free calls the rename that frees a name.
func (f *freed) free(name string, rename func() error) error {
	f.set(name, math.MaxInt) // whatever is forced meanwhile
	err := rename()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names[name] = f.forces
	return err
}

func (f *freed) set(name string, forces int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names == nil {
		f.names = map[string]int{}
	}
	f.names[name] = forces
}

func (f *freed) has(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, has := f.names[name]
	return has
}

// force calls what puts on disk all that was done before.
func (f *freed) force(force func() error) error {
	f.mu.Lock()
	f.forces++
	number := f.forces
	f.mu.Unlock()
	err := force()
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, forces := range f.names {
		if forces < number {
			delete(f.names, name)
		}
	}
	return nil
}

// FreeLink calls the rename that frees the name of a claim by a link.
func (o *Directory) FreeLink(dir *safepath.Dir, name string, rename func() error) error {
	return o.memory.freed.free(dir.Name()+"/"+name, rename)
}
