// SPDX-License-Identifier: Apache-2.0

package check

import (
	"errors"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

func unreadableProblem(subject, at string, err error) Problem {
	cure := "nothing: see what is in it, and take it from a backup"
	if errors.Is(err, volume.ErrNewer) {
		cure = "nothing: update this driver"
	}
	return Problem{Kind: Unreadable, Subject: subject, Path: at, Why: err.Error(), Cure: cure}
}
