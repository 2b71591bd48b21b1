// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Several Kubernetes clusters may have volumes on one Gluster volume. Each is known by an ID, that of its namespace
// kube-system unless the operator chose one; "" is none: what has it was made by a driver that did not know any, and
// belongs to the first that changes it. What belongs to whom is written in docs/two-clusters.md.

// maxKubernetes is in bytes: a file's name has it.
const maxKubernetes = 63

var kubernetesForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// CheckKubernetes returns an error unless a word may be the ID of a Kubernetes cluster.
func CheckKubernetes(id string) error {
	if len(id) > maxKubernetes || !kubernetesForm.MatchString(id) {
		return fmt.Errorf("%.80q is no ID of a Kubernetes cluster: letters, digits, dots, dashes and underscores, %d at most", id, maxKubernetes)
	}
	return nil
}

// IsOthers says of what belongs to one Kubernetes cluster whether it is another's than the own one. What belongs to
// nobody is not.
func IsOthers(of, own string) bool { return of != "" && of != own }

// Unsaid is the retention of who does not say for how long what it deletes is to be kept.
const Unsaid time.Duration = -1

// Keeping says of a deleted volume for how long it is kept, by the Kubernetes cluster that deleted it.
type Keeping struct {
	Retention  time.Duration // Unsaid: each reaper goes by its own
	Kubernetes string
}

// keepingForm is what follows the entry's name, which has no plus sign.
var keepingForm = regexp.MustCompile(`^([^+]+)\+(\d+(?:\.\d+)?)s(?:@(.+))?$`)

// EntryBase is what the files of a trash entry are called, before their suffix: the entry's name and what is said of its
// keeping. A deletion must work without space, and so this is in a name and in no file.
func EntryBase(name string, k Keeping) string {
	if k.Retention < 0 {
		return name
	}
	base := name + "+" + strconv.FormatFloat(k.Retention.Seconds(), 'f', -1, 64) + "s"
	if k.Kubernetes != "" {
		base += "@" + k.Kubernetes
	}
	return base
}

// ParseEntryBase reads what EntryBase gives; ok if a trash entry has it.
func ParseEntryBase(base string) (name string, k Keeping, ok bool) {
	if !strings.Contains(base, "+") {
		return base, Keeping{Retention: Unsaid}, IsEntryName(base)
	}
	match := keepingForm.FindStringSubmatch(base)
	if match == nil || !IsEntryName(match[1]) || match[3] != "" && CheckKubernetes(match[3]) != nil {
		return "", Keeping{}, false
	}
	retention, err := time.ParseDuration(match[2] + "s")
	k = Keeping{Retention: retention, Kubernetes: match[3]}
	return match[1], k, err == nil
}

func isEntryBase(base string) bool {
	_, _, ok := ParseEntryBase(base)
	return ok
}
