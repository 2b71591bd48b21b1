// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// publishedDir is in the state directory, with a file for each Published.
const publishedDir = "published"

// Published is a volume that kubelet has published for a pod.
type Published struct {
	gluster.Volume

	Pod       string `json:"pod"`       // its UID in Kubernetes
	Namespace string `json:"namespace"` // the pod's, and its name; "" where kubelet has not said them
	Name      string `json:"name"`
	Root      string `json:"root"`    // of the mount: a directory of the Gluster volume
	Target    string `json:"target"`  // where it was published
	Restart   bool   `json:"restart"` // its class says that the pod's containers are to be restarted when they keep files of a dead client open
}

// Has says whether a directory, or file, is of the volume.
func (p Published) Has(v gluster.Volume, root string) bool {
	return p.Volume == v && (p.Root == "/" || root == p.Root || strings.HasPrefix(root, p.Root+"/"))
}

// WritePublished remembers one, until its target is unpublished.
func (r Root) WritePublished(p Published) error {
	err := os.MkdirAll(filepath.Join(r.StateDir(), publishedDir), 0o700)
	if err == nil {
		err = writeJSON(r.publishedFile(p.Target), p)
	}
	if err != nil {
		return fmt.Errorf("remember for which pod it was published: %w", err)
	}
	return nil
}

// RemovePublished is for a target that nothing is published at.
func (r Root) RemovePublished(target string) error {
	if err := os.Remove(r.publishedFile(target)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("forget what was published: %w", err)
	}
	return nil
}

// Published lists them.
func (r Root) Published() ([]Published, error) {
	var all []Published
	err := eachFile(filepath.Join(r.StateDir(), publishedDir), func(_ string, p Published) error {
		all = append(all, p)
		return nil
	})
	return all, err
}

// publishedFile has a name that is short enough, whatever the target.
func (r Root) publishedFile(target string) string {
	sum := sha256.Sum256([]byte(target))
	return filepath.Join(r.StateDir(), publishedDir, hex.EncodeToString(sum[:])+".json")
}
