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
// come: its place does (see the package comment).
type Record struct {
	Schema   int       `json:"schema"`
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Path     string    `json:"path"`
	Capacity int64     `json:"capacity"` // bytes, as asked for
	Owner    Owner     `json:"owner"`
	OnDelete OnDelete  `json:"onDelete"`
	Origin   Origin    `json:"origin"`
	Created  time.Time `json:"created"`
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
	return Record{
		Schema: schema, ID: IDFor(spec.Name), Name: spec.Name, Path: spec.Path, Capacity: max(spec.Required, 0),
		Owner: spec.Owner, OnDelete: spec.OnDelete, Origin: Created, Created: now(),
	}
}

// mark is what the volume's directory carries. An earlier volume of the same ID has another.
func (r Record) mark() string { return stamped(r.ID, r.Created) }

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
