// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// schema is the version of Record that this driver writes. It is raised with every
// change of the fields, so that an older driver refuses what it would lose.
const schema = 1

// State says how far the last operation on a volume came. An operation that was
// interrupted is finished by its repetition or by the reconciler.
type State string

// The states. Only a Ready volume may be published.
const (
	Creating  State = "creating"
	Ready     State = "ready"
	Deleting  State = "deleting"
	Restoring State = "restoring"
)

// Origin says where the directory came from: only what the driver created may it
// ever delete.
type Origin string

// The origins.
const (
	Created Origin = "created"
	Adopted Origin = "adopted"
	Cloned  Origin = "cloned"
)

// Record is what the driver remembers of a volume, in
// .glusterfs-csi/volumes/<id>.json.
type Record struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	Capacity int64     `json:"capacity"` // bytes, as asked for
	Owner    Owner     `json:"owner"`
	OnDelete OnDelete  `json:"onDelete"`
	Origin   Origin    `json:"origin"`
	State    State     `json:"state"`
	Created  time.Time `json:"created"`
	// Since is when State became what it is.
	Since time.Time `json:"since"`
	// NewParents are the ancestors that were missing when the volume was claimed:
	// what an interrupted creation left of them is the driver's own.
	NewParents []string `json:"newParents,omitempty"`
	// Deleted and Entry are set from the moment the volume is deleted: when, and
	// under which name in the trash.
	Deleted time.Time `json:"deleted,omitzero"`
	Entry   string    `json:"entry,omitempty"`
}

func now() time.Time { return time.Now().UTC() }

// ParseRecord reads a record. It refuses, with ErrCorrupt, what a driver of this
// version cannot have written: so a field of a newer driver is never dropped.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return r, nil
}

func (r Record) check() error {
	if r.Schema != schema {
		return fmt.Errorf("schema %d, this driver knows %d", r.Schema, schema)
	}
	if !validID(r.ID) {
		return fmt.Errorf("id %q", r.ID)
	}
	if err := CheckPath(r.Path); err != nil {
		return err
	}
	if r.Capacity < 0 {
		return fmt.Errorf("capacity %d", r.Capacity)
	}
	if _, err := ParseOnDelete(string(r.OnDelete)); err != nil {
		return err
	}
	switch r.Origin {
	case Created, Adopted, Cloned:
	default:
		return fmt.Errorf("origin %q", r.Origin)
	}
	switch r.State {
	case Creating, Ready:
	case Deleting, Restoring:
		if r.Entry == "" {
			return fmt.Errorf("state %s without a trash entry", r.State)
		}
	default:
		return fmt.Errorf("state %q", r.State)
	}
	if r.Entry != "" && !validEntry(r.Entry) {
		return fmt.Errorf("trash entry %q", r.Entry)
	}
	return nil
}

func (r Record) encode() []byte {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // no field of a Record can fail to be encoded
	}
	return append(data, '\n')
}

func newRecord(spec Spec) Record {
	r := Record{
		Schema: schema, ID: IDFor(spec.Name), Name: spec.Name, Path: spec.Path, Capacity: max(spec.Required, 0),
		Owner: spec.Owner, OnDelete: spec.OnDelete, Origin: Created,
	}
	r = r.become(Creating)
	r.Created = r.Since
	return r
}

func (r Record) become(state State) Record {
	r.State, r.Since = state, now()
	return r
}

// satisfies returns an ErrIncompatible naming the first property of the volume that
// is not what spec asks for.
func (r Record) satisfies(spec Spec) error {
	differs := func(what string, have, want any) error {
		return fmt.Errorf("volume %q %w: %s is %v, not %v", spec.Name, ErrIncompatible, what, have, want)
	}
	switch {
	case r.Name != spec.Name:
		return differs("its name", r.Name, spec.Name)
	case r.Path != spec.Path:
		return differs("its path", r.Path, spec.Path)
	case r.Capacity < spec.Required:
		return differs("its capacity in bytes", r.Capacity, fmt.Sprintf("at least %d", spec.Required))
	case spec.Limit > 0 && r.Capacity > spec.Limit:
		return differs("its capacity in bytes", r.Capacity, fmt.Sprintf("at most %d", spec.Limit))
	case r.OnDelete != spec.OnDelete:
		return differs("onDelete", r.OnDelete, spec.OnDelete)
	case !r.Owner.equal(spec.Owner):
		return differs("its owner", r.Owner, spec.Owner)
	}
	return nil
}

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
