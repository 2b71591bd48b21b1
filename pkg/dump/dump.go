// SPDX-License-Identifier: Apache-2.0

// Package dump is what a host tells of the driver for a support bundle: the logs of its clients, the mounts of the
// process's own namespace, metrics and goroutines of the process that serves. It is bounded in size and in time,
// whatever is silent: nothing of a Gluster volume is asked, and nothing on one is looked at. Names of files on volumes
// are left out, and so is what clients authenticate with; the environment is not read.
package dump

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Host is what to tell of.
type Host struct {
	StateDir    string
	KubeletDir  string // "": this is not a node
	Process     string // mode of the process of StateDir whose metrics and goroutines are wanted, "" for none
	WithoutLogs bool   // of clients: another process of this host tells them
	Since       time.Time
	MaxSize     int64 // of all text together, in bytes
}

// Collect returns all of it. What cannot be had is named in it.
func (h Host) Collect(ctx context.Context) answers.Dump {
	c := collection{left: h.MaxSize}
	c.share(partOfMounts, "mountinfo", h.mounts)
	if h.Process != "" {
		for _, page := range []string{"metrics", "goroutines"} {
			c.share(partOfPages, page, func() (string, int, error) {
				text, err := h.ask(ctx, page)
				return text, 0, err
			})
		}
	}
	if !h.WithoutLogs {
		h.logs(&c)
	}
	return c.Dump
}

// Parts of the size that is left, of which each file gets one at most.
const (
	partOfMounts = 4
	partOfPages  = 4
)

// collection is a dump in the making.
type collection struct {
	answers.Dump

	left int64 // bytes
}

// share adds a text that may have one of so many parts of what is left.
func (c *collection) share(parts int, path string, read func() (text string, reduced int, err error)) {
	text, reduced, err := read()
	if err != nil {
		c.Missing = append(c.Missing, answers.DumpMissing{What: path, Why: err.Error()})
		if text == "" {
			return
		}
	}
	text, cut := newest(strings.ToValidUTF8(text, "\uFFFD"), c.left/int64(max(parts, 1)))
	c.left -= int64(len(text))
	c.Files = append(c.Files, answers.DumpFile{Path: path, Text: text, Cut: cut, Reduced: reduced})
}

// newest is the end of a text, from the start of a line on, and how many bytes before it are cut.
func newest(text string, size int64) (end string, cut int64) {
	if int64(len(text)) <= size {
		return text, 0
	}
	end = text[int64(len(text))-max(size, 0):]
	if _, after, found := strings.Cut(end, "\n"); found {
		end = after
	} else {
		end = ""
	}
	return end, int64(len(text) - len(end))
}

// readEnd reads a file, of a large one its end, from the start of a line on.
func readEnd(path string, size int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	from := max(info.Size()-size, 0)
	data, err := io.ReadAll(io.NewSectionReader(file, from, size))
	text := string(data)
	if from > 0 {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text, err
}
