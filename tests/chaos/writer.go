// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/container"
)

const (
	// writerVariable makes a process that calls BeWriter a writer.
	writerVariable = "CHAOS_WRITER"
	// retryPause is how often a writer tries to open its file again: the precision to which
	// it knows when its volume is back.
	retryPause = 10 * time.Millisecond
	// lookEvery is how many records are written between two looks at old ones, and lookSlots
	// how many those are.
	lookEvery, lookSlots = 8, 64
	// journalDescriptor is the first that os/exec gives after the standard ones.
	journalDescriptor = 3
	// dataDir is where a writer sees its volume.
	dataDir = "/data"
)

// job is what a writer is told.
type job struct {
	ID     int
	Root   string        // an empty directory for its root
	Target string        // the publish target that it sees as dataDir
	Pause  time.Duration // between two records
}

// writer is an application in a container. It appends records to its file on the volume,
// and believes what it is told: a record is written when write and fsync say so. After an
// error it closes the file, opens it again as soon as that is possible, and goes on with the
// next number, since it cannot know what became of the last one.
type writer struct {
	job

	journal *json.Encoder
	random  *rand.Rand
	root    uint64 // the device of its root directory, where nothing is to be written
	next    int    // number of the next record

	file    *os.File // nil after an error
	at      handle   // of file
	last    handle   // of what could be opened last
	done    []int    // the numbers of acknowledged records
	unknown int      // how many records may be in the file or not
	tries   int      // calls that failed since the one that was reported
}

// BeWriter turns the process into a writer if it was started as one, and ends it then. To be
// called first in main or TestMain.
func BeWriter() {
	text := os.Getenv(writerVariable)
	if text == "" {
		return
	}
	w := &writer{journal: json.NewEncoder(os.NewFile(journalDescriptor, "journal"))}
	err := json.Unmarshal([]byte(text), &w.job)
	if err == nil {
		err = w.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "writer:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run writes until the standard input ends.
func (w *writer) run() error {
	if err := container.Enter(w.Root, container.Volume{Source: w.Target, Target: dataDir}); err != nil {
		return fmt.Errorf("enter the container: %w", err)
	}
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		return err
	}
	w.root, w.random = root.Dev, rand.New(rand.NewPCG(uint64(w.ID), 0))
	told := make(chan struct{})
	go func() {
		defer close(told)
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it
	}()
	for {
		pause, err := w.step()
		if err != nil {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-told:
			return w.log(entry{Kind: ended, Ended: now()})
		case <-timer.C:
		}
	}
}

func (w *writer) log(e entry) error { return w.journal.Encode(e) }

// step writes one record, or tries to open the file, and returns how long to wait. Its error
// is one of the journal.
func (w *writer) step() (time.Duration, error) {
	if w.file == nil {
		if err := w.open(); err != nil || w.file == nil {
			return retryPause, err
		}
	}
	number := w.next
	w.next++
	began := now()
	w.unknown++
	if _, err := w.file.Write(record(w.ID, number)); err != nil {
		return 0, w.fail("write", began, err, w.at)
	}
	if err := w.file.Sync(); err != nil {
		return 0, w.fail("fsync", began, err, w.at)
	}
	w.unknown--
	w.done = append(w.done, number)
	if err := w.log(entry{Kind: acknowledged, Number: number, Began: began, Ended: now(), Opened: w.at}); err != nil {
		return 0, err
	}
	if number%lookEvery == 0 {
		return w.Pause, w.look()
	}
	return w.Pause, nil
}

// fail writes down that a call failed, once until something goes well again.
func (w *writer) fail(call string, began moment, err error, at handle) error {
	if w.file != nil {
		_ = w.file.Close() // it cannot tell anything new
		w.file = nil
	}
	if w.tries++; w.tries > 1 {
		return nil
	}
	return w.log(entry{Kind: failed, Call: call, Errno: errnoOf(err), Began: began, Ended: now(), Opened: at})
}

func errnoOf(err error) string {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

func (w *writer) path() string { return fmt.Sprintf("%s/writer-%03d", dataDir, w.ID) }

// open opens the file and reads it.
func (w *writer) open() error {
	began := now()
	file, err := os.OpenFile(w.path(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return w.fail("open", began, err, w.last)
	}
	device, err := deviceOf(file)
	if err != nil {
		file.Close()
		return w.fail("fstat", began, err, w.last)
	}
	if device == w.root {
		file.Close()
		return w.log(entry{Kind: wrong, Ended: now(), Text: "the volume was not mounted: the file is on the container's own disk"})
	}
	w.file, w.at, w.last = file, handle{device, began}, handle{device, began}
	if err := w.log(entry{Kind: opened, Began: began, Ended: now(), Opened: w.at, Tries: w.tries}); err != nil {
		return err
	}
	w.tries = 0
	return w.reread()
}

func deviceOf(file *os.File) (uint64, error) {
	var stat unix.Stat_t
	err := unix.Fstat(int(file.Fd()), &stat)
	return stat.Dev, err
}

// reread reads the whole file, in which every acknowledged record is.
func (w *writer) reread() error {
	began := now()
	content, err := io.ReadAll(io.NewSectionReader(w.file, 0, 1<<40))
	if err != nil {
		return w.fail("read", began, err, w.at)
	}
	return w.complain(check(content, w.ID, w.done, w.unknown))
}

// look opens the file once more and looks at some records, as another process would.
func (w *writer) look() error {
	began := now()
	file, err := os.Open(w.path())
	if err != nil {
		return w.fail("open", began, err, w.last)
	}
	defer file.Close()
	device, err := deviceOf(file)
	if err != nil {
		return w.fail("fstat", began, err, w.last)
	}
	w.last = handle{device, began}
	count := min(lookSlots, len(w.done))
	from := w.random.IntN(len(w.done) - count + 1)
	content := make([]byte, count*recordSize)
	if n, err := file.ReadAt(content, int64(from)*recordSize); errors.Is(err, io.EOF) {
		return w.complain(fmt.Errorf("the file ends at %d, with %d records acknowledged", from*recordSize+n, len(w.done)))
	} else if err != nil {
		return w.fail("read", began, err, w.last)
	}
	return w.complain(checkPart(content, w.ID, w.done, from, w.unknown))
}

// complain writes down what must never be, if it is.
func (w *writer) complain(err error) error {
	if err == nil {
		return nil
	}
	return w.log(entry{Kind: wrong, Ended: now(), Text: err.Error()})
}
