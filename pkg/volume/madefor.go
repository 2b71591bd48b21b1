// SPDX-License-Identifier: Apache-2.0

package volume

// MadeFor is what Kubernetes wanted a volume for, kept for whoever makes its objects again after they were deleted. The
// driver itself goes by nothing of it.
type MadeFor struct {
	Namespace    string            `json:"namespace,omitempty"`
	Claim        string            `json:"claim,omitempty"`
	AccessModes  []string          `json:"accessModes,omitempty"`  // as Kubernetes calls them, in the claim's order
	MountOptions []string          `json:"mountOptions,omitempty"` // the class's
	Parameters   map[string]string `json:"parameters,omitempty"`   // the class's, by which it is known again
}
