// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/json"
	"fmt"
	"time"
)

// copySchema is the version of Copy and CopyResult that this driver knows.
const copySchema = 1

// CopyKind is what a copy of a tree is for. It is the name of the driver's own directory that has such copies.
type CopyKind string

// The kinds.
const (
	Snapshots CopyKind = "snapshots" // kept until they are deleted
	Clones    CopyKind = "clones"    // until the copy is complete, and becomes the volume of its ID
)

// Source is where the data of a copy comes from, by the ID that CSI has for it: one of the two.
type Source struct {
	Volume   string `json:"volume,omitempty"`
	Snapshot string `json:"snapshot,omitempty"`
}

// String is for messages.
func (s Source) String() string {
	if s.Snapshot != "" {
		return "snapshot " + s.Snapshot
	}
	return "volume " + s.Volume
}

// Copy is what is written down of a copy before it is begun. It never changes.
type Copy struct {
	MinReader int       `json:"minReader,omitempty"` // as in Record
	Kind      CopyKind  `json:"kind"`
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Created   time.Time `json:"created"`
	Source    Source    `json:"source"`
	// SourceStamp tells the source from an earlier and a later one of its ID.
	SourceStamp string `json:"sourceStamp"`
	// Held is how many bytes the source was held to; 0 for none.
	Held int64 `json:"held,omitempty"`
	// Capacity and Enforced are those of the volume that a clone becomes.
	Capacity int64 `json:"capacity,omitempty"`
	Enforced bool  `json:"enforced,omitempty"`
	// MadeFor is what Kubernetes wanted a snapshot for, kept for whoever makes its objects again; nil where nobody has said it.
	MadeFor *SnapshotMadeFor `json:"madeFor,omitempty"`
}

// Stamp tells the copy from an earlier and a later one of the same ID.
func (c Copy) Stamp() string { return StampOf(c.ID, c.Created) }

// Encode gives a copy the form in which it is kept; ErrInvalid where a symbolic link cannot take it.
func (c Copy) Encode() (string, error) { return encodeLink(c) }

// ParseCopy reads what Encode writes: ErrNewer if it wants a newer driver, ErrCorrupt if no driver can have written it.
func ParseCopy(content string) (Copy, error) {
	var c Copy
	if err := json.Unmarshal([]byte(content), &c); err != nil {
		return Copy{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	_, _, isStamp := ParseStamp(c.SourceStamp)
	from, err := ParseID(c.Source.Volume + c.Source.Snapshot)
	switch {
	case c.MinReader > copySchema:
		return Copy{}, fmt.Errorf("%w: the copy may be read by drivers that know schema %d, and this one knows %d", ErrNewer, c.MinReader, copySchema)
	case c.Kind != Snapshots && c.Kind != Clones:
		return Copy{}, fmt.Errorf("%w: a copy of the kind %q", ErrCorrupt, c.Kind)
	case !IsID(c.ID) || !isStamp || c.Held < 0 || c.Capacity < 0:
		return Copy{}, fmt.Errorf("%w: the copy %q of %q", ErrCorrupt, c.ID, c.SourceStamp)
	case err != nil || c.Source != (Source{Volume: from.String()}) && c.Source != (Source{Snapshot: from.String()}):
		return Copy{}, fmt.Errorf("%w: the source of a copy is %q", ErrCorrupt, c.Source)
	}
	return c, nil
}

// Counted are names of which only the first few are kept.
type Counted struct {
	Count int64    `json:"count,omitempty"`
	First []string `json:"first,omitempty"` // as Go quotes them, since a name may have any byte
}

// CopyResult is what a copy has come to. It is written down when the copy is complete, and never changes.
type CopyResult struct {
	MinReader int       `json:"minReader,omitempty"` // as in Record
	Completed time.Time `json:"completed"`
	Entries   int64     `json:"entries"`
	Bytes     int64     `json:"bytes"`              // of content, without holes
	Size      int64     `json:"size"`               // bytes that a volume needs which is to have all of it
	Linked    int64     `json:"linked,omitempty"`   // entries that are links to the previous snapshot's
	Previous  string    `json:"previous,omitempty"` // the stamp of that
	Changed   Counted   `json:"changed,omitzero"`   // files that went on changing while they were read
	Vanished  Counted   `json:"vanished,omitzero"`  // what went while it was read
	Unkept    Counted   `json:"unkept,omitzero"`    // attributes and links that the Gluster volume did not take
}

// entryBytes is what an entry may take beyond its content: the rest of its last block.
const entryBytes = 4 << 10

// sizeUnit is what sizes are multiples of, as those of claims mostly are.
const sizeUnit = 1 << 20

// SizeOf is how many bytes a volume needs that is to have so many entries with so much content; no more than the source
// was held to, since it had room there.
func SizeOf(entries, bytes, held int64) int64 {
	size := (bytes + entries*entryBytes + sizeUnit - 1) / sizeUnit * sizeUnit
	if held > 0 {
		size = min(size, held)
	}
	return size
}

// Encode gives a result the form in which it is kept. Of names as many are left out as a symbolic link cannot take.
func (r CopyResult) Encode() (string, error) {
	for {
		content, err := encodeLink(r)
		if err == nil {
			return content, nil
		}
		longest := &r.Changed
		for _, other := range []*Counted{&r.Vanished, &r.Unkept} {
			if length(other.First) > length(longest.First) {
				longest = other
			}
		}
		if len(longest.First) == 0 {
			return "", err
		}
		longest.First = longest.First[:len(longest.First)-1]
	}
}

func length(names []string) (bytes int) {
	for _, name := range names {
		bytes += len(name)
	}
	return bytes
}

// ParseCopyResult reads what Encode writes; ErrNewer, ErrCorrupt.
func ParseCopyResult(content string) (CopyResult, error) {
	var r CopyResult
	if err := json.Unmarshal([]byte(content), &r); err != nil {
		return CopyResult{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if r.MinReader > copySchema {
		return CopyResult{}, fmt.Errorf("%w: the result of the copy may be read by drivers that know schema %d, and this one knows %d", ErrNewer, r.MinReader, copySchema)
	}
	if r.Size < 0 || r.Entries < 0 || r.Bytes < 0 {
		return CopyResult{}, fmt.Errorf("%w: a copy of %d entries, %d bytes, size %d", ErrCorrupt, r.Entries, r.Bytes, r.Size)
	}
	return r, nil
}

// encodeLink is ErrInvalid for what a symbolic link cannot take.
func encodeLink(v any) (string, error) {
	data, err := json.Marshal(v)
	if err == nil && len(data) > maxLink {
		err = fmt.Errorf("%d bytes, more than the %d of a symbolic link: %w", len(data), maxLink, ErrInvalid)
	}
	return string(data), err
}
