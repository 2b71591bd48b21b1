// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"regexp"
	"slices"
	"strings"
)

// maxUnreadable is how many paths are told.
const maxUnreadable = 100

// unreadableLine is what a client logs of a look at a file, or of the opening of one, that ends with EIO. (GlusterFS
// 10.3, fuse-bridge.c: "12: OPEN() /pvc-1/file => -1 (Input/output error)"; that of a read names no path.)
var unreadableLine = regexp.MustCompile(`^\d+-glusterfs-fuse: \d+: [A-Z_]+\(\) (/.+) => -1 \(Input/output error\)$`)

// Unreadable returns the paths of files, from the Gluster volume's root, for which the end of a client's log has an
// input/output error: the last ones, each once. A log that cannot be read says nothing.
func Unreadable(logPath string) []string {
	log, _ := tail(logPath, 0)
	return unreadable(log)
}

func unreadable(log string) (paths []string) {
	const mark = "=> -1 (Input/output error)"
	lines := slices.Collect(strings.Lines(log))
	for _, line := range slices.Backward(lines) {
		if len(paths) == maxUnreadable {
			break
		}
		if !strings.Contains(line, mark) { // most lines
			continue
		}
		match := logLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil {
			continue
		}
		file := unreadableLine.FindStringSubmatch(match[2])
		if file != nil && !slices.Contains(paths, file[1]) {
			paths = append(paths, file[1])
		}
	}
	return paths
}
