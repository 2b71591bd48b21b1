// SPDX-License-Identifier: Apache-2.0

package store

import (
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// AttributesFile is the name of a link, taken apart.
type AttributesFile struct {
	File
	stamp      string
	generation int64
}

func parseAttributesFile(f File) (AttributesFile, bool) {
	stamp, number, _ := cutLast(f.Name, ".")
	_, _, isStamp := volume.ParseStamp(stamp)
	generation, err := strconv.ParseInt(number, 10, 64)
	return AttributesFile{f, stamp, generation}, isStamp && err == nil && generation > 0 && attributesName(stamp, generation) == f.Name
}

func cutLast(s, sep string) (before, after string, found bool) {
	at := strings.LastIndex(s, sep)
	if at < 0 {
		return s, "", false
	}
	return s[:at], s[at+len(sep):], true
}

func attributesName(stamp string, generation int64) string {
	return stamp + "." + strconv.FormatInt(generation, 10)
}

// Latest are the links of the highest generation in one directory, by stamp.
func Latest(files []File) map[string]AttributesFile {
	found := map[string]AttributesFile{}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation > found[a.stamp].generation {
			found[a.stamp] = a
		}
	}
	return found
}
