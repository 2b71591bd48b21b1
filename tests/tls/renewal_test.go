// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// Everything of one cluster becomes another CA's while a file is written there: first both are believed, then all certificates
// are renewed, then the old CA is forgotten. Every server is started anew in each step, so each connection is made anew.
// The clients of both clusters stay the processes that they are.
func TestCertificatesAreRenewedUnderAWriter(t *testing.T) {
	clients.LinkCredentials(t)
	a, b := newPool(t, "a", true), newPool(t, "b", false)
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	write(t, path, clustersYAML((*pool).tls, a, b))
	for _, p := range []*pool{a, b} {
		secret(t, path, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM)
	}
	h := clients.NewHost(t, gluster.WatchClusters(t.Context(), path, nil))
	of, ofB := clients.Ensure(t, h, a.gv0()), clients.Ensure(t, h, b.gv0())
	run(t, h)
	release := of.Hold()
	defer release()
	releaseB := ofB.Hold()
	defer releaseB()

	w := startWriter(t, filepath.Join(of.Mountpoint(), "written"))
	next := testcluster.NewCA(t, "the next CA of a")
	both := append(bytes.Clone(a.ca.PEM), next.PEM...)
	for _, step := range []struct {
		name   string
		issuer *testcluster.CA
		cas    []byte
	}{
		{"both CAs are believed", a.ca, both}, {"certificates are the next one's", next, both}, {"the old CA is forgotten", next, next.PEM},
	} {
		own := step.issuer.Issue(t, "node", soon())
		secret(t, path, "a", own, step.cas)
		testcluster.Eventually(t, patience, func() error { return has(of, own) })
		do(t, a.SetTLS(testcluster.TLS{Certificate: step.issuer.Issue(t, "server", soon()), CAs: step.cas, Management: true}))
		for i := range a.Servers() {
			do(t, a.KillServer(i), a.StartServer(i))
			testcluster.Eventually(t, patience, func() error { return connected(of) })
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			do(t, a.AwaitHeal(ctx, "gv0"))
			cancel()
		}
		w.check(step.name)
	}
	checkFollows(t, a, of)
	w.stop()
	if of.HasEnded() || ofB.HasEnded() || clients.Ensure(t, h, a.gv0()) != of || clients.Ensure(t, h, b.gv0()) != ofB {
		t.Error("a client is not the one that it was")
	}
	clients.CheckWorks(t, ofB)
}

// As a mounter that is started anew does. When that client dies, the next one has what there is then.
func TestAnotherProcessRenewsTheCertificatesOfClientsThatItFinds(t *testing.T) {
	clients.LinkCredentials(t)
	p := newPool(t, "a", true)
	path, state := filepath.Join(t.TempDir(), "clusters.yaml"), t.TempDir()
	write(t, path, clustersYAML((*pool).tls, p))
	secret(t, path, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM)
	clusters := gluster.WatchClusters(t.Context(), path, nil)
	first, err := client.NewHost(state, clusters)
	do(t, err)
	pid := clients.Ensure(t, first, p.gv0()).Info().PID
	first.Close()

	h := clients.HostIn(t, state, clusters)
	run(t, h)
	found := clients.Ensure(t, h, p.gv0())
	if info := found.Info(); info.PID != pid || !info.Adopted {
		t.Fatalf("it has %+v, want process %d", info, pid)
	}
	release := found.Hold()
	own := p.ca.Issue(t, "node", soon())
	secret(t, path, p.name, own, p.ca.PEM)
	testcluster.Eventually(t, patience, func() error { return has(found, own) })
	release()

	clients.Kill(t, found)
	next := clients.Ensure(t, h, p.gv0())
	do(t, has(next, own))
	clients.CheckWorks(t, next)
	checkNowhere(t, state, next, own.Key)
}

// Whoever has a file of such a client open needs its next connections, too.
func TestTheCertificatesOfAReplacedClientAreRenewed(t *testing.T) {
	clients.LinkCredentials(t)
	p := newPool(t, "a", true)
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	write(t, path, clustersYAML((*pool).tls, p))
	secret(t, path, p.name, p.ca.Issue(t, "node", soon()), p.ca.PEM)
	h := clients.NewHost(t, gluster.WatchClusters(t.Context(), path, nil))
	replaced := clients.Ensure(t, h, p.gv0())
	run(t, h)
	file, err := os.Create(filepath.Join(replaced.Mountpoint(), "open"))
	do(t, err)
	by, err := h.Replace(t.Context(), replaced, func(_, _ *meta.Reading) bool { return true })
	if err != nil || by == nil {
		t.Fatalf("replaced by %v, %v", by, err)
	}
	for _, step := range []string{"its mount is kept", "nothing is mounted from it"} {
		own := p.ca.Issue(t, "node", soon())
		secret(t, path, p.name, own, p.ca.PEM)
		testcluster.Eventually(t, patience, func() error { return errors.Join(has(replaced, own), has(by, own)) })
		kept, err := h.KeptMounts()
		for _, k := range kept {
			err = errors.Join(err, h.Discard(k))
		}
		if err != nil || replaced.HasEnded() {
			t.Fatalf("%s: %v, it has ended: %t", step, err, replaced.HasEnded())
		}
	}
	do(t, file.Close())
}

