// SPDX-License-Identifier: Apache-2.0

package meta

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxMetaFile, in bytes, is far above what .meta shows: a kilobyte for each brick in a volfile, and 25 bytes for
	// each open file in a client translator's state.
	maxMetaFile = 16 << 20
	maxMetaLine = 64 << 10
)

// Brick is where a protocol/client translator connects to.
type Brick struct {
	Translator string
	Host, Path string // remote-host and remote-subvolume
}

// Set is a cluster/replicate or cluster/disperse translator: bricks that stand in for each other.
type Set struct {
	Translator string
	Children   []string // translators, as child_up[i] counts them
}

// Graph is what of a client's graph of translators matters for its health.
type Graph struct {
	Name   string // of its directory below .meta/graphs; another graph never has the same
	Bricks []Brick
	Sets   []Set
}

// parseVolfile reads a graph as GlusterFS prints it (libglusterfs/src/graph-print.c): "volume NAME", "type TYPE",
// "option KEY VALUE" and "subvolumes NAME…" lines, and "end-volume". It is strict: any other line is an error, and so
// is a brick without address, a name twice, or one that is not a path component.
func parseVolfile(r io.Reader) (*Graph, error) {
	g := &Graph{}
	seen := map[string]bool{}
	var t *translator
	err := eachLine(r, func(line string) error {
		key, value, _ := strings.Cut(line, " ")
		switch {
		case key == "volume" && t == nil:
			if !isComponent(value) || seen[value] {
				return fmt.Errorf("translator name %q is invalid or there twice", value)
			}
			seen[value] = true
			t = &translator{name: value, options: map[string]string{}}
		case t == nil:
			return errors.New("not in a volume")
		case key == "type":
			t.kind = value
		case key == "option":
			name, value, _ := strings.Cut(value, " ")
			t.options[name] = value
		case key == "subvolumes":
			t.children = strings.Fields(value)
		case line == "end-volume":
			ended := t
			t = nil
			return ended.addTo(g)
		default:
			return errors.New("unknown keyword")
		}
		return nil
	})
	switch {
	case err != nil:
	case t != nil:
		err = fmt.Errorf("volume %s has no end", t.name)
	case len(g.Bricks) == 0:
		err = errors.New("it has no bricks")
	}
	if err != nil {
		return nil, fmt.Errorf("volfile: %w", err)
	}
	return g, nil
}

// translator is one volume … end-volume.
type translator struct {
	name, kind string
	options    map[string]string
	children   []string
}

func (t *translator) addTo(g *Graph) error {
	switch t.kind {
	case "":
		return fmt.Errorf("volume %s has no type", t.name)
	case "protocol/client":
		b := Brick{Translator: t.name, Host: t.options["remote-host"], Path: t.options["remote-subvolume"]}
		if b.Host == "" || b.Path == "" {
			return fmt.Errorf("brick %s has no address", t.name)
		}
		g.Bricks = append(g.Bricks, b)
	case "cluster/replicate", "cluster/disperse":
		for _, child := range t.children {
			if !slices.ContainsFunc(g.Bricks, func(b Brick) bool { return b.Translator == child }) {
				return fmt.Errorf("%s has the child %s, which is no brick above it", t.name, child)
			}
		}
		g.Sets = append(g.Sets, Set{Translator: t.name, Children: t.children})
	}
	return nil
}

// isComponent says whether a name can be opened below a directory without leaving it.
func isComponent(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// errBusy: a translator did not print its state, as it does when another thread has its lock.
var errBusy = errors.New("the translator's state is not there at this moment")

// BrickState is the private file of a protocol/client translator.
type BrickState struct {
	Connected bool
	Received  uint64 // bytes since the client began; replies of this brick only
}

func parseBrickState(r io.Reader) (BrickState, error) {
	values, err := parsePrivate(r, func(key string) bool { return key == "connected" || key == "total_bytes_read" })
	if err != nil {
		return BrickState{}, err
	}
	connected, err := values.flag("connected")
	if err != nil {
		return BrickState{}, err
	}
	received, err := strconv.ParseUint(values["total_bytes_read"], 10, 64)
	if err != nil {
		return BrickState{}, fmt.Errorf("private: total_bytes_read: %w", err)
	}
	return BrickState{Connected: connected, Received: received}, nil
}

// SetState is the private file of a cluster/replicate or cluster/disperse translator.
type SetState struct {
	Up     bool         // it has its quorum; with quorum-type none it always says so
	Quorum string       // quorum-type: auto, fixed or none; "" for disperse
	Down   map[int]bool // children that a replicate does not use, connected or not (a brick may report a broken disk)
}

func parseSetState(r io.Reader) (SetState, error) {
	values, err := parsePrivate(r, func(key string) bool {
		return key == "up" || key == "quorum-type" || strings.HasPrefix(key, "child_up[")
	})
	if err != nil {
		return SetState{}, err
	}
	up, err := values.flag("up")
	if err != nil {
		return SetState{}, err
	}
	state := SetState{Up: up, Quorum: values["quorum-type"], Down: map[int]bool{}}
	for key := range values {
		text, isChild := strings.CutPrefix(key, "child_up[")
		if !isChild {
			continue
		}
		child, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 16)
		if err != nil || !strings.HasSuffix(text, "]") {
			return SetState{}, fmt.Errorf("private: malformed key %q", key)
		}
		childUp, err := values.flag(key)
		if err != nil {
			return SetState{}, err
		}
		if !childUp {
			state.Down[int(child)] = true
		}
	}
	return state, nil
}

// private holds "key = value" lines of a private file.
type private map[string]string

// parsePrivate reads the wanted lines of a private file: sections that begin with "[title]" and consist of "key =
// value" lines (libglusterfs/src/statedump.c). Of a key that is there twice, the first counts. ErrBusy if none is
// there.
func parsePrivate(r io.Reader, wanted func(key string) bool) (private, error) {
	values := private{}
	err := eachLine(r, func(line string) error {
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			return nil
		}
		key, value, ok := strings.Cut(line, " = ")
		if !ok {
			return errors.New("neither a title nor a value")
		}
		if _, has := values[key]; !has && wanted(key) {
			values[key] = value
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("private: %w", err)
	}
	if len(values) == 0 {
		return nil, errBusy
	}
	return values, nil
}

func (p private) flag(key string) (bool, error) {
	switch p[key] {
	case "0":
		return false, nil
	case "1":
		return true, nil
	}
	return false, fmt.Errorf("private: %s is %q, neither 0 nor 1", key, p[key])
}

// eachLine calls fn with every line that is not empty, without the blanks around it, and adds to an error where it was.
func eachLine(r io.Reader, fn func(line string) error) error {
	limited := &io.LimitedReader{R: r, N: maxMetaFile}
	scanner := bufio.NewScanner(limited)
	scanner.Buffer(nil, maxMetaLine)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" {
			continue
		}
		if err := fn(line); err != nil {
			// The text itself stays out: a volfile holds the client's password.
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	if limited.N == 0 {
		return fmt.Errorf("more than %d bytes", maxMetaFile)
	}
	return nil
}
