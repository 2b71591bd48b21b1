// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/tree/copies"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

const (
	// workDir is the kind of the driver's own files in which copies are written until they are whole.
	workDir = "split-brain"
	// maxNames is how many names are tried for a copy that is kept.
	maxNames = 100
	// blockSize is how much is read, compared and written at once.
	blockSize = 512 << 10
)

// The named points of Settle.
const (
	stepWritten = "split-brain: copy written"
	stepLinked  = "split-brain: copy has its name"
	stepKept    = "split-brain: copy kept"
	stepDecided = "split-brain: decision written down"
	stepForced  = "split-brain: copy on disk"
	stepLooked  = "split-brain: looked once more"
	stepTold    = "split-brain: settled"
)

// keptName is the name under which the copy that does not count is kept beside the file: the n-th that is tried. A name
// that is too long loses its end.
func keptName(name string, c Copy, n int) string {
	suffix := ".split-brain-" + c.Changed().UTC().Format("20060102T150405Z")
	if n > 0 {
		suffix += fmt.Sprintf(".%d", n)
	}
	return name[:min(len(name), unix.NAME_MAX-len(suffix))] + suffix
}

// keep has a copy beside the file, whole and synced, and returns its name. One that is there already is taken for it
// only if it has the same bytes; nothing that is there is ever replaced.
func (v *Volume) keep(ctx context.Context, f File, c Copy) (name string, err error) {
	source, in, err := v.openCopy(f, c)
	if err != nil {
		return "", err
	}
	defer source.Close()
	defer in.Close()
	beside, base, err := parent(v.all, f.Path)
	if err != nil {
		return "", err
	}
	defer beside.Close()
	name, err = keptAs(ctx, beside, base, in, c)
	if name != "" || err != nil {
		return name, errors.Join(err, v.removeAside(c)) // of an attempt that was killed since
	}
	aside, err := v.writeAside(ctx, source, in, c)
	if err != nil {
		return "", err
	}
	defer aside.Close()
	v.store.Step(stepWritten)
	if name, err = v.linkBeside(ctx, aside, beside, base, c); err == nil {
		v.store.Step(stepLinked)
	}
	return name, errors.Join(err, v.removeAside(c))
}

// keptAs returns the name under which a copy is kept already, "" if it is not.
func keptAs(ctx context.Context, beside *safepath.Dir, base string, in io.ReaderAt, c Copy) (string, error) {
	for n := range maxNames {
		name := keptName(base, c, n)
		same, err := isCopy(ctx, beside, name, in, c.Stat)
		switch {
		case same:
			return name, nil
		case errors.Is(err, fs.ErrNotExist):
			return "", nil
		case err != nil:
			return "", err
		}
	}
	return "", nil
}

// linkBeside gives what was written aside a name that is free beside a file, and returns that.
func (v *Volume) linkBeside(ctx context.Context, aside, beside *safepath.Dir, base string, c Copy) (string, error) {
	in, err := aside.Reopen(unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer in.Close()
	for n := range maxNames {
		name := keptName(base, c, n)
		err := aside.LinkTo(beside, name)
		if !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		same, err := isCopy(ctx, beside, name, in, c.Stat) // else another file has the name
		if same || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return name, err
		}
	}
	return "", fmt.Errorf("%s has %d kept copies of that time: %w: move them away", base, maxNames, volume.ErrInvalid)
}

// besidePath is that of a name in the directory that has a file.
func besidePath(rel, name string) string { return rel[:strings.LastIndexByte(rel, '/')+1] + name }

// openCopy opens what one side has, if it is still what was looked at.
func (v *Volume) openCopy(f File, c Copy) (*safepath.Dir, *os.File, error) {
	at, name, err := parent(v.sides[c.side], f.Path)
	if err != nil {
		return nil, nil, err
	}
	defer at.Close()
	source, err := at.Entry(name)
	if err != nil {
		return nil, nil, err
	}
	in, err := source.Reopen(unix.O_RDONLY)
	if err != nil {
		source.Close()
		return nil, nil, err
	}
	st, err := safepath.OfFile(in).Stat() // the brick is asked, whatever the lookup of the name has said
	if err == nil && !isUnchanged(st, c.Stat) {
		err = fmt.Errorf("%s has changed on %s meanwhile: %w", f.Path, c.Brick.Address, volume.ErrBusy)
	}
	if err != nil {
		_ = in.Close()
		source.Close()
		return nil, nil, err
	}
	return source, in, nil
}

