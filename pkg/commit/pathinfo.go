// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// pathinfoXattr is GlusterFS's answer to where something lies. With the name "glusterfs.pathinfo" the answer is the
// same, but the kernel asks for the attributes first, to see whether the caller may know.
const pathinfoXattr = "trusted.glusterfs.pathinfo"

// place is where a file or directory lies.
type place struct {
	sets   []set
	ranges int // of a directory: how many sets GlusterFS puts new files of it on
}

// set is a subvolume of distribute: a replica set, or a brick where there are no replicas.
type set struct {
	name   string
	bricks int // those that have said that it lies on them
}

// pathinfo asks where an open file or directory lies.
func pathinfo(fd int) (place, error) {
	const most = 64 << 10 // the kernel's own limit: 150 sets and more, in a directory
	value := make([]byte, most)
	n, err := unix.Fgetxattr(fd, pathinfoXattr, value)
	if err != nil {
		return place{}, fmt.Errorf("ask where it lies (%s): %w", pathinfoXattr, err)
	}
	p, err := parsePathinfo(strings.TrimRight(string(value[:n]), "\x00"))
	if err != nil {
		return place{}, fmt.Errorf("%s: %w", pathinfoXattr, err)
	}
	return p, nil
}

// node is a part of pathinfo: (…), <…>, or a word.
type node struct {
	text  string // "" for a list
	isTag bool
	list  []node
}

// parsePathinfo reads what GlusterFS 10 says, of a file and of a directory:
//
//	(<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> <POSIX(/brick):host:/brick/file> <POSIX…>))
//	((<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> <POSIX…>) (<REPLICATE:gv0-replicate-1> …)) (gv0-dht-layout (gv0-replicate-0 0 4294967295) …))
func parsePathinfo(text string) (place, error) {
	rest, top, err := parseList(text, 0)
	if err != nil || strings.TrimSpace(rest) != "" {
		return place{}, errors.Join(fmt.Errorf("cannot be read: %.200q", text), err)
	}
	var p place
	if distribute := top.find(func(n node) bool { return n.isTag && strings.HasPrefix(n.text, "DISTRIBUTE:") }); distribute != nil {
		for _, n := range distribute.list[1:] {
			p.sets = append(p.sets, n.set())
		}
	} else {
		p.sets = []set{top.set()}
	}
	if layout := top.find(func(n node) bool { return !n.isTag && strings.HasSuffix(n.text, "-layout") }); layout != nil {
		for _, n := range layout.list[1:] {
			if len(n.list) == 3 && n.list[2].text != "0" {
				p.ranges++
			}
		}
	}
	for _, s := range p.sets {
		if s.name == "" || s.bricks == 0 {
			return place{}, fmt.Errorf("names no brick: %.200q", text)
		}
	}
	if len(p.sets) == 0 {
		return place{}, fmt.Errorf("names no brick: %.200q", text)
	}
	return p, nil
}

// parseList reads "(…)" at the beginning of text.
func parseList(text string, depth int) (rest string, list node, err error) {
	const deepest = 16
	rest, isList := strings.CutPrefix(text, "(")
	if !isList || depth > deepest {
		return "", node{}, errors.New("no list")
	}
	for {
		rest = strings.TrimLeft(rest, " ")
		var item node
		switch {
		case rest == "":
			return "", node{}, errors.New("a list has no end")
		case rest[0] == ')':
			return rest[1:], list, nil
		case rest[0] == '(':
			rest, item, err = parseList(rest, depth+1)
		case rest[0] == '<':
			var found bool
			item.isTag = true
			item.text, rest, found = strings.Cut(rest[1:], ">")
			if !found {
				err = errors.New("a tag has no end")
			}
		default:
			end := strings.IndexAny(rest, " ()<")
			if end < 0 {
				end = len(rest)
			}
			item.text, rest = rest[:end], rest[end:]
		}
		if err != nil {
			return "", node{}, err
		}
		list.list = append(list.list, item)
	}
}

// find returns the first list whose first item is a match, the outermost first.
func (n node) find(match func(node) bool) *node {
	if len(n.list) == 0 {
		return nil
	}
	if match(n.list[0]) {
		return &n
	}
	for _, each := range n.list {
		if found := each.find(match); found != nil {
			return found
		}
	}
	return nil
}

// set is what a list or a single brick stands for.
func (n node) set() set {
	if !n.isTag {
		if len(n.list) == 0 {
			return set{}
		}
		first := n.list[0].set()
		if kind, name, _ := strings.Cut(n.list[0].text, ":"); !strings.HasPrefix(kind, "POSIX(") {
			first.name = name
		}
		for _, each := range n.list[1:] {
			first.bricks += each.set().bricks
		}
		return first
	}
	// POSIX(/brick):host:/brick/file
	brick, rest, isBrick := strings.Cut(n.text, "):")
	if host, _, ok := strings.Cut(rest, ":"); ok && isBrick && strings.HasPrefix(brick, "POSIX(") {
		return set{name: brick + "):" + host, bricks: 1}
	}
	return set{}
}
