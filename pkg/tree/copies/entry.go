// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/manifest"
)

// job is the copying of one entry.
type job struct {
	*copier

	worker   tree.Worker
	d        *tree.Directory
	here     *directory
	from, to *safepath.Dir
	name     string
	new      bool  // there is nothing at the name in the destination
	goOn     int64 // what an earlier attempt has noted: see canGoOn
}

// Entry copies what is no directory.
func (c *copier) Entry(w tree.Worker, d *tree.Directory, from *safepath.Dir, name string) error {
	here := d.Data.(*directory) //nolint:forcetypeassert // set in Enter
	return here.use(func(to *safepath.Dir) error {
		j := &job{copier: c, worker: w, d: d, here: here, from: from, to: to, name: name, new: here.empty}
		return c.end(j.run())
	})
}

func (j *job) path() string {
	if parent := j.d.Path(); parent != "" {
		return parent + "/" + j.name
	}
	return j.name
}

// run copies until the source stands still, or has been moving for so long that the copy is of a file in motion.
func (j *job) run() error {
	for try := 1; ; try++ {
		still, err := j.once(try == tries)
		if isGone(err) { // of the source
			j.vanished(j.path())
			return j.putAway(j.to, j.name, 0)
		}
		if still || err != nil || try == tries {
			return err
		}
		j.new = false
	}
}

// once is one try: still says whether the source was the same before and after. After the last try it is written down
// either way.
func (j *job) once(last bool) (still bool, err error) {
	source, st, err := j.from.EntryAndStat(j.name)
	if err != nil {
		return false, err
	}
	defer source.Close()
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return false, &os.PathError{Op: "copy", Path: source.Name(), Err: unix.EISDIR}
	}
	defer j.lock(st)()
	r := manifest.Record{In: j.here.id, Name: j.name, Kind: st.Mode & unix.S_IFMT, Source: manifest.SourceOf(st)}
	if !j.new {
		done, err := j.found(source, st, &r)
		if done || err != nil {
			return done, err
		}
	}
	if done, err := j.link(source, st, &r); done || err != nil {
		return done, err
	}
	if err := j.make(source, st, &r); err != nil {
		return false, err
	}
	after, err := source.Stat()
	if err != nil {
		return false, err
	}
	if manifest.SourceOf(after) != r.Source {
		if !last {
			return false, nil
		}
		j.count(func(r *Result) { r.Changed.add(j.path()) })
		r.Ctime = unix.Timespec{} // so that nobody takes it for a copy of any moment
		return false, j.done(st, r)
	}
	if st.Nlink > 1 {
		if _, err := j.remember(&r); err != nil {
			return false, err
		}
	}
	return true, j.done(st, r)
}

// done writes an entry down.
func (j *job) done(st unix.Stat_t, r manifest.Record) error {
	step("before an entry is written down")
	bytes := contentOf(st)
	if r.Another {
		bytes = 0
	}
	j.progress.entries.Add(1)
	j.progress.bytes.Add(bytes)
	j.count(func(r *Result) { r.Entries++; r.Bytes += bytes })
	if err := j.written(j.manifest.Add(r)); err != nil {
		return err
	}
	return j.used(0, 1)
}

// contentOf is how many bytes a file has, without holes.
func contentOf(st unix.Stat_t) int64 {
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0
	}
	return min(st.Size, st.Blocks*512)
}
