// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

func answerVolume(id volume.ID, r volume.Record) answers.Volume {
	return answers.Volume{
		ID: id.String(), Name: r.Name, Path: r.Path, Capacity: r.Capacity, Enforced: r.Enforced, Owner: answerOwner(r.Owner),
		OnDelete: string(r.OnDelete), Origin: string(r.Origin), Created: r.Created, Kubernetes: r.Kubernetes,
		Attributes: driver.RecordedContext(r), MadeFor: (*answers.MadeFor)(r.MadeFor),
	}
}

func answerEntry(v gluster.Volume, e store.TrashEntry, retention time.Duration) answers.TrashEntry {
	r := e.Record
	return answers.TrashEntry{
		Entry: v.String() + "/" + e.Name, Volume: volume.ID{Volume: v, ID: r.ID}.String(), Name: r.Name,
		Path: r.Path, Capacity: r.Capacity, Owner: answerOwner(r.Owner),
		Deleted: e.Deleted, Due: e.Due(retention), Held: e.Held(), Unrestorable: e.Unrestorable, Kubernetes: e.Kubernetes(),
		Attributes: driver.RecordedContext(r), MadeFor: (*answers.MadeFor)(r.MadeFor),
	}
}

func answerOwner(o volume.Owner) answers.Owner {
	answer := answers.Owner{UID: o.UID, GID: o.GID}
	if o.Mode != nil {
		answer.Mode = o.Mode.String()
	}
	return answer
}

// ownerText is an owner as volume.Owner says it.
func ownerText(o answers.Owner) string {
	owner := volume.Owner{UID: o.UID, GID: o.GID}
	if mode, err := volume.ParseMode(o.Mode); err == nil {
		owner.Mode = &mode
	}
	return owner.String()
}
