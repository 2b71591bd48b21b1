// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	persistentVolumes = "/api/v1/persistentvolumes"
	// pageSize is how many objects are asked for at a time.
	pageSize = 500
)

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
	err := list(ctx, c, persistentVolumes, func(pv persistentVolume) bool {
		if pv.Spec.CSI.Driver == driver && strings.HasPrefix(pv.Spec.CSI.VolumeHandle, handles) && pv.Status.Phase == "Bound" &&
			(namespace == "" || pv.Spec.Claim.Namespace == namespace) {
			found = append(found, pv.Spec.Claim)
		}
		return len(found) < most
	})
	return found, err
}

// NeedDriver names what nobody but a driver can end, so many at most: claims that are bound, PersistentVolumes that wait
// to be deleted and, if asked for, VolumeSnapshotContents. It needs the right to list these.
func (c *Client) NeedDriver(ctx context.Context, driver string, snapshots bool, most int) ([]string, error) {
	var found []string
	err := list(ctx, c, persistentVolumes, func(pv persistentVolume) bool {
		switch phase := pv.Status.Phase; {
		case pv.Spec.CSI.Driver != driver:
		case phase == "Bound":
			found = append(found, "claim "+pv.Spec.Claim.Namespace+"/"+pv.Spec.Claim.Name)
		case (phase == "Released" || phase == "Failed") && pv.Spec.Policy == "Delete":
			found = append(found, "PersistentVolume "+pv.Metadata.Name)
		}
		return len(found) < most
	})
	if err != nil || !snapshots || len(found) >= most {
		return found, err
	}
	err = list(ctx, c, "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents", func(content snapshotContent) bool {
		if content.Spec.Driver == driver {
			found = append(found, fmt.Sprintf("VolumeSnapshotContent %s (%s/%s)", content.Metadata.Name, content.Spec.Snapshot.Namespace, content.Spec.Snapshot.Name))
		}
		return len(found) < most
	})
	if errors.Is(err, ErrNone) { // the kind itself: the cluster has no snapshots
		err = nil
	}
	return found, err
}

// list calls fn for each object that is listed at a path, page by page, until it returns false.
func list[T any](ctx context.Context, c *Client, path string, fn func(T) bool) error {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []T `json:"items"`
		}
		if err := c.Do(ctx, Request{Method: http.MethodGet, Path: path, Query: query}, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if !fn(item) {
				return nil
			}
		}
		if page.Metadata.Continue == "" {
			return nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// MadeClaim is what somebody asked for by a PersistentVolumeClaim.
type MadeClaim struct {
	UID    string
	Class  string // "" for none
	Labels map[string]string
}

// GetClaim returns one, bound or not; ErrNone. It needs the right to get PersistentVolumeClaims.
func (c *Client) GetClaim(ctx context.Context, namespace, name string) (MadeClaim, error) {
	var claim struct {
		Metadata struct {
			UID    string            `json:"uid"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Spec struct {
			Class string `json:"storageClassName"`
		} `json:"spec"`
	}
	where := "/api/v1/namespaces/" + url.PathEscape(namespace) + "/persistentvolumeclaims/" + url.PathEscape(name)
	err := c.Do(ctx, Request{Method: http.MethodGet, Path: where}, &claim)
	return MadeClaim{claim.Metadata.UID, claim.Spec.Class, claim.Metadata.Labels}, err
}

// persistentVolume is what is read of one.
type persistentVolume struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Policy string `json:"persistentVolumeReclaimPolicy"`
		CSI    struct {
			Driver       string `json:"driver"`
			VolumeHandle string `json:"volumeHandle"`
		} `json:"csi"`
		Claim Claim `json:"claimRef"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// snapshotContent is what is read of a VolumeSnapshotContent.
type snapshotContent struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		Driver   string `json:"driver"`
		Snapshot struct {
			Namespace string `json:"namespace"`
			Name      string `json:"name"`
		} `json:"volumeSnapshotRef"`
	} `json:"spec"`
}