// checkNowhere makes sure that a key is neither in a file that the driver or its client keeps, a log above all, nor on the client's
// command line, nor in its environment.
func checkNowhere(t *testing.T, state string, c *client.Client, key []byte) {
	t.Helper()
	secret := bytes.Split(key, []byte("\n"))[1] // the first line of what is encoded
	looked := 0
	look := func(path string) {
		content, err := os.ReadFile(path)
		do(t, err)
		looked++
		if bytes.Contains(content, secret) {
			t.Errorf("the key is in %s", path)
		}
	}
	do(t, filepath.WalkDir(state, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err == nil && entry.IsDir() && (entry.Name() == "mnt" || entry.Name() == "spare"): // the Gluster volume
			return fs.SkipDir
		case err == nil && entry.Type().IsRegular():
			look(path)
		}
		return err
	}))
	for _, name := range []string{"cmdline", "environ"} {
		look(fmt.Sprintf("/proc/%d/%s", c.Info().PID, name))
	}
	if looked < 5 { // client.json, lock, users, log, …
		t.Errorf("only %d files are there", looked)
	}
}

// run looks after the clients of a Host until the test ends.
func run(t *testing.T, h *client.Host) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); h.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
}

// checkFollows makes sure that a client hears of changes: that is what its connection to glusterd is for.
func checkFollows(t *testing.T, p *pool, c *client.Client) {
	t.Helper()
	do(t, connected(c))
	before := c.Observed().Reading.Graph
	do(t, p.SetOption("gv0", "performance.stat-prefetch", "off"))
	testcluster.Eventually(t, patience, func() error {
		if err := connected(c); err != nil {
			return err
		}
		if c.Observed().Reading.Graph == before {
			return errors.New("the client has not heard of the option")
		}
		return nil
	})
}

// has says whether a client's process has this certificate for its next connection.
func has(c *client.Client, own testcluster.Certificate) error {
	file := fmt.Sprintf("/proc/%d/fd/%d/%s", c.Info().PID, credentials.Descriptor, credentials.CertificateFile)
	if found, err := os.ReadFile(file); err != nil || !bytes.Equal(found, own.PEM) {
		return errors.Join(errors.New("it has another certificate"), err)
	}
	return nil
}

// connected says whether a client is with all of its bricks.
func connected(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.Checkup(ctx)
	reading := c.Observed().Reading
	if reading == nil || time.Since(reading.At) > patience {
		return errors.New("the client does not tell its state")
	}
	for i, b := range reading.Bricks {
		if !b.Connected {
			return fmt.Errorf("brick %d is not connected", i)
		}
	}
	return nil
}

// writer appends to a file and syncs it, again and again.
type writer struct {
	t     *testing.T
	end   chan struct{}
	ended chan error
	wrote chan int // lines, as often as somebody asks
}

func startWriter(t *testing.T, path string) *writer {
	t.Helper()
	w := &writer{t: t, end: make(chan struct{}), ended: make(chan error, 1), wrote: make(chan int)}
	file, err := os.Create(path)
	do(t, err)
	go func() {
		defer file.Close()
		for n := 0; ; {
			select {
			case <-w.end:
				w.ended <- checkLines(path, n)
				return
			case w.wrote <- n:
			default:
			}
			_, err := fmt.Fprintln(file, n)
			if err = errors.Join(err, file.Sync()); err != nil {
				w.ended <- fmt.Errorf("line %d: %w", n, err)
				return
			}
			n++
		}
	}()
	return w
}

func checkLines(path string, lines int) error {
	text, err := os.ReadFile(path)
	if n := strings.Count(string(text), "\n"); err == nil && n != lines {
		err = fmt.Errorf("%d lines were written, and %d are there", lines, n)
	}
	return err
}

// check makes sure that it writes on.
func (w *writer) check(step string) {
	w.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	before := -1
	for {
		select {
		case n := <-w.wrote:
			if before >= 0 && n > before {
				w.t.Logf("%s: %d lines", step, n)
				return
			}
			before = max(before, n)
		case err := <-w.ended:
			w.t.Fatalf("%s: the writer has ended: %v", step, err)
		case <-timer.C:
			w.t.Fatalf("%s: nothing is written", step)
		}
	}
}

func (w *writer) stop() {
	w.t.Helper()
	close(w.end)
	if err := <-w.ended; err != nil {
		w.t.Fatal(err)
	}
}
