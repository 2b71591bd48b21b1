// SPDX-License-Identifier: Apache-2.0

package glusterd

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"syscall"
)

// ErrUnanswered says that no server has answered a question in time, and for each of them why.
var ErrUnanswered = errors.New("no server answers")

// GetVolfile returns the description that GlusterFS has of a process of the cluster, by the name under which that
// process asks for it: a client by its Gluster volume's, a brick by BrickVolfile. Every server has all of them. It asks
// all servers at once, for two seconds at most, and returns what the first one says that has it. Errors: fs.ErrNotExist
// where a server says that there is none, and none has it; else ErrUnanswered.
func (p Pool) GetVolfile(ctx context.Context, name string) (Volfile, error) {
	answers := newAnswers(p)
	var text []byte
	kind := ErrUnanswered
	ask(ctx, p.Servers, func(ctx context.Context, server string) ([]byte, error) {
		return p.askVolfile(ctx, server, name)
	}, func(server string, said []byte, err error) (enough bool) {
		if err == nil {
			text, kind = said, nil
			return true
		}
		if errors.Is(err, fs.ErrNotExist) {
			kind = fs.ErrNotExist
		}
		answers.failed(server, err)
		return false
	})
	if kind != nil {
		return nil, fmt.Errorf("ask for the volfile %s: %w: %s", name, kind, answers)
	}
	return parseVolfile(string(text)), nil
}

// errNoBrick says that what a Gluster volume's clients are told names no brick.
var errNoBrick = errors.New("no brick is named in its volfile")

// GetBrickOptions returns the volfile of one brick of a Gluster volume: all of them have the same options. It asks
// twice, as GetVolfile does. Errors: fs.ErrNotExist where there is no such Gluster volume; else ErrUnanswered, or that
// the answer names no brick.
func (p Pool) GetBrickOptions(ctx context.Context, volumeName string) (Volfile, error) {
	clients, err := p.GetVolfile(ctx, volumeName)
	if err != nil {
		return nil, err
	}
	brick, ok := clients.First("protocol/client")
	if !ok {
		return nil, errNoBrick
	}
	name := BrickVolfile(volumeName, brick.Options["remote-host"], brick.Options["remote-subvolume"])
	volfile, err := p.GetVolfile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) { // the volume may have been given other bricks just now
		err = fmt.Errorf("%w: there is no %s", ErrUnanswered, name)
	}
	return volfile, err
}

// BrickVolfile is the name of the volfile of a brick, which `gluster volume info` calls host:path.
func BrickVolfile(volumeName, host, path string) string {
	return volumeName + "." + host + "." + strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "-")
}

func (p Pool) askVolfile(ctx context.Context, server, name string) (text []byte, err error) {
	const flags = 0
	arguments := binary.BigEndian.AppendUint32(nil, flags)
	arguments = appendOpaque(arguments, []byte(name))
	arguments = appendOpaque(arguments, versions())
	err = p.call(ctx, server, getSpec, arguments, func(r io.Reader) error {
		results, err := readResults(r)
		if err == nil {
			text, err = parseSpec(results)
		}
		return err
	})
	return text, err
}

// versions says which op-versions of GlusterFS whoever asks can work with: all. Without, a server takes it for a client
// of GlusterFS 3.3 and refuses. The form is that of dict_serialize in libglusterfs: a number of pairs, then for each
// the lengths of key and value, the key with a NUL that is not counted, and the value.
func versions() []byte {
	pairs := [][2]string{{"min-op-version", "1\x00"}, {"max-op-version", "100000\x00"}}
	dict := binary.BigEndian.AppendUint32(nil, uint32(len(pairs)))
	for _, pair := range pairs {
		dict = binary.BigEndian.AppendUint32(dict, uint32(len(pair[0])))
		dict = binary.BigEndian.AppendUint32(dict, uint32(len(pair[1])))
		dict = append(append(append(dict, pair[0]...), 0), pair[1]...)
	}
	return dict
}

// parseSpec reads gf_getspec_rsp.
func parseSpec(results []byte) ([]byte, error) {
	x := xdr{rest: results}
	returned, errno, text := int32(x.word()), x.word(), x.opaque()
	switch {
	case x.short:
		return nil, fmt.Errorf("%w (%.40x)", errStrange, results)
	case returned < 0:
		return nil, syscall.Errno(errno)
	}
	return text, nil
}

// Volfile is the translators of which a process of GlusterFS consists, in the order of the file: each stands after
// those that it uses.
type Volfile []Translator

// Translator is one of a Volfile.
type Translator struct {
	Name    string
	Type    string // protocol/client, …
	Options map[string]string
}

// IsOn reads one of its options as GlusterFS does (gf_string2boolean).
func (t Translator) IsOn(option string) bool {
	return slices.Contains([]string{"1", "on", "yes", "true", "enable"}, strings.ToLower(t.Options[option]))
}

// First returns the first translator of a type.
func (v Volfile) First(kind string) (Translator, bool) {
	for _, t := range v {
		if t.Type == kind {
			return t, true
		}
	}
	return Translator{}, false
}

// parseVolfile takes any text: what it does not know it leaves out.
func parseVolfile(text string) Volfile {
	var found Volfile
	var at *Translator
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "volume" && rest != "":
			at = &Translator{Name: rest, Options: map[string]string{}}
		case at == nil:
		case word == "type":
			at.Type = rest
		case word == "option":
			key, value, _ := strings.Cut(rest, " ")
			at.Options[key] = value
		case word == "end-volume":
			found, at = append(found, *at), nil
		}
	}
	return found
}
