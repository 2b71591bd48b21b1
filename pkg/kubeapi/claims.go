// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pageSize is how many PersistentVolumes are asked for at a time.
const pageSize = 500

// Claim is a PersistentVolumeClaim that is bound.
type Claim struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// Claims are those of a namespace, or of all where it is "", that are bound to PersistentVolumes of a driver whose handles
// begin so, and so many at most. The only right that it needs is to list PersistentVolumes.
func (c *Client) Claims(ctx context.Context, driver, handles, namespace string, most int) ([]Claim, error) {
	var found []Claim
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []persistentVolume `json:"items"`
		}
		if err := c.Do(ctx, Request{Method: http.MethodGet, Path: "/api/v1/persistentvolumes", Query: query}, &page); err != nil {
			return nil, err
		}
		for _, pv := range page.Items {
			if pv.Spec.CSI.Driver == driver && strings.HasPrefix(pv.Spec.CSI.VolumeHandle, handles) && pv.Status.Phase == "Bound" &&
				(namespace == "" || pv.Spec.Claim.Namespace == namespace) {
				found = append(found, pv.Spec.Claim)
			}
		}
		if page.Metadata.Continue == "" || len(found) >= most {
			return found[:min(len(found), most)], nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// persistentVolume is what is read of one.
type persistentVolume struct {
	Spec struct {
		CSI struct {
			Driver       string `json:"driver"`
			VolumeHandle string `json:"volumeHandle"`
		} `json:"csi"`
		Claim Claim `json:"claimRef"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}
