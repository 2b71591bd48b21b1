// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// attributesSchema is the version of attributes that this driver knows.
const attributesSchema = 1

// Attributes are what counts of a volume instead of what its record says; what is not there is as the record says.
type Attributes struct {
	MinReader int      `json:"minReader,omitempty"` // as in Record; for those that change them, too
	Capacity  int64    `json:"capacity,omitempty"`  // bytes
	Owner     *Owner   `json:"owner,omitempty"`
	OnDelete  OnDelete `json:"onDelete,omitempty"`
	Quota     Quota    `json:"quota,omitempty"`
	Enforced  *bool    `json:"enforced,omitempty"` // beside Quota
	// Kubernetes is whose the volume is since it was made.
	Kubernetes string `json:"kubernetes,omitempty"`
	// Deleted is whose the trash entry of the volume is since it was deleted; nil where the entry says that itself.
	Deleted *Deleted `json:"deleted,omitempty"`

	unknown map[string]json.RawMessage // of a newer driver
}

// Deleted is which Kubernetes cluster has taken over one trash entry: that of this name, and no later one of the same volume.
type Deleted struct {
	Entry      string `json:"entry"`
	Kubernetes string `json:"kubernetes"`
}

// maxLink is what a symbolic link takes, in bytes.
const maxLink = 4095

// ParseAttributes reads what Encode writes: ErrNewer if it wants a newer driver, ErrCorrupt if no driver can have
// written it. Fields that this driver does not know are kept.
func ParseAttributes(content string) (Attributes, error) {
	var a Attributes
	if err := json.Unmarshal([]byte(content), &a); err != nil {
		return Attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case a.MinReader > attributesSchema:
		return Attributes{}, fmt.Errorf("%w: its attributes may be read by drivers that know their schema %d, and this one knows %d",
			ErrNewer, a.MinReader, attributesSchema)
	case a.Capacity < 0:
		return Attributes{}, fmt.Errorf("%w: capacity %d", ErrCorrupt, a.Capacity)
	case (a.Quota == "") != (a.Enforced == nil):
		return Attributes{}, fmt.Errorf("%w: quota %q", ErrCorrupt, a.Quota)
	}
	_, err := ParseOnDelete(string(cmp.Or(a.OnDelete, Trash)))
	if err == nil && a.Kubernetes != "" {
		err = CheckKubernetes(a.Kubernetes)
	}
	if err == nil && a.Deleted != nil {
		err = CheckKubernetes(a.Deleted.Kubernetes)
	}
	if err == nil {
		_, err = ParseQuota(string(a.Quota.OrAuto()))
	}
	if err != nil {
		return Attributes{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	a.unknown, err = unknownFields[Attributes]([]byte(content))
	return a, err
}

// Encode gives attributes the form in which they are kept; ErrInvalid where a symbolic link cannot take them.
func (a Attributes) Encode() (string, error) {
	all, err := withUnknown(a, a.unknown)
	var data []byte
	if err == nil {
		data, err = json.Marshal(all)
	}
	if err == nil && len(data) > maxLink {
		err = fmt.Errorf("attributes of %d bytes, more than %d: %w", len(data), maxLink, ErrInvalid)
	}
	return string(data), err
}

// ApplyTo returns the record as it is with the attributes.
func (a Attributes) ApplyTo(r Record) Record {
	if a.Capacity > 0 {
		r.Capacity = a.Capacity
	}
	if a.Owner != nil {
		r.Owner = *a.Owner
	}
	r.OnDelete, r.Kubernetes = cmp.Or(a.OnDelete, r.OnDelete), cmp.Or(a.Kubernetes, r.Kubernetes)
	if a.Quota != "" {
		r.Quota, r.Enforced = a.Quota, *a.Enforced
	}
	return r
}
