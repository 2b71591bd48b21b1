// SPDX-License-Identifier: Apache-2.0

package check

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// lookAtNames asks each brick where it has the directory of a volume, or of a trash entry. It has two names if not all
// of them have it at the path of the volume that is there, nor all in the trash.
func (s *Checker) lookAtNames(found *inventory, dir *safepath.Dir, gfid string, r volume.Record) error {
	all, err := store.BricksOf(dir)
	if err != nil || found.hasTwoNames(gfid) {
		return volume.IgnoreNotExist(err)
	}
	places, ready, err := s.placesOf(r, all)
	if err != nil {
		return volume.IgnoreNotExist(err)
	}
	var cures []string
	for _, p := range places {
		if len(gluster.Elsewhere(all, p.Path, p.Parent)) == 0 {
			return nil
		}
		cures = append(cures, cureOf(gfid, all, p))
	}
	if len(cures) == 0 {
		return nil // deleted and removed meanwhile
	}
	cure := cures[0]
	if ready && len(cures) > 1 {
		cure = fmt.Sprintf("if a PersistentVolume names it: %s; if none does, since it was deleted: %s", cures[0], cures[1])
	}
	found.mu.Lock()
	found.twoNames[store.InodeOf(gfid)] = true
	found.mu.Unlock()
	found.add(Problem{
		Kind: TwoNames, Subject: r.ID, Path: r.Path,
		Why:  fmt.Sprintf("its directory has %s: a brick has forgotten a rename, as it does when its power goes", gluster.NamesOn(all)),
		Cure: "nothing: " + cure + ": see \"One directory with two names\" in docs/operations.md",
	})
	return nil
}

// placesOf are where the records say that the directory of a volume is, the path of one that is ready first: one place,
// or more where a brick has brought back a record. They are asked for by name: a list is what one brick says, which may
// be the one that has forgotten.
func (s *Checker) placesOf(r volume.Record, all []gluster.BrickPath) (places []store.Place, ready bool, err error) {
	ready, err = s.IsReady(r)
	if err != nil {
		return nil, false, err
	}
	if ready {
		p, err := s.PlaceOf(r.Path)
		if err != nil {
			return nil, false, err
		}
		places = append(places, p)
	}
	for _, brick := range all {
		dir, err := s.homeOfEntry(brick.Name(), r)
		if err != nil {
			return nil, false, err
		}
		if dir == nil {
			continue
		}
		p, err := s.PlaceOfFile(owndir.File{Dir: dir, Name: brick.Name()})
		if err != nil {
			return nil, false, err
		}
		if !slices.Contains(places, p) {
			places = append(places, p)
		}
	}
	return places, ready, nil
}

// homeOfEntry returns the directory that has the trash entry of a volume, if the name is that of one. Its data is not
// looked at: see isSecondName.
func (s *Checker) homeOfEntry(name string, r volume.Record) (*safepath.Dir, error) {
	if _, _, isEntry := volume.ParseEntryBase(name); !isEntry {
		return nil, nil
	}
	shards, err := s.ExistingShards(owndir.TrashDir, volume.IDOfStamp(name))
	for _, dir := range shards {
		for _, suffix := range store.EntrySuffixes {
			have, err := store.ReadRecord(dir, name+suffix)
			switch {
			case err == nil && have.Stamp() == r.Stamp():
				return dir, nil
			case err != nil && volume.IgnoreNotExist(err) != nil && !volume.IsUnreadable(err):
				return nil, err
			}
		}
	}
	return nil, err
}

// withDeleted adds to the names of records those of all volumes that the trash tells of. A list is what one brick says:
// one that has forgotten a restoration leaves out the volume until it is asked for by name.
func (s *Checker) withDeleted(found *inventory, records []owndir.File) []owndir.File {
	listed := map[string]bool{}
	for _, f := range records {
		listed[f.Name] = true
	}
	add := func(id string) {
		shards, err := s.ExistingShards(owndir.VolumesDir, id)
		if name := id + store.RecordSuffix; err == nil && len(shards) > 0 && !listed[name] {
			listed[name] = true
			records = append(records, owndir.File{Dir: shards[0], Name: name})
		}
	}
	for _, e := range found.entries {
		add(e.Record.ID)
	}
	for _, f := range found.strays {
		add(volume.IDOfStamp(f.Name))
	}
	return records
}

