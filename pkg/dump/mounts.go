// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

const glusterType = "fuse.glusterfs"

// mountinfoFile is this process's own: that of the container in which the command runs, as the driver's process has it.
const mountinfoFile = "/proc/self/mountinfo"

func (h Host) mounts() (text string, left int, err error) {
	data, err := os.ReadFile(mountinfoFile)
	if err != nil {
		return "", 0, err
	}
	text, left = h.redactMounts(string(data))
	return text, left, nil
}

// published is where kubelet has volumes mounted: what lies there is the root of a volume, and no directory within one.
var published = regexp.MustCompile(`/volumes/kubernetes\.io~csi/[^/]+/mount$`)

// The fields of a line of mountinfo(5), of those that all lines have.
const (
	rootField   = 3
	targetField = 4
	leastFields = 10
)

// redactMounts keeps the mounts of GlusterFS, and those that the driver's directories are on. In their roots the directories
// within volumes, as subPaths have them, are numbers, the same for the same name. The others are counted: their sources,
// options and places are of other people.
func (h Host) redactMounts(mountinfo string) (text string, left int) {
	var lines [][]string
	var volumes []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Split(strings.TrimRight(line, "\n"), " ")
		if len(fields) < leastFields || !h.isConcerned(fields) {
			left++
			continue
		}
		lines = append(lines, fields)
		if isGluster(fields) && published.MatchString(fields[targetField]) {
			volumes = append(volumes, strings.TrimSuffix(fields[rootField], "//deleted"))
		}
	}
	names := map[string]string{}
	var kept strings.Builder
	for _, fields := range lines {
		if isGluster(fields) {
			fields[rootField] = rootOf(fields[rootField], volumes, names)
		}
		fmt.Fprintln(&kept, strings.Join(fields, " "))
	}
	return kept.String(), left
}

// isConcerned says that a mount is of GlusterFS, or that one of the driver's directories is on it.
func (h Host) isConcerned(fields []string) bool {
	if isGluster(fields) {
		return true
	}
	for _, dir := range []string{h.StateDir, h.KubeletDir} {
		if dir != "" && strings.HasPrefix(dir+"/", fields[targetField]+"/") {
			return true
		}
	}
	return false
}

func isGluster(fields []string) bool {
	for i, field := range fields {
		if field == "-" && i+1 < len(fields) {
			return fields[i+1] == glusterType
		}
	}
	return false
}

// rootOf is a root with the longest path of a volume that it begins with, and numbers for what is below. Without one,
// only the first component is kept: a directory at the top of a Gluster volume.
func rootOf(root string, volumes []string, names map[string]string) string {
	kept := ""
	for _, v := range volumes {
		if strings.HasPrefix(root+"/", v+"/") && len(v) > len(kept) {
			kept = v
		}
	}
	if kept == "" {
		end := strings.Index(root[1:], "/")
		if end < 0 {
			return root
		}
		kept = root[:end+1]
	}
	rest, isDeleted := strings.CutSuffix(root[len(kept):], "//deleted")
	for component := range strings.SplitSeq(strings.TrimPrefix(rest, "/"), "/") {
		if component == "" {
			continue
		}
		if names[component] == "" {
			names[component] = fmt.Sprintf("<%d>", len(names)+1)
		}
		kept += "/" + names[component]
	}
	if isDeleted {
		kept += "//deleted"
	}
	return kept
}
