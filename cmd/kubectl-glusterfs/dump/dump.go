// SPDX-License-Identifier: Apache-2.0

// Package dump makes a support bundle: what a cluster, the driver's pods and its nodes tell of the driver, for
// somebody who cannot look himself. It is bounded in size and in time: each source has a deadline, and what could not
// be had, or not whole, is named in its index. Secrets are not read; environments, annotations and names of files
// within volumes are left out.
package dump

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const (
	// logWithin and hostWithin bound one question to one pod.
	logWithin  = 15 * time.Second
	hostWithin = 20 * time.Second
	// atOnce is how many pods are asked at the same time.
	atOnce = 24
)

// leftOut is what no bundle has.
var leftOut = []string{
	"Secrets and environments: they are not read; what looks like a token, a key or a password is replaced",
	"annotations and labels, and of pods that only use volumes everything but where they run and which volumes they use",
	"names of files and directories within volumes: in logs lines end where one begins (…), in mountinfo they are numbers (<1>)",
	"mounts of other file systems",
}

// Source is where a bundle comes from.
type Source struct {
	Objects Objects
	Pods    []inside.Pod
	Run     inside.Run
	Log     inside.Log
	Doctor  func(context.Context) ([]answers.Finding, error)
}

// New returns an empty bundle, which may have so many bytes.
func New(apiVersion string, since time.Time, limit int64) *Bundle {
	return &Bundle{Index: Index{APIVersion: apiVersion, Kind: "Dump", Made: time.Now().UTC().Truncate(time.Second), Since: since, Limit: limit, LeftOut: leftOut}}
}

// partOfObjects is the part of a bundle's size that is kept for all that is not of single pods.
const partOfObjects = 4

// Fill asks for all of it at once, and returns when all have answered or ctx is done.
func (b *Bundle) Fill(ctx context.Context, s Source) {
	names := newNames(s.Objects.Paths())
	b.objects(&s.Objects, names)
	var all sync.WaitGroup
	all.Go(func() { b.doctor(ctx, s.Doctor, names) })
	share := (b.Index.Limit - b.Index.Limit/partOfObjects) / int64(max(len(s.Pods), 1))
	turns := make(chan struct{}, atOnce)
	for _, p := range s.Pods {
		all.Go(func() {
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				b.missing(inPod(p), p.Node, errors.New("there was no time left to ask it"))
				return
			}
			defer func() { <-turns }()
			b.pod(ctx, s, p, share, names)
		})
	}
	all.Wait()
	b.Index.sort()
}

// inPod is the directory of what a pod tells.
func inPod(p inside.Pod) string {
	if p.Node == "" {
		return path.Join("pods", p.Name)
	}
	return path.Join("nodes", p.Node, p.Name)
}

// objects adds one file for each kind.
func (b *Bundle) objects(o *Objects, n names) {
	for kind, list := range o.Kept() {
		for _, object := range list {
			if message, isText := object["message"].(string); isText && kind == "Event" {
				object["message"], _ = n.leaveOut(message)
			}
		}
		content, err := json.MarshalIndent(map[string]any{"apiVersion": "v1", "kind": "List", "items": list}, "", " ")
		if err != nil {
			b.missing("objects/"+kind, "", err)
			continue
		}
		b.addWhole(File{Path: "objects/" + strings.ToLower(kind) + ".json"}, mask(string(content))+"\n")
	}
}

func (b *Bundle) doctor(ctx context.Context, look func(context.Context) ([]answers.Finding, error), n names) {
	const file = "doctor.json"
	found, err := look(ctx)
	if err != nil {
		b.missing(file, "", err)
		return
	}
	for i := range found {
		f := &found[i]
		for _, said := range []*string{&f.About, &f.Message, &f.Cure} {
			*said, _ = n.leaveOut(*said)
			*said = strings.TrimSuffix(*said, "\n")
		}
	}
	content, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		b.missing(file, "", err)
		return
	}
	b.addWhole(File{Path: file}, string(content)+"\n")
}

