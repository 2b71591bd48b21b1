// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Placement is on which subvolumes GlusterFS has a file or directory.
type Placement struct {
	Subvolumes []Subvolume
	// Of a directory: what distribute is called, and its subvolumes, by its own names for them, which are not those of
	// Subvolumes where there are no replicas; and how many of them GlusterFS puts new files of it on.
	Distribute string
	Layout     []string
	Ranges     int
}

// Subvolume is one of distribute's: a replica set, or a brick where there are no replicas.
type Subvolume struct {
	Name   string
	Bricks int // those that have said that they have it
}

// node is a part of pathinfo: (…), <…>, or a word.
type node struct {
	text  string // "" for a list
	isTag bool
	list  []node
}

// ParsePlacement reads the value of PathInfoXattr, as GlusterFS 10 gives it of a file and of a directory:
//
//	(<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> <POSIX(/brick):host:/brick/file> <POSIX…>))
//	((<DISTRIBUTE:gv0-dht> (<REPLICATE:gv0-replicate-0> <POSIX…>) (<REPLICATE:gv0-replicate-1> …)) (gv0-dht-layout (gv0-replicate-0 0 4294967295) …))
func ParsePlacement(text string) (Placement, error) {
	rest, top, err := parseList(text, 0)
	if err != nil || strings.TrimSpace(rest) != "" {
		return Placement{}, errors.Join(fmt.Errorf("cannot be read: %.200q", text), err)
	}
	var p Placement
	if distribute := top.find(func(n node) bool { return n.isTag && strings.HasPrefix(n.text, "DISTRIBUTE:") }); distribute != nil {
		for _, n := range distribute.list[1:] {
			p.Subvolumes = append(p.Subvolumes, n.subvolume())
		}
	} else {
		p.Subvolumes = []Subvolume{top.subvolume()}
	}
	const suffix = "-layout"
	if layout := top.find(func(n node) bool { return !n.isTag && strings.HasSuffix(n.text, suffix) }); layout != nil {
		p.Distribute = strings.TrimSuffix(layout.list[0].text, suffix)
		for _, n := range layout.list[1:] {
			if len(n.list) != 3 {
				continue
			}
			p.Layout = append(p.Layout, n.list[0].text)
			if n.list[2].text != "0" {
				p.Ranges++
			}
		}
	}
	for _, s := range p.Subvolumes {
		if s.Name == "" || s.Bricks == 0 {
			return Placement{}, fmt.Errorf("names no brick: %.200q", text)
		}
	}
	if len(p.Subvolumes) == 0 {
		return Placement{}, fmt.Errorf("names no brick: %.200q", text)
	}
	return p, nil
}

// parseList reads "(…)" at the beginning of text.
func parseList(text string, depth int) (rest string, list node, err error) {
	const deepest = 16
	rest, isList := strings.CutPrefix(text, "(")
	if !isList || depth > deepest {
		return text, node{}, errors.New("no list")
	}
	for {
		rest = strings.TrimLeft(rest, " ")
		var item node
		switch {
		case rest == "":
			return "", list, errors.New("a list has no end")
		case rest[0] == ')':
			return rest[1:], list, nil
		case rest[0] == '(':
			rest, item, err = parseList(rest, depth+1)
		case rest[0] == '<':
			item.isTag = true
			if item.text, rest, err = parseTag(rest); err != nil {
				return "", list, err
			}
		default:
			end := strings.IndexAny(rest, " ()<")
			if end < 0 {
				end = len(rest)
			}
			item.text, rest = rest[:end], rest[end:]
		}
		list.list = append(list.list, item) // or what there was of it
		if err != nil {
			return "", list, err
		}
	}
}

// afterBrick is what follows the ">" of what a brick says: the next brick, the next replica set, the layout, the end. A
// name may look like each of them but for a "/", which the first two have and no name, and for the ">" that ends the
// name, which the others do not have. Only a name that ends as a replica set begins is taken for one.
var afterBrick = regexp.MustCompile(`^( <POSIX\(/|\) \(<[A-Z]+:[^<>/() ]+-[0-9]+> <POSIX\(/|\)+ \([^<>/]+-layout [^<>/]*$|\)*[ \x00]*$)`)

// parseTag reads "<…>" at the beginning of text. It ends with its first ">", but for what a brick says, if something known
// follows a later one.
func parseTag(text string) (tag, rest string, err error) {
	first := strings.IndexByte(text, '>')
	if first < 0 {
		return "", "", errors.New("a tag has no end")
	}
	end := first
	if strings.HasPrefix(text, "<POSIX(") {
		for end < len(text) && (text[end] != '>' || !afterBrick.MatchString(text[end+1:])) {
			end++
		}
	}
	if end == len(text) {
		end = first
	}
	return text[1:end], text[end+1:], nil
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

// subvolume is what a list or a single brick stands for.
func (n node) subvolume() Subvolume {
	if n.isTag {
		if p, ok := parseBrick(n.text); ok {
			return Subvolume{Name: "POSIX(" + p.Brick + "):" + p.Host, Bricks: 1}
		}
		return Subvolume{}
	}
	if len(n.list) == 0 {
		return Subvolume{}
	}
	first := n.list[0].subvolume()
	if kind, name, _ := strings.Cut(n.list[0].text, ":"); !strings.HasPrefix(kind, "POSIX(") {
		first.Name = name
	}
	for _, each := range n.list[1:] {
		first.Bricks += each.subvolume().Bricks
	}
	return first
}

// bricks are all that a list has said.
func (n node) bricks() (all []BrickPath) {
	if p, ok := parseBrick(n.text); ok && n.isTag {
		all = append(all, p)
	}
	for _, each := range n.list {
		all = append(all, each.bricks()...)
	}
	return all
}

// parseBrick reads what one brick says: POSIX(/brick):host:/brick/file.
func parseBrick(tag string) (p BrickPath, ok bool) {
	rest, isBrick := strings.CutPrefix(tag, "POSIX(")
	brick, rest, closed := strings.Cut(rest, "):")
	host, below, named := strings.Cut(rest, ":")
	return BrickPath{Brick: brick, Host: host, Real: below}, isBrick && closed && named && brick != "" && host != ""
}
