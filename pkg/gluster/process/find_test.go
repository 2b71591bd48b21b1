// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/ask"
)

// fakeProc is a /proc with these processes: a FIFO shows nothing to who reads it until somebody writes, as the
// arguments of a process whose memory is locked.
func fakeProc(t *testing.T, cmdlines map[int]string) procDir {
	t.Helper()
	dir := t.TempDir()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	link := func(pid, namespace string) {
		t.Helper()
		do(os.MkdirAll(filepath.Join(dir, pid, "ns"), 0o755))
		do(os.Symlink(namespace, filepath.Join(dir, pid, "ns/mnt")))
	}
	link("self", "mnt:[1]")
	for pid, cmdline := range cmdlines {
		namespace, isElsewhere := strings.CutPrefix(cmdline, "elsewhere ")
		link(strconv.Itoa(pid), map[bool]string{false: "mnt:[1]", true: "mnt:[2]"}[isElsewhere])
		path := filepath.Join(dir, strconv.Itoa(pid), "cmdline")
		if namespace == "" {
			do(unix.Mkfifo(path, 0o600))
			t.Cleanup(func() { // ends the reading
				if file, err := os.OpenFile(path, os.O_RDWR, 0); err == nil {
					_ = file.Close()
				}
			})
			continue
		}
		do(os.WriteFile(path, []byte(strings.ReplaceAll(namespace, " ", "\x00")), 0o600))
		do(os.WriteFile(filepath.Join(dir, strconv.Itoa(pid), "stat"), []byte(strconv.Itoa(pid)+" (x) S 1 1 1 "+strings.Repeat("0 ", 45)), 0o600))
	}
	return procDir(dir)
}

func TestAProcessWhoseArgumentsCannotBeReadHoldsUpNobody(t *testing.T) {
	p := fakeProc(t, map[int]string{
		1: "init", 20: "", 30: "glusterfs --volfile-id=/gv0 /a/mnt", 31: "elsewhere glusterfs --volfile-id=/gv0 /b/mnt",
		32: "elsewhere ", 40: "/usr/sbin/glusterfs --volfile-id=/gv0 /c/mnt",
	})
	for range 2 { // the second time it is not waited for
		began := time.Now()
		found, err := p.find(nil)
		if len(found) != 2 || found["/a/mnt"] != 30 || found["/c/mnt"] != 40 {
			t.Errorf("found %v", found)
		}
		if !errors.Is(err, unix.ETIMEDOUT) || !strings.Contains(err.Error(), "process 20") || strings.Contains(err.Error(), "process 32") {
			t.Errorf("got %v", err)
		}
		t.Logf("after %v", time.Since(began))
	}
	if underWay.Lock(); len(underWay.readings) != 1 {
		t.Errorf("%d readings are under way", len(underWay.readings))
	}
	underWay.Unlock()
}

func TestTwoMayReadTheSameArgumentsAtOnce(t *testing.T) {
	p := fakeProc(t, map[int]string{7: "glusterfs /a/mnt"})
	answers := make(chan error)
	const readers = 16
	for range readers {
		go func() {
			_, err := p.mountpoint(7)
			answers <- err
		}()
	}
	for range readers {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
}

// A process that is being given another program says nothing of its namespace; its arguments tell that it is no client.
func TestWhatIsGivenAnotherProgramIsNoSilentClient(t *testing.T) {
	const program, client = 1 << 23, 1<<23 + 1 // above the kernel's limit
	p := fakeProc(t, map[int]string{program: "pause", client: "glusterfs --volfile-id=/gv0 /a/mnt"})
	release, answered := make(chan struct{}), make(chan int)
	for _, pid := range []int{program, client} {
		_, err := ask.Process(pid, func() (int, error) { <-release; return pid, nil }, func(pid int) { answered <- pid })
		if !errors.Is(err, unix.ETIMEDOUT) {
			t.Fatal(err)
		}
	}
	found, err := p.find(nil)
	if len(found) != 0 || !errors.Is(err, unix.ETIMEDOUT) || !strings.Contains(err.Error(), strconv.Itoa(client)) ||
		strings.Contains(err.Error(), strconv.Itoa(program)+":") {
		t.Errorf("found %v, %v", found, err)
	}
	close(release)
	<-answered
	<-answered
}