// entryOf is the trash entry of a volume; nil if it has none.
func (i *inventory) entryOf(r volume.Record) *store.TrashEntry {
	for _, e := range i.entries {
		if e.Record.Stamp() == r.Stamp() {
			return &e
		}
	}
	return nil
}

// isSecondName says whether a directory of the driver's own that no record tells of is one that was found to have two
// names: it may be a volume in use, and nobody is to be told to remove it. It is known by its listed inode number: with
// an arbiter GlusterFS refuses to look at a name that one brick of three has.
func isSecondName(found *inventory, f owndir.File) (bool, error) {
	inode, err := f.Dir.ListedInode(f.Name)
	if err != nil {
		return false, volume.IgnoreNotExist(err)
	}
	found.mu.Lock()
	defer found.mu.Unlock()
	return found.twoNames[inode], nil
}

func (i *inventory) hasTwoNames(gfid string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.twoNames[store.InodeOf(gfid)]
}

// cureOf are the commands that bring a directory to its place on the bricks that have it elsewhere, each for the
// brick's own server while its process does not run: the rename, and the link by which the brick finds the directory by
// its gfid.
func cureOf(gfid string, all []gluster.BrickPath, at store.Place) string {
	link := path.Join("../..", at.Parent[:2], at.Parent[2:4], at.Parent, path.Base(at.Path))
	handle := path.Join(".glusterfs", gfid[:2], gfid[2:4], gfid)
	var cures []string
	for _, p := range gluster.Elsewhere(all, at.Path, at.Parent) {
		cures = append(cures, fmt.Sprintf("on %s, with brick %s stopped, `mv -T %s %s && ln -sfn %s %s`", p.Host, p.Brick,
			quoted(p.Real), quoted(path.Join(p.Brick, at.Path)), quoted(link), quoted(path.Join(p.Brick, handle))))
	}
	return strings.Join(cures, ", ")
}

// quoted is one word of a shell's command.
func quoted(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(plain, r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// plain are characters that mean nothing to a shell.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"

// lookAtNoDirectory tells of a volume whose directory is gone. One whose directory all bricks have in the trash was
// deleted: a brick that had forgotten that has brought back its record.
func (s *Checker) lookAtNoDirectory(found *inventory, r volume.Record) error {
	p := Problem{Kind: NoDirectory, Subject: r.ID, Path: r.Path, id: r.ID, Why: "its directory is gone",
		Cure: "nothing: bring the directory back, by a rename and not by a copy, or delete the volume"}
	if e := found.entryOf(r); e != nil {
		data, err := s.dataOf(*e)
		if err != nil && volume.IgnoreNotExist(err) != nil {
			return err
		}
		if data != nil {
			defer data.Close()
			gfid, err := store.GFIDOf(data)
			if err != nil {
				return volume.IgnoreNotExist(err)
			}
			if err := s.lookAtNames(found, data, gfid, r); err != nil || found.hasTwoNames(gfid) {
				return err
			}
			p.Why = "it was deleted, and its directory is in the trash as " + e.Name
			p.Cure = "forget the volume; the trash entry stays"
			p.repair = func() error { return s.forgetDeleted(*e) }
		}
	}
	found.add(p)
	return nil
}

// dataOf opens the data of a trash entry if it is the directory of its volume. It is nil if it is another.
func (s *Checker) dataOf(e store.TrashEntry) (*safepath.Dir, error) {
	data, err := e.Dir.Open(e.Base)
	if err != nil {
		return nil, err
	}
	own, err := s.IsKnownAs(data, e.Record)
	if err != nil || !own {
		data.Close()
		return nil, err
	}
	return data, nil
}

// forgetDeleted removes the record of a volume whose directory, and another record, are in the trash, and ends its
// deletion.
func (s *Checker) forgetDeleted(e store.TrashEntry) error {
	data, err := s.dataOf(e)
	if err != nil {
		return err
	}
	if data == nil {
		return fmt.Errorf("trash entry %s has another directory now: %w", e.Name, volume.ErrBusy)
	}
	defer data.Close()
	at, err := s.PlaceOfFile(owndir.File{Dir: e.Dir, Name: e.Base})
	if err == nil {
		err = s.CheckOneName(data, at)
	}
	if err != nil {
		return err
	}
	return s.Trash.CompleteDeletion(e)
}
