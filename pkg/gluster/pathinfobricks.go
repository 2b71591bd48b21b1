// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// PathInfoXattr is the virtual attribute by which each brick says where it has a file or directory. The client asks
// every brick that it is connected to.
const PathInfoXattr = "glusterfs.pathinfo"

// BrickPath is where one brick has a directory.
type BrickPath struct {
	Host  string // as the server calls itself
	Brick string // the brick's directory there
	// Real is a path on that server. Below the brick it is the directory's own path, or, where the brick process has
	// not been asked for that since its start, .glusterfs/xx/yy/<gfid of the parent>/<name>, which leads there, too.
	Real string
}

// byParent is the second form of Real, below the brick.
var byParent = regexp.MustCompile(`^\.glusterfs/[0-9a-f]{2}/[0-9a-f]{2}/([0-9a-f-]{36})/([^/]+)$`)

// ParsePathInfo reads the value of PathInfoXattr, in the order of host and brick. What a brick says in another form is
// left out, and so is what follows where the value ends too early.
func ParsePathInfo(value string) []BrickPath {
	_, top, _ := parseList(value, 0)
	all := slices.DeleteFunc(top.bricks(), func(p BrickPath) bool { return p.below() == "" })
	slices.SortFunc(all, func(a, b BrickPath) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// below is Real from the brick on; "" for the brick itself, and for what is not below it.
func (p BrickPath) below() string {
	below, ok := strings.CutPrefix(p.Real, strings.TrimSuffix(p.Brick, "/")+"/")
	if !ok {
		return ""
	}
	return strings.Trim(below, "/")
}

// Name is the directory's own.
func (p BrickPath) Name() string { return path.Base(p.Real) }

// String names the host, and the path there.
func (p BrickPath) String() string { return p.Host + ":" + p.Real }

// isAt says whether the directory may be at a path of the Gluster volume, in a parent with this gfid.
func (p BrickPath) isAt(at, parent string) bool {
	if match := byParent.FindStringSubmatch(p.below()); match != nil {
		return match[2] == path.Base(at) && (parent == "" || match[1] == parent)
	}
	return strings.HasSuffix("/"+p.below(), "/"+at)
}

// Elsewhere returns those that do not have a directory where it is said to be: at a path of the Gluster volume, in a
// parent with this gfid ("" where that is not known: then only the name tells of bricks that give no path).
func Elsewhere(all []BrickPath, at, parent string) []BrickPath {
	return slices.DeleteFunc(slices.Clone(all), func(p BrickPath) bool { return p.isAt(at, parent) })
}

// IsOnePlace says whether all bricks have a directory at one place, wherever that is.
func IsOnePlace(all []BrickPath) bool {
	var place, parent string
	for _, p := range all {
		if p.Name() != all[0].Name() {
			return false
		}
		known, own := &place, p.below()
		if match := byParent.FindStringSubmatch(own); match != nil {
			known, own = &parent, match[1]
		}
		if *known != "" && *known != own {
			return false
		}
		*known = own
	}
	return len(all) > 0
}

// NamesOn says for messages which name a directory has on which brick.
func NamesOn(all []BrickPath) string {
	var names []string
	for _, p := range all {
		names = append(names, "the name "+p.Name()+" on "+p.Host+":"+p.Brick)
	}
	return strings.Join(names, ", ")
}
