// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// childJob is what a child process copies, and where it ends itself: at the n-th time that it comes to a step, or to any where none is named.
type childJob struct {
	Source, Copy, Work, PreviousCopy, PreviousWork string
	Step                                           string
	Count                                          int64
	Checkpoint                                     int64
	Hash                                           bool
}

const childVariable = "COPY_OF_A_CHILD"

func init() {
	if text := os.Getenv(childVariable); text != "" {
		if err := runChild(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func runChild(text string) error {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	var came atomic.Int64
	step = func(name string) {
		if (job.Step == "" || name == job.Step) && came.Add(1) == job.Count {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
	}
	checkpointSize = job.Checkpoint
	open := func(path string) *safepath.Dir {
		if path == "" {
			return nil
		}
		dir, err := safepath.OpenRoot(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return dir
	}
	o := Options{Work: open(job.Work), Hash: job.Hash}
	if job.PreviousCopy != "" {
		o.Previous = &Previous{Tree: open(job.PreviousCopy), Work: open(job.PreviousWork)}
	}
	_, err := Copy(background, open(job.Source), open(job.Copy), o)
	return err
}

// child copies in a process of its own, and returns how many bytes it has written, in whatever files.
func (b *bench) child(job childJob) (written int64, killed bool) {
	b.t.Helper()
	text, err := json.Marshal(job)
	must(b.t, err)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	must(b.t, cmd.Start())
	// What it wrote can be asked for as long as nobody has waited for it.
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			must(b.t, err)
			break
		}
	}
	counters, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", cmd.Process.Pid))
	must(b.t, err)
	_, after, _ := strings.Cut(string(counters), "wchar: ")
	line, _, _ := strings.Cut(after, "\n")
	written, err = strconv.ParseInt(line, 10, 64)
	must(b.t, err)
	err = cmd.Wait()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		must(b.t, err)
	}
	return written, status.Signaled()
}

func (b *bench) job(name, previous string) childJob {
	b.dir(name)
	b.dir(name + ".work")
	job := childJob{Source: b.at("src"), Copy: b.at(name), Work: b.at(name + ".work"), Checkpoint: 1 << 20}
	if previous != "" {
		job.PreviousCopy, job.PreviousWork = b.at(previous), b.at(previous+".work")
	}
	return job
}

// steps are all that a copy has, and at which time of coming there a child is killed.
var steps = map[string]int64{
	"directory made": 3, "before a directory's attributes": 2, "before an entry is written down": 20,
	"made what is no file": 9, "before the time of what is no file": 12, "file made": 5, "content written": 4,
	"before the time of a file": 6, "after the time of a file": 7, "checkpoint": 2, "remembered for its other names": 1,
	"linked within the copy": 1, "before the manifest is finished": 1, "after the manifest is finished": 1,
	"linked to the previous copy": 30,
}

func TestKilledAtEveryStepAndResumed(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.plantPlain()
	b.plantRoots()
	b.plantMany("src/many", 60)
	var mu sync.Mutex
	seen := map[string]bool{}
	atStep(t, func(name string) {
		mu.Lock()
		defer mu.Unlock()
		seen[name] = true
	})
	checkpoints(t, 1<<20)
	b.copy("first", "")
	b.copy("second", "first")
	for name := range seen {
		if steps[name] == 0 {
			t.Errorf("step %q is not on the list", name)
		}
	}
	first := describe(t, b.at("first"))
	defer func() { compare(t, first, describe(t, b.at("first"))) }()
	for at, count := range steps {
		t.Run(at, func(t *testing.T) {
			b := &bench{t, b.root}
			previous := ""
			if at == "linked to the previous copy" {
				previous = "first"
			}
			job := b.job(at, previous)
			job.Step, job.Count = at, count
			if _, killed := b.child(job); !killed {
				t.Error("no copy comes to it")
			}
			job.Count = 1
			b.child(job) // and again, going on
			b.copy(at, previous)
			b.same(at)
			if r := b.verify(at, false); !r.Whole() {
				t.Errorf("the verification says %+v", r)
			}
		})
	}
}

// A copy that hashes, as snapshots do, reads a file from its beginning again, in buffers in the middle of which it may have been killed: a
// buffer of a file with holes is written piece by piece.
func TestAFileThatIsHashedGoesOnWhereverItsCopyWasKilled(t *testing.T) {
	b := newBench(t, t.TempDir())
	var text strings.Builder
	for i := range 512 { // every other page is all zero, and becomes a hole
		text.WriteString(strings.Repeat(fmt.Sprintf("%016d", i), page/16))
		text.Write(zeros[:page])
	}
	b.write("src/file", text.String())
	must(t, os.Truncate(b.at("src/file"), 32<<20)) // a hole that the source has
	for _, checkpoint := range []int64{bufferSize, bufferSize + page, bufferSize + hashBlock, bufferSize + 3*hashBlock} {
		t.Run(fmt.Sprint(checkpoint), func(t *testing.T) {
			b := &bench{t, b.root}
			name := fmt.Sprint("copy", checkpoint)
			job := b.job(name, "")
			job.Step, job.Count, job.Checkpoint, job.Hash = "checkpoint", 1, checkpoint, true
			if _, killed := b.child(job); !killed {
				t.Fatal("it was not killed")
			}
			job.Step = "none"
			if _, killed := b.child(job); killed {
				t.Fatal("it was killed again")
			}
			b.same(name)
			if r := b.verify(name, true); !r.Whole() || r.Hashed != 1 {
				t.Errorf("the verification says %+v", r)
			}
		})
	}
}

// checkpoints has copies of the test go on from checkpoints of so many bytes.
func checkpoints(t *testing.T, size int64) {
	t.Helper()
	before := checkpointSize
	checkpointSize = size
	t.Cleanup(func() { checkpointSize = before })
}

// At random moments, and no byte is copied twice but what was under way.
func TestKilledAtRandomMoments(t *testing.T) {
	b := newBench(t, onGluster(t, mount(t, testcluster.Options{})))
	b.plantMany("src/many", sized(60, 2000))
	const size = 48 << 20
	for i := range 2 {
		b.write(fmt.Sprint("src/large", i), strings.Repeat(fmt.Sprint("0123456789abcde", i), size/16))
	}
	checkpoints(t, 1<<20)
	var all atomic.Int64
	atStep(t, func(string) { all.Add(1) })
	b.copy("whole", "")
	b.same("whole")
	seed := rand.Uint64()
	left := all.Load()
	t.Logf("seed %d; a copy has %d steps", seed, left)
	random := rand.New(rand.NewPCG(seed, 0))
	var written int64
	kills := 0
	for killed := true; killed && kills < 4; {
		var n int64
		job := b.job("copy", "")
		job.Count = left/10 + random.Int64N(left/2) // while other workers are wherever they are
		left -= job.Count
		n, killed = b.child(job)
		written += n
		if killed {
			kills++
		}
	}
	n, killed := b.child(b.job("copy", ""))
	written += n
	if killed || kills == 0 {
		t.Errorf("%d were killed", kills)
	}
	b.same("copy")
	whole := int64(2*size) + int64(sized(60, 2000))*20
	t.Logf("%d kills; written %.3f times the tree", kills, float64(written)/float64(whole))
	if written*10 > whole*11 {
		t.Errorf("%d bytes were written, for %d", written, whole)
	}
}
