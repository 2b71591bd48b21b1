// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"context"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// VerifyOptions say what is looked at.
type VerifyOptions struct {
	// Content reads each file whose manifest has a hash of it (Options.Hash).
	Content  bool
	Progress *Progress
	Permit   *permits.Permit
}

// Report is what a verification has found. A copy is whole if nothing is missing, foreign or different. What is below
// a directory that is missing counts as missing, too, and is not named.
type Report struct {
	Entries int64 // that the manifest has
	Hashed  int64 // files whose content was compared

	Missing   Names
	Foreign   Names // that the manifest has not
	Different Names // in kind, size, time or content: says in what
}

// Whole says that the copy is what its manifest says.
func (r *Report) Whole() bool { return r.Missing.Count+r.Foreign.Count+r.Different.Count == 0 }

// Verify compares a copy with its manifest, which is in work. It changes nothing. fs.ErrNotExist says that there is no
// manifest: the copy was never complete. ErrDamaged of package manifest says that the manifest itself cannot be read.
// One bit of memory is used for each entry.
func Verify(ctx context.Context, dir, work *safepath.Dir, o VerifyOptions) (Report, error) {
	table, err := manifest.OpenTable(work)
	if err != nil {
		return Report{}, fmt.Errorf("open the manifest of the copy: %w", err)
	}
	defer table.Close()
	v := &verifier{table: table, seen: make([]uint64, table.Count/64+1), options: o}
	v.copier = copier{ctx: ctx, progress: o.Progress, options: Options{Hash: o.Content}}
	if v.progress == nil {
		v.progress = &Progress{}
	}
	v.progress.begin()
	err = tree.Walk(ctx, dir, v, tree.Options{Task: "verifying a copy", Workers: workers, Batch: listBatch, Permit: o.Permit})
	v.report.Entries = table.Count
	v.report.Missing.Count = table.Count - v.found
	return v.report, err
}

type verifier struct {
	copier

	table   *manifest.Table
	options VerifyOptions

	mu     sync.Mutex
	seen   []uint64 // a bit for each record
	found  int64
	report Report
}

// find returns the record of a name, and remembers that there is the name.
func (v *verifier) find(in manifest.Directory, name string) (manifest.Record, bool, error) {
	r, number, found, err := v.table.Find(in, name)
	if err != nil || !found {
		return r, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if bit := uint64(1) << (number % 64); v.seen[number/64]&bit == 0 {
		v.seen[number/64] |= bit
		v.found++
	}
	return r, true, nil
}

func (v *verifier) isSeen(number int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seen[number/64]&(1<<(number%64)) != 0
}

func (v *verifier) note(change func(r *Report)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.report)
}

func (v *verifier) Enter(d *tree.Directory, _ *safepath.Dir) error {
	if d.Parent() == nil {
		d.Data = manifest.Directory{}
		return nil
	}
	parent := d.Parent().Data.(manifest.Directory) //nolint:forcetypeassert // set here
	d.Data = parent.Below(d.Name())
	r, found, err := v.find(parent, d.Name())
	if err != nil {
		return err
	}
	st := d.Stat()
	return v.compare(r, found, st, d.Path)
}

// compare returns fs.SkipDir for what is not in the manifest.
func (v *verifier) compare(r manifest.Record, found bool, st unix.Stat_t, path func() string) error {
	v.progress.entries.Add(1)
	var what string
	switch kind := st.Mode & unix.S_IFMT; {
	case !found:
		v.note(func(r *Report) { r.Foreign.add(path()) })
		return fs.SkipDir
	case kind != r.Kind:
		what = "another kind"
	case kind != unix.S_IFDIR && st.Size != r.Size:
		what = fmt.Sprintf("%d bytes, of %d", st.Size, r.Size)
	case st.Mtim != r.Mtime:
		what = "another time"
	default:
		return nil
	}
	v.differs(path, what)
	return nil
}

func (v *verifier) differs(path func() string, what string) {
	v.note(func(r *Report) { r.Different.add(path() + ": " + what) })
}

func (v *verifier) Entry(w tree.Worker, d *tree.Directory, dir *safepath.Dir, name string) error {
	entry, st, err := dir.EntryAndStat(name)
	if err != nil {
		return err
	}
	defer entry.Close()
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return unix.EISDIR
	}
	r, found, err := v.find(d.Data.(manifest.Directory), name) //nolint:forcetypeassert // set in Enter
	if err != nil {
		return err
	}
	j := &job{copier: &v.copier, worker: w, d: d, name: name}
	if v.compare(r, found, st, j.path) != nil || !r.Hashed || !v.options.Content || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	is := manifest.Record{Kind: unix.S_IFREG}
	if err := j.hash(entry, &is); err != nil {
		return err
	}
	v.progress.bytes.Add(contentOf(st))
	v.note(func(r *Report) { r.Hashed++ })
	if is.Hash != r.Hash {
		v.differs(j.path, "another content")
	}
	return nil
}

// Leave names what is missing.
func (v *verifier) Leave(d *tree.Directory) (again bool, err error) {
	in := d.Data.(manifest.Directory) //nolint:forcetypeassert // set in Enter
	return false, v.table.Each(in, func(r *manifest.Record, number int64) bool {
		if !v.isSeen(number) {
			path := (&job{d: d, name: r.Name}).path()
			v.note(func(r *Report) { r.Missing.add(path) })
		}
		return true
	})
}