// pod adds what a pod of the driver has logged, and what it tells of its host, which may have half of the share.
func (b *Bundle) pod(ctx context.Context, s Source, p inside.Pod, share int64, n names) {
	var both sync.WaitGroup
	defer both.Wait()
	both.Go(func() { b.host(ctx, s, p, share/2) })
	const runs = 2 // of each container: this one and the one before
	size := share / 2 / int64(max(len(p.Containers), 1)) / runs
	for _, container := range p.Containers {
		both.Go(func() {
			b.log(ctx, s, p, container, false, size, n)
			b.log(ctx, s, p, container, true, size, n)
		})
	}
}

func (b *Bundle) log(ctx context.Context, s Source, p inside.Pod, container string, previous bool, size int64, n names) {
	file := File{Path: path.Join(inPod(p), container+".log"), Node: p.Node}
	if previous {
		file.Path = path.Join(inPod(p), container+".previous.log")
	}
	ctx, cancel := context.WithTimeout(ctx, logWithin)
	defer cancel()
	var end tail
	err := s.Log(ctx, p, container, previous, b.Index.Since, func(from io.Reader) error {
		end.size = size
		_, err := io.Copy(&end, from)
		return err
	})
	text, cut := end.text()
	if errors.Is(err, inside.ErrNoPredecessor) {
		return
	}
	if err != nil {
		b.missing(file.Path, p.Node, err)
	}
	if text != "" || err == nil {
		file.Cut = cut
		text, file.Reduced = n.leaveOut(text)
		b.add(file, text)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	size, all int64
	kept      []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.all += int64(len(p))
	t.kept = append(t.kept, p...)
	if excess := int64(len(t.kept)) - 2*t.size; excess > 0 {
		t.kept = append([]byte(nil), t.kept[int64(len(t.kept))-t.size:]...)
	}
	return len(p), nil
}

// text is what is kept, from the start of a line on, and how many bytes before it are not.
func (t *tail) text() (text string, cut int64) {
	text, _ = newest(string(t.kept), t.size)
	if int64(len(text)) == t.size && t.all > t.size { // perhaps within a line
		_, text, _ = strings.Cut(text, "\n")
	}
	return strings.ToValidUTF8(text, "\uFFFD"), t.all - int64(len(text))
}

// host adds what glusterfs-csi in a pod tells of its host.
func (b *Bundle) host(ctx context.Context, s Source, p inside.Pod, size int64) {
	what := path.Join(inPod(p), "host")
	if !p.Ready {
		b.missing(what, p.Node, errors.New("the pod is not ready: nothing can be run in it"))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, hostWithin)
	defer cancel()
	args := []string{"dump", fmt.Sprintf("--max-size=%d", size), "--process=" + p.Component}
	if !b.Index.Since.IsZero() {
		args = append(args, "--since="+time.Since(b.Index.Since).Round(time.Second).String())
	}
	if dir := p.Flag("--kubelet-dir"); dir != "" {
		args = append(args, "--kubelet-dir="+dir)
	}
	if !tellsLogs(s.Pods, p) {
		args = append(args, "--without-logs")
	}
	output, err := s.Run(ctx, p, p.Command(args...))
	if err != nil {
		b.missing(what, p.Node, err)
		return
	}
	var told answers.Dump
	if err := json.Unmarshal(output, &told); err != nil {
		b.missing(what, p.Node, fmt.Errorf("its answer is not understood: %w", err))
		return
	}
	for _, f := range told.Files { // a path that climbs would leave the bundle's directory
		b.add(File{Path: inPod(p) + path.Clean("/"+f.Path), Node: p.Node, Cut: f.Cut, Reduced: f.Reduced}, mask(f.Text))
	}
	for _, m := range told.Missing {
		b.missing(inPod(p)+path.Clean("/"+m.What), p.Node, errors.New(m.Why))
	}
}

// tellsLogs says whether the clients' logs of a host are asked of this pod: the node plugin and the mounter of a node
// have the same.
func tellsLogs(all []inside.Pod, p inside.Pod) bool {
	if p.Component != inside.Mounter {
		return true
	}
	for _, other := range all {
		if other.Component == inside.Node && other.Node == p.Node && other.Ready {
			return false
		}
	}
	return true
}
