// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// kubernetesFile is in the state directory of a controller that knows which Kubernetes cluster it works for.
const kubernetesFile = "kubernetes"

// WriteKubernetes tells the commands of an administrator the ID of the Kubernetes cluster that the controller works for.
func (r Root) WriteKubernetes(id string) error {
	path := filepath.Join(r.StateDir(), kubernetesFile)
	err := os.WriteFile(path+".new", []byte(id+"\n"), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("which Kubernetes cluster this is: %w", err)
	}
	return nil
}

// Kubernetes reads what WriteKubernetes has written; "" where no controller that has this state directory has said so.
func (r Root) Kubernetes() (string, error) {
	data, err := os.ReadFile(filepath.Join(r.StateDir(), kubernetesFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(data)), err
}
