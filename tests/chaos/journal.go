// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// entry is a line of a writer's journal, a file outside the volume.
type entry struct {
	Kind   kindOfEntry `json:"kind"`
	Number int         `json:"number,omitempty"` // of the record
	Began  moment      `json:"began,omitempty"`  // the calls that this is about
	Ended  moment      `json:"ended,omitempty"`

	Call   string `json:"call,omitempty"`  // that failed
	Errno  string `json:"errno,omitempty"` // what it said
	Opened handle `json:"opened,omitzero"` // through which file; where there was none, the last one that could be opened
	Text   string `json:"text,omitempty"`  // of what must never be
	Tries  int    `json:"tries,omitempty"` // how often the call was repeated until it went well again
}

type kindOfEntry string

const (
	opened       kindOfEntry = "opened"       // the file could be opened, first or again
	acknowledged kindOfEntry = "acknowledged" // write and fsync of a record returned without an error
	failed       kindOfEntry = "failed"       // a call returned an error
	wrong        kindOfEntry = "wrong"        // a call returned what cannot be
	ended        kindOfEntry = "ended"        // the writer was told to end
)

// handle is an open file: the device that it is on, which a client keeps for life, and since
// when. The kernel gives the number of a dead client to another later.
type handle struct {
	Device uint64 `json:"device"`
	At     moment `json:"at"`
}

// journal reads what a writer has written so far.
type journal struct {
	file    *os.File
	rest    []byte // the beginning of a line
	entries []entry
}

// refresh adds what has been written since.
func (j *journal) refresh() error {
	data, err := io.ReadAll(j.file)
	if err != nil {
		return err
	}
	j.rest = append(j.rest, data...)
	for {
		line, rest, whole := bytes.Cut(j.rest, []byte("\n"))
		if !whole {
			return nil
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("%s: %w: %q", j.file.Name(), err, line)
		}
		j.entries, j.rest = append(j.entries, e), rest
	}
}

// since returns the entries that ended after a moment.
func (j *journal) since(m moment) []entry {
	i := len(j.entries)
	for i > 0 && j.entries[i-1].Ended > m {
		i--
	}
	return j.entries[i:]
}
