// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Index is what a bundle has, and what it has not. It is a file of the bundle, too.
type Index struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Made       time.Time `json:"made"`
	Since      time.Time `json:"since,omitzero"`
	Limit      int64     `json:"limitBytes"` // of all files together, without this one, before they are compressed
	Bytes      int64     `json:"bytes"`      // of them
	Files      []File    `json:"files"`
	// Missing is what could not be had, LeftOut what no bundle has.
	Missing []answers.DumpMissing `json:"missing,omitempty"`
	LeftOut []string              `json:"leftOut"`
}

// File is one of a bundle.
type File struct {
	Path    string `json:"path"`
	Node    string `json:"node,omitempty"` // whose it is
	Bytes   int64  `json:"bytes"`
	Cut     int64  `json:"cutBytes,omitempty"`     // of its beginning, for want of room
	Reduced int    `json:"reducedLines,omitempty"` // lines of which something is left out for its content
}

// Bundle is a bundle in the making. All may add to it at once.
type Bundle struct {
	Index Index

	mu      sync.Mutex
	content map[string]string
}

// add adds a log, or as much of its end as there is room for.
func (b *Bundle) add(f File, text string) { b.addOr(f, text, newest) }

// addWhole adds a file of which a part is of no use.
func (b *Bundle) addWhole(f File, text string) {
	b.addOr(f, text, func(text string, size int64) (string, int64) {
		if int64(len(text)) > size {
			return "", int64(len(text))
		}
		return text, 0
	})
}

// addOr adds a file, cut to what there is room for. One of which nothing is left then is missing.
func (b *Bundle) addOr(f File, text string, cutTo func(text string, size int64) (left string, cut int64)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, cut := cutTo(text, b.Index.Limit-b.Index.Bytes)
	if text == "" && cut > 0 {
		b.Index.Missing = append(b.Index.Missing, answers.DumpMissing{What: f.Path, Node: f.Node, Why: "the bundle is full: say a larger --max-size, or a shorter --since"})
		return
	}
	if b.content == nil {
		b.content = map[string]string{}
	}
	f.Cut += cut
	f.Bytes = int64(len(text))
	b.content[f.Path] = text
	b.Index.Bytes += f.Bytes
	b.Index.Files = append(b.Index.Files, f)
}

// missing names what could not be had.
func (b *Bundle) missing(what, node string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Index.Missing = append(b.Index.Missing, answers.DumpMissing{What: what, Node: node, Why: err.Error()})
}

// newest is the end of a text, from the start of a line on, and how many bytes before it are cut.
func newest(text string, size int64) (end string, cut int64) {
	if int64(len(text)) <= size {
		return text, 0
	}
	_, end, _ = strings.Cut(text[int64(len(text))-max(size, 0):], "\n")
	return end, int64(len(text) - len(end))
}

// sort gives files and what is missing an order that stays.
func (i *Index) sort() {
	slices.SortFunc(i.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(i.Missing, func(a, b answers.DumpMissing) int { return strings.Compare(a.What+a.Why, b.What+b.Why) })
}

// Write writes the bundle as tar.gz, its index first. All is in a directory of this name.
func (b *Bundle) Write(out io.Writer, dir string) error {
	index, err := json.MarshalIndent(b.Index, "", "  ")
	if err != nil {
		return err
	}
	compressed := gzip.NewWriter(out)
	archive := tar.NewWriter(compressed)
	write := func(name, text string) {
		if err != nil {
			return
		}
		err = archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(dir, name), Mode: 0o600, Size: int64(len(text)), ModTime: b.Index.Made})
		if err == nil {
			_, err = io.Copy(archive, bytes.NewBufferString(text))
		}
	}
	write("index.json", string(index)+"\n")
	for _, f := range b.Index.Files {
		write(f.Path, b.content[f.Path])
	}
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}