func isUnchanged(a, b unix.Stat_t) bool {
	return a.Ino == b.Ino && a.Size == b.Size && a.Mtim == b.Mtim && a.Ctim == b.Ctim && a.Mode == b.Mode && a.Uid == b.Uid && a.Gid == b.Gid
}

// asideName is that of a copy which is being written.
func asideName(c Copy) string { return fmt.Sprintf("%s.%d", c.gfid, c.side) }

// writeAside writes a copy into the driver's own directory, synced, with owner, mode, attributes and times of what it
// is a copy of. What an earlier attempt has left goes first.
func (v *Volume) writeAside(ctx context.Context, source *safepath.Dir, in *os.File, c Copy) (*safepath.Dir, error) {
	work, err := v.store.EnsureOwnShard(workDir, v.record.ID)
	if err == nil {
		err = volume.IgnoreNotExist(work.Unlink(asideName(c)))
	}
	if err != nil {
		return nil, err
	}
	out, err := work.OpenFile(asideName(c), unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	held, err := v.fillAside(ctx, work, source, in, out, c)
	if err != nil && !errors.Is(err, errReplaced) {
		err = errors.Join(err, volume.IgnoreNotExist(work.Unlink(asideName(c))))
	}
	return held, err
}

// errReplaced is that a copy which was being written is another process's by now.
var errReplaced = fmt.Errorf("another process settles it: %w", volume.ErrBusy)

func (v *Volume) fillAside(ctx context.Context, work, source *safepath.Dir, in *os.File, out *os.File, c Copy) (*safepath.Dir, error) {
	if err := v.copyContent(ctx, in, out, c.Stat.Size); err != nil {
		return nil, err
	}
	if err := copies.Like(safepath.OfFile(out), source, c.Stat); err != nil {
		return nil, err
	}
	if err := out.Sync(); err != nil {
		return nil, err
	}
	own, err := safepath.OfFile(out).Stat()
	if err != nil {
		return nil, err
	}
	held, at, err := work.EntryAndStat(asideName(c))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	if own.Ino != at.Ino {
		held.Close()
		return nil, errReplaced
	}
	return held, nil
}

func (v *Volume) removeAside(c Copy) error { return v.removeWork(asideName(c)) }

// copyContent copies a file of this size; blocks of zeros become holes.
func (v *Volume) copyContent(ctx context.Context, in io.ReaderAt, out *os.File, size int64) error {
	err := eachBlock(ctx, in, size, func(block []byte, at int64) error {
		v.store.Permit.GiveWay()
		if isZero(block) {
			return nil
		}
		_, err := out.WriteAt(block, at)
		return err
	})
	if err != nil {
		return err
	}
	return out.Truncate(size)
}

// eachBlock reads a file of this size; io.ErrUnexpectedEOF if it is shorter.
func eachBlock(ctx context.Context, in io.ReaderAt, size int64, do func(block []byte, at int64) error) error {
	buffer := make([]byte, blockSize)
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		block := buffer[:min(int64(len(buffer)), size-at)]
		if n, err := in.ReadAt(block, at); n < len(block) {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if err := do(block, at); err != nil {
			return err
		}
		at += int64(len(block))
	}
	return nil
}

func isZero(block []byte) bool { return len(bytes.Trim(block, "\x00")) == 0 }

// isCopy says whether what is at a name is a file with the content of another; fs.ErrNotExist if nothing is there. What
// is the same is synced: whoever wrote it may have been killed before.
func isCopy(ctx context.Context, dir *safepath.Dir, name string, of io.ReaderAt, st unix.Stat_t) (bool, error) {
	have, at, err := dir.EntryAndStat(name)
	if err != nil {
		return false, err
	}
	defer have.Close()
	if at.Mode != st.Mode || at.Uid != st.Uid || at.Gid != st.Gid || at.Size != st.Size {
		return false, nil
	}
	file, err := have.Reopen(unix.O_RDONLY)
	if err != nil {
		return false, err
	}
	defer file.Close()
	errDiffers := errors.New("differs")
	other := make([]byte, blockSize)
	err = eachBlock(ctx, of, st.Size, func(block []byte, at int64) error {
		n, err := file.ReadAt(other[:len(block)], at)
		if n < len(block) && err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(block, other[:n]) {
			return errDiffers
		}
		return nil
	})
	if errors.Is(err, errDiffers) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, file.Sync()
}
