// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"errors"
)

func unreadable(subject, at string, err error) Problem {
	cure := "nothing: see what is in it, and take it from a backup"
	if errors.Is(err, ErrNewer) {
		cure = "nothing: update this driver"
	}
	return Problem{Kind: Unreadable, Subject: subject, Path: at, Why: err.Error(), Cure: cure}
}
