// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// The versions of Record. A record says which version has written it, and from which version on a driver may read it
// and may act on it. So a field that is only added is no obstacle to an older driver, which keeps it, and one that an
// older driver must not do without is named as the reason why it refuses.
const (
	// schema is the version that this driver knows, and writes.
	schema = 2
	// minReader and minWriter are what this driver demands of those that meet what it has written. A driver of version
	// 1 does not know volumes without a mark.
	minReader = 2
	minWriter = 2
)

// NoGFID stands for the gfid of a directory that has not been made. It has the length of every other, so a record
// keeps its size when it is replaced by the real one: whoever reads it meanwhile reads one or the other.
const NoGFID = "00000000-0000-0000-0000-000000000000"

// Origin says where the directory came from: only what the driver created may it
// ever delete.
type Origin string

// The origins.
const (
	Created Origin = "created"
	Adopted Origin = "adopted"
	Cloned  Origin = "cloned"
)

// Record is what the driver remembers of a volume. It says nothing of how far the volume has
// come: its place does (see pkg store). What it says is what was asked for and what the volume is;
// neither ever changes. What was changed since is in attributes.go.
type Record struct {
	Schema    int    `json:"schema"`
	MinReader int    `json:"minReader,omitempty"`
	MinWriter int    `json:"minWriter,omitempty"`
	ID        string `json:"id"`
	// GFID is the directory's, by which GlusterFS knows it on every brick: NoGFID before it is made, and "" in
	// records of schema 1, whose directory has a mark instead. It lies in the first 512 bytes: what changes when the
	// record is completed is on disk as a whole or not at all.
	GFID string `json:"gfid,omitempty"`
	// Generation is raised by every new record of the same volume, and says which of two counts; 0 in records that
	// were made before it was.
	Generation int64     `json:"generation,omitempty"`
	Name       string    `json:"name"`
	Path       string    `json:"path"`
	Capacity   int64     `json:"capacity"` // bytes, as asked for
	Owner      Owner     `json:"owner"`
	OnDelete   OnDelete  `json:"onDelete"`
	Quota      Quota     `json:"quota,omitempty"`    // as asked for; "" in records of drivers that had none
	Enforced   bool      `json:"enforced,omitempty"` // the directory is held to the capacity
	Origin     Origin    `json:"origin"`
	Created    time.Time `json:"created"`
	// Kubernetes is the ID of the Kubernetes cluster that it belongs to; "" where nobody has said so.
	Kubernetes string   `json:"kubernetes,omitempty"`
	MadeFor    *MadeFor `json:"madeFor,omitempty"`
	Source     *Source  `json:"source,omitempty"` // what it was made from, where Origin is Cloned

	unknown map[string]json.RawMessage // fields of a newer driver
}

var gfidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// IsGFID says whether a text has the form of a gfid.
func IsGFID(s string) bool { return gfidForm.MatchString(s) }

// Now is the time as records and stamps say it.
func Now() time.Time { return time.Now().UTC() }

// ParseRecord reads a record: ErrNewer if it wants a newer driver, ErrCorrupt if no driver can have written it.
// Fields that this driver does not know are kept.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if r.MinReader > schema {
		return Record{}, fmt.Errorf("%w: it may be read by drivers that know schema %d, and this one knows %d", ErrNewer, r.MinReader, schema)
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	var err error
	r.unknown, err = unknownFields[Record](data)
	return r, err
}

// unknownFields returns those fields of a JSON object that T does not have.
func unknownFields[T any](data []byte) (map[string]json.RawMessage, error) {
	var unknown map[string]json.RawMessage
	if err := json.Unmarshal(data, &unknown); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	for field := range reflect.TypeFor[T]().Fields() {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		delete(unknown, key)
	}
	return unknown, nil
}

// withUnknown returns what encodes as v with the fields that were unknown.
func withUnknown(v any, unknown map[string]json.RawMessage) (any, error) {
	if len(unknown) == 0 {
		return v, nil
	}
	all := maps.Clone(unknown)
	data, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(data, &all)
	}
	return all, err
}

