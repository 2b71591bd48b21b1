// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// holder is the content of a claim.
type holder struct {
	// stamp is of the volume that has the path, or for which a parent was made.
	stamp string
	// entry is the trash entry that is being, or was, restored there; "" for none.
	entry string
	// parent says that the path is that of a directory which the driver made to hold volumes.
	parent bool
	path   string
}

const (
	volumeWord  = "volume"
	parentWord  = "parent"
	restoreWord = "restore:"
)

// String is what a claim says: the stamp, what the path is to it, and the path, which may have spaces.
func (h holder) String() string {
	what := volumeWord
	switch {
	case h.parent:
		what = parentWord
	case h.entry != "":
		what = restoreWord + h.entry
	}
	return h.stamp + " " + what + " " + h.path
}

func parseHolder(content string) (holder, error) {
	words := strings.SplitN(content, " ", 3)
	if len(words) == 3 {
		h := holder{stamp: words[0], parent: words[1] == parentWord, path: words[2]}
		restored := false
		h.entry, restored = strings.CutPrefix(words[1], restoreWord)
		if !restored {
			h.entry = ""
		}
		_, _, ok := parseStamp(h.stamp)
		known := h.parent || words[1] == volumeWord || restored && validEntry(h.entry)
		if ok && known && CheckPath(h.path) == nil {
			return h, nil
		}
	}
	return holder{}, fmt.Errorf("the claim of a path says %.200q: %w", content, ErrCorrupt)
}

// pathName is the name of a path's claim: short, and of one component.
func pathName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:16])
}

// creation is what a claim says of the volume that was to be made.
func (h holder) creation() Record {
	id, created, _ := parseStamp(h.stamp)
	return Record{Schema: schema, ID: id, Path: h.path, Created: created, GFID: noGFID}
}

// heldBy is a holder of any life of a volume: as it was made, or restored.
func heldBy(stamp string) func(holder) bool {
	return func(h holder) bool { return h.stamp == stamp && !h.parent }
}
