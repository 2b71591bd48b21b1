// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"strconv"
	"strings"
)

// attributesFile is the name of a link, taken apart.
type attributesFile struct {
	file
	stamp      string
	generation int64
}

func parseAttributesFile(f file) (attributesFile, bool) {
	stamp, number, _ := cutLast(f.name, ".")
	_, _, isStamp := parseStamp(stamp)
	generation, err := strconv.ParseInt(number, 10, 64)
	return attributesFile{f, stamp, generation}, isStamp && err == nil && generation > 0 && attributesName(stamp, generation) == f.name
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

// highest are the links of the highest generation in one directory, by stamp.
func highest(files []file) map[string]attributesFile {
	found := map[string]attributesFile{}
	for _, f := range files {
		if a, ok := parseAttributesFile(f); ok && a.generation > found[a.stamp].generation {
			found[a.stamp] = a
		}
	}
	return found
}
