// SPDX-License-Identifier: Apache-2.0

package copies

import (
	"fmt"
	"strings"
)

// namesKept is how many names a list has; the others are counted.
const namesKept = 20

// Names are paths from the top of the tree, with a reason where there is one: the first few of Count. A path may hold
// any byte.
type Names struct {
	Count int64
	First []string
}

func (n *Names) add(name string) {
	n.Count++
	if len(n.First) < namesKept {
		n.First = append(n.First, name)
	}
}

// String is for a log.
func (n *Names) String() string {
	quoted := make([]string, 0, len(n.First))
	for _, name := range n.First {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	if more := n.Count - int64(len(n.First)); more > 0 {
		quoted = append(quoted, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quoted, ", ")
}
