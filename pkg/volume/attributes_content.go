// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// attributesSchema is the version of attributes that this driver knows.
const attributesSchema = 1

// attributes are what counts of a volume instead of what its record says; what is not there is as the record says.
type attributes struct {
	MinReader int      `json:"minReader,omitempty"` // as in Record; for those that change them, too
	Capacity  int64    `json:"capacity,omitempty"`  // bytes
	Owner     *Owner   `json:"owner,omitempty"`
	OnDelete  OnDelete `json:"onDelete,omitempty"`
	Quota     Quota    `json:"quota,omitempty"`
	Enforced  *bool    `json:"enforced,omitempty"` // beside Quota

	unknown map[string]json.RawMessage // of a newer driver
}

// maxAttributes is what a symbolic link takes, in bytes.
const maxAttributes = 4095

func parseAttributes(content string) (attributes, error) {
	var a attributes
	if err := json.Unmarshal([]byte(content), &a); err != nil {
		return attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case a.MinReader > attributesSchema:
		return attributes{}, fmt.Errorf("%w: its attributes may be read by drivers that know their schema %d, and this one knows %d",
			ErrNewer, a.MinReader, attributesSchema)
	case a.Capacity < 0:
		return attributes{}, fmt.Errorf("%w: capacity %d", ErrCorrupt, a.Capacity)
	case (a.Quota == "") != (a.Enforced == nil):
		return attributes{}, fmt.Errorf("%w: quota %q", ErrCorrupt, a.Quota)
	}
	_, err := ParseOnDelete(string(cmp.Or(a.OnDelete, Trash)))
	if err == nil {
		_, err = ParseQuota(string(a.Quota.OrAuto()))
	}
	if err != nil {
		return attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	a.unknown, err = unknownFields[attributes]([]byte(content))
	return a, err
}

func (a attributes) encode() (string, error) {
	all, err := withUnknown(a, a.unknown)
	var data []byte
	if err == nil {
		data, err = json.Marshal(all)
	}
	if err == nil && len(data) > maxAttributes {
		err = fmt.Errorf("attributes of %d bytes, more than %d: %w", len(data), maxAttributes, ErrInvalid)
	}
	return string(data), err
}

// over returns the record as it is with the attributes.
func (a attributes) over(r Record) Record {
	if a.Capacity > 0 {
		r.Capacity = a.Capacity
	}
	if a.Owner != nil {
		r.Owner = *a.Owner
	}
	r.OnDelete = cmp.Or(a.OnDelete, r.OnDelete)
	if a.Quota != "" {
		r.Quota, r.Enforced = a.Quota, *a.Enforced
	}
	return r
}
