// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
)

const (
	// askWithin bounds one question to the process that serves.
	askWithin = 5 * time.Second
	// pageSize bounds an answer, in bytes.
	pageSize = 8 << 20
)

// ask reads a page of the process that serves on this host.
func (h Host) ask(ctx context.Context, page string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	var answer limited
	err := debug.Ask(ctx, debug.Socket(h.StateDir, h.Process), http.MethodGet, "/"+page, &answer)
	if errors.Is(err, errTooLong) {
		err = nil // what it has said until then is told
	}
	return answer.text.String(), err
}

// limited is a buffer of pageSize at most.
type limited struct{ text bytes.Buffer }

var errTooLong = errors.New("the answer is too long")

// Write implements io.Writer.
func (l *limited) Write(p []byte) (int, error) {
	room := min(len(p), pageSize-l.text.Len())
	n, _ := l.text.Write(p[:room])
	if n < len(p) {
		return n, errTooLong
	}
	return n, nil
}
