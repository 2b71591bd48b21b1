// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// ReportsDir has what nodes report of the pods that use the Gluster volume. A node has no rights in Kubernetes' API, and
// the controller has them: what only the node can see and only the controller can say goes this way.
//
// A report is the content of a symbolic link, reports/<shard>/<hash of the node's name>.<time>: made whole in one step,
// by a name that was never there before, and that one process makes. The latest counts, and the node removes the others.
// It is not forced to disk: who reports does so again each hour, by another name. What stays is of a node that was lost.
const ReportsDir = "reports"

// maxReport is how long a symbolic link's content may be, in bytes.
const maxReport = 4095

// Report is what a node says of the pods on it.
type Report struct {
	Node string `json:"node"`
	Pods []Pod  `json:"pods"`
}

// Pod is what a node says of one pod.
type Pod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
	Code      string `json:"code"`
	Message   string `json:"message"` // what it is, and the cure
}

// content is the report in as many bytes as a link may have: what is too long is cut, and what is too much left out.
func (r Report) content() (string, error) {
	const maxMessage = 512
	pods := slices.Clone(r.Pods)
	for i := range pods {
		if len(pods[i].Message) > maxMessage {
			pods[i].Message = strings.ToValidUTF8(pods[i].Message[:maxMessage], "") + "…"
		}
	}
	for n := len(pods); ; n-- {
		text, err := json.Marshal(Report{r.Node, pods[:n]})
		if err != nil || len(text) <= maxReport {
			return string(text), err
		}
		if n == 0 {
			return "", fmt.Errorf("the name of node %.40s… is too long to report anything", r.Node)
		}
	}
}

// reportName takes the name of a report apart.
func reportName(name string) (node string, made int64, ok bool) {
	node, stamp, _ := strings.Cut(name, ".")
	made, err := strconv.ParseInt(stamp, 10, 64)
	return node, made, err == nil
}

// SetReport replaces what a node reports; without pods, it takes it back. A node reports by one call at a time.
func (s *Store) SetReport(r Report) error {
	const hashed = 8
	sum := sha256.Sum256([]byte(r.Node))
	node := fmt.Sprintf("%x", sum[:hashed])
	files, err := s.FilesOf(ReportsDir, r.Node)
	if err != nil {
		return s.Explain(err)
	}
	var latest int64
	before := slices.DeleteFunc(files, func(f owndir.File) bool {
		by, made, ok := reportName(f.Name)
		latest = max(latest, made)
		return !ok || by != node
	})
	if len(r.Pods) > 0 {
		content, err := r.content()
		if err != nil {
			return err
		}
		dir, err := s.EnsureShard(ReportsDir, r.Node)
		if err == nil {
			err = dir.Symlink(content, fmt.Sprintf("%s.%d", node, max(time.Now().UnixNano(), latest+1)))
		}
		if err != nil {
			return s.Explain(err)
		}
	}
	var errs []error
	for _, f := range before {
		if err := f.Dir.Unlink(f.Name); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return s.Explain(errors.Join(errs...))
}

// Reports returns what nodes report, by the nodes' names, and whether that is all of it: what was just replaced is read the
// next time. What cannot be read is in the error, beside the others.
func (s *Store) Reports() (reports []Report, isAll bool, err error) {
	files, err := s.Files(ReportsDir)
	isAll = err == nil
	errs := []error{err}
	latest := map[string]owndir.File{}
	for _, f := range files {
		node, made, ok := reportName(f.Name)
		if _, other, _ := reportName(latest[node].Name); ok && made > other {
			latest[node] = f
		}
	}
	for _, f := range latest {
		content, err := owndir.Readlink(f.Dir, f.Name)
		if errors.Is(err, fs.ErrNotExist) {
			isAll = false
			continue
		}
		var r Report
		if err == nil {
			err = json.Unmarshal([]byte(content), &r)
		}
		if err != nil {
			isAll = false
			errs = append(errs, fmt.Errorf("%s: %w", s.PathOf(f), err))
			continue
		}
		reports = append(reports, r)
	}
	slices.SortFunc(reports, func(a, b Report) int { return cmp.Compare(a.Node, b.Node) })
	return reports, isAll, s.Explain(errors.Join(errs...))
}

// SettleReports removes what nodes have reported that were lost since: a report that stays as it is for a day.
func (s *Store) SettleReports() error {
	files, err := s.Files(ReportsDir)
	if err != nil {
		return s.Explain(err)
	}
	seen := map[string]bool{}
	var errs []error
	for _, f := range files {
		seen[f.Name] = true
		if s.IsLost(&s.Memory.reports, f.Name) {
			errs = append(errs, volume.IgnoreNotExist(f.Dir.Unlink(f.Name)))
		}
	}
	s.Memory.reports.Keep(seen)
	return s.Explain(errors.Join(errs...))
}