// CheckWritable returns an ErrNewer unless a driver of this version may change what belongs to the record.
func (r Record) CheckWritable() error {
	if r.MinWriter > schema {
		return fmt.Errorf("volume %s: %w: what belongs to it may be changed by drivers that know schema %d, and this one knows %d",
			r.ID, ErrNewer, r.MinWriter, schema)
	}
	return nil
}

func (r Record) check() error {
	if r.Schema < 1 {
		return fmt.Errorf("schema %d", r.Schema)
	}
	if r.Schema > 1 && !IsGFID(r.GFID) {
		return fmt.Errorf("gfid %q", r.GFID)
	}
	if !IsID(r.ID) {
		return fmt.Errorf("id %q", r.ID)
	}
	if err := CheckPath(r.Path); err != nil {
		return err
	}
	if r.Generation < 0 {
		return fmt.Errorf("generation %d", r.Generation)
	}
	if r.Capacity < 0 {
		return fmt.Errorf("capacity %d", r.Capacity)
	}
	if _, err := ParseOnDelete(string(r.OnDelete)); err != nil {
		return err
	}
	if _, err := ParseQuota(string(r.Quota.OrAuto())); err != nil {
		return err
	}
	if r.Enforced && r.Capacity == 0 {
		return errors.New("enforced without a capacity")
	}
	return r.checkFrom()
}

// checkFrom is check of where a volume came from.
func (r Record) checkFrom() error {
	switch r.Origin {
	case Created, Adopted, Cloned:
	default:
		return fmt.Errorf("origin %q", r.Origin)
	}
	if r.Kubernetes == "" {
		return nil
	}
	return CheckKubernetes(r.Kubernetes)
}

// Encode gives a record the form in which it is kept, what this driver does not know included.
func (r Record) Encode() []byte {
	all, err := withUnknown(r, r.unknown)
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(all, "", "  ")
	}
	if err != nil {
		panic(err) // no field of a Record can fail to be encoded
	}
	return append(data, '\n')
}

// NewRecord is the record of a volume that is to be made: without a gfid yet.
func NewRecord(spec Spec) Record {
	origin := Created
	if spec.Source != nil {
		origin = Cloned
	}
	return Record{
		Schema: schema, MinReader: minReader, MinWriter: minWriter,
		ID: IDFor(spec.Name), Name: spec.Name, Path: spec.Path, Capacity: max(spec.Required, 0),
		Owner: spec.Owner, OnDelete: spec.OnDelete, Quota: spec.Quota, Enforced: spec.Enforced, Origin: origin, Created: Now(), GFID: NoGFID, Generation: 1,
		MadeFor: spec.MadeFor, Source: spec.Source,
	}
}

// Stamp tells the volume from an earlier and a later one of the same ID.
func (r Record) Stamp() string { return StampOf(r.ID, r.Created) }

// String is for messages: what was asked for by name.
func (o Owner) String() string {
	text := ""
	if o.UID != nil {
		text += fmt.Sprintf("uid=%d ", *o.UID)
	}
	if o.GID != nil {
		text += fmt.Sprintf("gid=%d ", *o.GID)
	}
	if o.Mode != nil {
		text += fmt.Sprintf("mode=%s ", *o.Mode)
	}
	if text == "" {
		return "default"
	}
	return text[:len(text)-1]
}

// MadeFor is what Kubernetes wanted a volume for, kept for whoever makes its objects again after they were deleted. The
// driver itself goes by nothing of it.
type MadeFor struct {
	Namespace    string            `json:"namespace,omitempty"`
	Claim        string            `json:"claim,omitempty"`
	AccessModes  []string          `json:"accessModes,omitempty"`  // as Kubernetes calls them, in the claim's order
	MountOptions []string          `json:"mountOptions,omitempty"` // the class's
	Parameters   map[string]string `json:"parameters,omitempty"`   // the class's, by which it is known again
	// Class and Labels are the claim's, as it had them when the volume was made, where they could be asked for.
	Class  string            `json:"class,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// SnapshotMadeFor is the VolumeSnapshot that Kubernetes wanted a snapshot for.
type SnapshotMadeFor struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}
