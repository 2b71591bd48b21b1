// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"regexp"
	"slices"
	"strings"
)

// blocks are secrets of several lines, or that are known by what they are.
var blocks = []*regexp.Regexp{
	regexp.MustCompile(`()eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`), // a token of Kubernetes
	regexp.MustCompile(`()-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?`),
	regexp.MustCompile(`()\A[\w+/=\s\\]*-----END [A-Z ]*PRIVATE KEY-----`), // of a log whose older part was cut off within a key
}

// hints are the words, one of which a line has with one of the secrets below. To look for these first takes a small part of the time.
var hints = []string{"password", "passwd", "secret", "token", "authorization", "bearer", "basic"}

// key is the name before a secret, as text, JSON, YAML and JSON within a text have it.
const key = `(?i)((?:password|passwd|secret|token)\\*["']?[ \t]*`

// secrets are what looks like one in a line. What is in the first parentheses stays, so that a line of JSON still is one.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(?i)(authorization\\*["']?[ \t]*[:=][ \t]*\[?(?:\\*["'])?)[^\s"'\\[\]][^\r\n"'\\\]]*`),
	regexp.MustCompile(`(?i)(\b(?:bearer|basic) +)[\w.~+/=-]{8,}`),
	regexp.MustCompile(key + `[:=][ \t]*")(?:[^"\\\n]|\\.)+`),
	regexp.MustCompile(key + `[:=][ \t]*\\+")[^"\\\n]+`),
	regexp.MustCompile(key + `[:=][ \t]*')[^'\n]+`),
	regexp.MustCompile(key + `=[ \t]*)[^\s"'\\,;][^\s"',;]*`),
	regexp.MustCompile(key + `:[ \t]*)[^\s"'\\,;{[][^\s"',;]*`), // not an object or a list of JSON
}

// mask leaves out what looks like a secret.
func mask(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(replace(text, blocks)) {
		if small := strings.ToLower(line); slices.ContainsFunc(hints, func(hint string) bool { return strings.Contains(small, hint) }) {
			line = replace(line, secrets)
		}
		kept.WriteString(line)
	}
	return kept.String()
}

func replace(text string, each []*regexp.Regexp) string {
	for _, e := range each {
		text = e.ReplaceAllString(text, "${1}<left out>")
	}
	return text
}

// names knows the names that files within volumes have in texts of the driver's own: what follows the path of a volume.
type names struct{ within *regexp.Regexp }

// newNames is for the volumes with these paths. Those of volumes that are gone are known where their names are the
// provisioner's, and in the driver's own directory.
func newNames(paths []string) names {
	const uuid = `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`
	known := []string{`pvc-` + uuid, `\.glusterfs-csi/(?:trash|creating)(?:/[0-9a-f]{2})?/[^/\s]+`}
	slices.SortFunc(paths, func(a, b string) int { return len(b) - len(a) })
	for _, p := range paths {
		if p = strings.Trim(p, "/"); p != "" {
			known = append(known, regexp.QuoteMeta(p))
		}
	}
	return names{regexp.MustCompile(`(?:` + strings.Join(known, "|") + `)/`)}
}

// leaveOut ends each line where a name within a volume begins, since nothing tells where such a name ends, and keeps
// of the rest the errors that it says. Kubernetes' own directories go on after the name of a PersistentVolume, and are
// no names.
func (n names) leaveOut(text string) (shown string, reduced int) {
	var kept strings.Builder
	inBlock := false // of a value of several lines, in which a name was found
	for line := range strings.Lines(mask(text)) {
		if inBlock && strings.HasPrefix(line, "\t") {
			continue
		}
		inBlock = false
		at := n.find(line)
		if at < 0 {
			kept.WriteString(line)
			continue
		}
		reduced++
		inBlock = true
		kept.WriteString(line[:at] + "…" + strings.Join(errorsNamed(line[at:]), "") + "\n")
	}
	return kept.String(), reduced
}

// Kubernetes' own directories of a volume: where it is mounted in a pod, and its subPaths there, which have numbers.
var (
	inVolumes  = regexp.MustCompile(`/kubernetes\.io~csi/$`)
	inSubPaths = regexp.MustCompile(`/volume-subpaths/$`)
)

// find is where the first name begins, or -1.
func (n names) find(line string) int {
	for _, match := range n.within.FindAllStringIndex(line, -1) {
		before, after := line[:match[0]], line[match[1]:]
		switch {
		case inSubPaths.MatchString(before):
		case inVolumes.MatchString(before) && strings.HasPrefix(after, "mount/"):
			return match[1] + len("mount/")
		case inVolumes.MatchString(before):
		default:
			return match[1]
		}
	}
	return -1
}

// said are the errors of Linux that a person looks for.
var said = []string{
	"no such file or directory", "permission denied", "operation not permitted", "input/output error", "transport endpoint is not connected",
	"stale file handle", "stale NFS file handle", "no space left on device", "disk quota exceeded", "file exists", "not a directory", "is a directory",
	"directory not empty", "too many levels of symbolic links", "file name too long", "connection timed out", "device or resource busy",
	"read-only file system", "invalid argument", "operation not supported", "too many links", "invalid cross-device link",
	"context deadline exceeded", "context canceled",
}

// errorsNamed are the errors that a text names.
func errorsNamed(text string) (found []string) {
	for _, s := range said {
		if strings.Contains(text, s) {
			found = append(found, " ("+s+")")
		}
	}
	return found
}
