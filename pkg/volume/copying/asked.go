// SPDX-License-Identifier: Apache-2.0

package copying

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// askedNames are files whose time says when somebody asked for a copy: the first of them, or the next where the bricks of
// a replica 2 disagree on one (EIO), because each has had a time of its own while it was alone.
var askedNames = []string{"asked", "asked.1", "asked.2"}

// Ask notes that somebody asks for a copy.
func (s *Copies) Ask(st Status) error {
	p, err := s.makePlace(st)
	if err != nil {
		return s.Explain(err)
	}
	defer p.close()
	for _, name := range askedNames {
		if err = setTime(p.at, name); !errors.Is(err, unix.EIO) {
			break
		}
	}
	return s.Explain(err)
}

func setTime(at *safepath.Dir, name string) error {
	file, err := at.OpenFile(name, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return errors.Join(safepath.OfFile(file).SetTimes(now, now), file.Close())
}

// IsAskedFor says whether somebody has asked for a copy in the last hour, as far as this process has seen.
func (s *Copies) IsAskedFor(st Status) (bool, error) {
	times := ""
	at, err := s.openPlace(st)
	if err == nil {
		defer at.Close()
		times, err = askedTimes(at)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true, s.Explain(err)
	}
	return s.Memory.Asked.For(st.Stamp(), times) < s.Abandoned, nil
}

// askedTimes is another text each time that somebody asks.
func askedTimes(at *safepath.Dir) (times string, err error) {
	for _, name := range askedNames {
		st, err := at.StatEntry(name)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil && !errors.Is(err, unix.EIO) {
			return "", err
		}
		times += fmt.Sprint(st.Mtim, " ")
	}
	return times, nil
}
