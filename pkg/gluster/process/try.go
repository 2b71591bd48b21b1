// SPDX-License-Identifier: Apache-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Try runs the client program at a place, and returns the first line that it says of its version.
func Try(ctx context.Context, at Place) (said string, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = null.Close() }()
	read, written, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer func() { _ = read.Close() }()
	child, err := at.start([]string{"--version"}, null, written, written)
	_ = written.Close()
	if err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = child.Kill() })
	defer stop()
	const enough = 4096
	text, errRead := io.ReadAll(io.LimitReader(read, enough))
	state, err := child.Wait()
	said, _, _ = strings.Cut(string(text), "\n")
	if err = errors.Join(errRead, err, ctx.Err()); err == nil && !state.Success() {
		err = fmt.Errorf("%s: %s", state, said)
	}
	return said, err
}
