// SPDX-License-Identifier: Apache-2.0

package owndir

import (
	"errors"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// A name is claimed by a symbolic link that says whose it is: whole in one step, and on disk with the next Commit. A
// brick of GlusterFS 10.3 may lose a symlink as it may lose a mkdir (see pkg/onemaker): by another client's lookup
// between the link's gfid and its handle. Then a second client makes the same name on that brick, and both have it.
//
// So the link is made under a name that nobody else knows, and has no need to look up, and gets the claim's name as its
// second one: link(2) is exclusive, and a brick has nothing to make for it but the name:
// TestOfTwoThatClaimOneHasItOnEveryBrick.
//
// On a distributed Gluster volume link(2) is exclusive only within one replica set: where the two files lie on
// different ones GlusterFS takes what is there for a pointer to the file, and makes the name on the other. The form of
// the first name has GlusterFS put it where it looks for the claim's (cluster.rsync-hash-regex, of temporary files of
// rsync).
//
// GlusterFS's shard translator gives nothing but regular files a second name, and says ENOMEM (shard_link asks for a
// block size, which only those have). There a claim is made under its own name, which is exclusive but for what is said
// above: a named limit of Gluster volumes with features.shard (docs/failures.md; TestOptionsAsPeopleSetThem has one).
//
// What the driver makes by O_CREAT|O_EXCL, as records and leases, is made in one step that no brick loses: of a regular
// file it keeps what has its handle already.

// firstName begins and, with a number, ends the first name of a link that is to claim a name.
const firstName = "."

// The named points of a claim.
const (
	stepLinkMade = "claim: link made"
	stepLinked   = "claim: name linked"
)

// Link is made to claim a name, and claims nothing yet. It is on a Gluster volume as its first name.
type Link struct {
	dir                  *safepath.Dir
	content, name, first string
}

// PrepareLink makes the link that is to claim a name. It is to be claimed, or dropped.
func (o *Directory) PrepareLink(dir *safepath.Dir, content, name string) (*Link, error) {
	l := &Link{dir, content, name, firstName + name + "." + strconv.FormatUint(rand.Uint64(), 36)}
	if err := dir.Symlink(content, l.first); err != nil {
		return nil, err
	}
	o.Step(stepLinkMade)
	return l, nil
}

// Drop removes a link that claims nothing, if there is one. What cannot be removed goes by SettleClaims.
func (l *Link) Drop() {
	if l != nil {
		_ = l.dir.Unlink(l.first)
	}
}

// ClaimLink makes a link that claims its name; fs.ErrExist if another has. It is exclusive, and the name's only file on
// every disk, if what frees such names does so by FreeLink. Its first name goes with the next Commit, beside it.
func (o *Directory) ClaimLink(dir *safepath.Dir, content, name string) error {
	l, err := o.PrepareLink(dir, content, name)
	if err != nil {
		return err
	}
	return o.Claim(l)
}

// Claim is the rest of ClaimLink, and drops what it does not claim by.
func (o *Directory) Claim(l *Link) error {
	if o.memory.freed.has(l.dir.Name() + "/" + l.name) {
		if err := o.Commit(); err != nil {
			l.Drop()
			return err
		}
	}
	if err := l.dir.Link(l.first, l.dir, l.name); err != nil {
		l.Drop()
		if errors.Is(err, unix.ENOMEM) {
			return l.dir.Symlink(l.content, l.name)
		}
		return err
	}
	o.dropWithCommit(File{l.dir, l.first})
	o.Step(stepLinked)
	return nil
}

// ReturnLink gives a claim that was moved aside its name again; fs.ErrExist if another has that (but see above, where
// the Gluster volume was given bricks since the claim was made). It is the same file, so no disk need know before that
// it had another name.
func (o *Directory) ReturnLink(aside File, content, name string) error {
	err := aside.Dir.Link(aside.Name, aside.Dir, name)
	if errors.Is(err, unix.ENOMEM) {
		return o.ClaimLink(aside.Dir, content, name)
	}
	return err
}

// rest is what an operation has left to do beside its next Commit.
type rest struct {
	mu       sync.Mutex
	looks    []Look
	unneeded []File // the first names of links that have the claim's name by now
}

// Look is at what was moved aside. It says whether that went back, which is to be on disk, too.
type Look func(*permits.Permit) (wentBack bool, err error)

func (r *rest) take() (looks []Look, unneeded []File) {
	r.mu.Lock()
	defer r.mu.Unlock()
	looks, unneeded = r.looks, r.unneeded
	r.looks, r.unneeded = nil, nil
	return looks, unneeded
}

// LookWithCommit has a look done beside the next Commit, which fails if that does.
func (o *Directory) LookWithCommit(look Look) {
	o.rest.mu.Lock()
	defer o.rest.mu.Unlock()
	o.rest.looks = append(o.rest.looks, look)
}

func (o *Directory) dropWithCommit(f File) {
	o.rest.mu.Lock()
	defer o.rest.mu.Unlock()
	o.rest.unneeded = append(o.rest.unneeded, f)
}

// DropFirstNames is what Commit does beside, for who needs no Commit.
func (o *Directory) DropFirstNames() {
	o.rest.mu.Lock()
	files := o.rest.unneeded
	o.rest.unneeded = nil
	o.rest.mu.Unlock()
	drop(o.Permit, files)
}

// drop removes first names. What cannot be removed goes by SettleClaims.
func drop(permit *permits.Permit, files []File) {
	permits.Beside(permit, len(files), func(i int) { _ = files[i].Dir.Unlink(files[i].Name) })
}

// isFirstName says whether a name is the first one of a link that is to claim another.
func isFirstName(name string) bool { return strings.HasPrefix(name, firstName) }

// withoutFirstNames are the names that claim something. The others are remembered: a kill may have left them.
func (o *Directory) withoutFirstNames(dir *safepath.Dir, names []string) (files []File) {
	for _, name := range names {
		f := File{dir, name}
		if isFirstName(name) {
			o.memory.left.Age(o.PathOf(f))
			continue
		}
		files = append(files, f)
	}
	return files
}

// SettleClaims removes what a kill, or a server that has forgotten a removal, has left of claims, as far as it was
// listed.
func (o *Directory) SettleClaims() error {
	_, err := o.FilesIn(GFIDsDir) // which nobody else lists
	errs := []error{err}
	for _, left := range o.memory.left.Older(o.Abandoned) {
		dir, err := o.OwnDirectory(strings.TrimPrefix(path.Dir(left), volume.OwnDir+"/"))
		if err == nil {
			err = dir.Unlink(path.Base(left))
		}
		if err = volume.IgnoreNotExist(err); err == nil {
			o.memory.left.Forget(left)
		}
		errs = append(errs, err)
	}
	return o.Explain(errors.Join(errs...))
}
