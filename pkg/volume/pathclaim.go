// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// PathClaim is the content of a claim.
type PathClaim struct {
	// Stamp is of the volume that has the path, or for which a parent was made.
	Stamp string
	// Entry is what the files of the trash entry are called (EntryBase) that is being, or was, restored there; "" for
	// none.
	Entry string
	// Parent says that the path is that of a directory which the driver made to hold volumes.
	Parent bool
	Path   string
}

const (
	volumeWord  = "volume"
	parentWord  = "parent"
	restoreWord = "restore:"
)

// String is what a claim says: the stamp, what the path is to it, and the path, which may have spaces.
func (h PathClaim) String() string {
	what := volumeWord
	switch {
	case h.Parent:
		what = parentWord
	case h.Entry != "":
		what = restoreWord + h.Entry
	}
	return h.Stamp + " " + what + " " + h.Path
}

// ParsePathClaim reads what String gives, or returns an ErrCorrupt.
func ParsePathClaim(content string) (PathClaim, error) {
	words := strings.SplitN(content, " ", 3)
	if len(words) == 3 {
		h := PathClaim{Stamp: words[0], Parent: words[1] == parentWord, Path: words[2]}
		restored := false
		h.Entry, restored = strings.CutPrefix(words[1], restoreWord)
		if !restored {
			h.Entry = ""
		}
		_, _, ok := ParseStamp(h.Stamp)
		known := h.Parent || words[1] == volumeWord || restored && isEntryBase(h.Entry)
		if ok && known && CheckPath(h.Path) == nil {
			return h, nil
		}
	}
	return PathClaim{}, fmt.Errorf("the claim of a path says %.200q: %w", content, ErrCorrupt)
}

// PathClaimName is the name of a path's claim: short, and of one component.
func PathClaimName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16])
}

// Creation is what a claim says of the volume that was to be made.
func (h PathClaim) Creation() Record {
	id, created, _ := ParseStamp(h.Stamp)
	return Record{Schema: schema, ID: id, Path: h.Path, Created: created, GFID: NoGFID}
}

// IsOfVolume is a holder of any life of a volume: as it was made, or restored.
func IsOfVolume(stamp string) func(PathClaim) bool {
	return func(h PathClaim) bool { return h.Stamp == stamp && !h.Parent }
}
