// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
)

const (
	// pageSize is how many objects are asked for at a time.
	pageSize = 500
	// messageSize is the API's limit for a message, in bytes.
	messageSize = 1024
)

// stamps are the times of an event, and its message.
type stamps struct {
	Type    Type   `json:"type"`
	Message string `json:"message"`
	Last    string `json:"lastTimestamp"`
	Count   int    `json:"count,omitempty"`
}

func stampsOf(e Event, count int) stamps {
	message := e.Message
	if len(message) > messageSize {
		message = strings.ToValidUTF8(message[:messageSize-len("…")], "") + "…"
	}
	return stamps{e.Type, message, time.Now().UTC().Format(time.RFC3339), count}
}

// nameOf is the same in each process, for the same object and reason.
func nameOf(about Object, reason string) string {
	const length, longest = 12, 200
	sum := sha256.Sum256([]byte(about.Kind + "/" + about.UID + "/" + about.Name + "/" + reason))
	return about.Name[:min(len(about.Name), longest)] + ".gluster-" + hex.EncodeToString(sum[:])[:length]
}

func eventsPath(about Object) string { return "/api/v1/namespaces/" + about.Namespace + "/events" }

// create makes an event, or says kubeapi.ErrThere. That its namespace is gone is a refusal.
func (r *Recorder) create(ctx context.Context, about Object, e Event) error {
	type component struct {
		Component string `json:"component"`
	}
	now := stampsOf(e, 1)
	err := r.api.Do(ctx, kubeapi.Request{Method: http.MethodPost, Path: eventsPath(about), ContentType: "application/json", Body: struct {
		stamps

		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
		About      Object            `json:"involvedObject"`
		Reason     string            `json:"reason"`
		First      string            `json:"firstTimestamp"`
		Source     component         `json:"source"`
	}{now, "v1", "Event", map[string]string{"name": nameOf(about, e.Reason), "namespace": about.Namespace}, about, e.Reason, now.Last, component{r.driver}}}, nil)
	if errors.Is(err, kubeapi.ErrNone) {
		err = &kubeapi.RefusedError{Code: http.StatusNotFound, What: "there is no namespace " + about.Namespace}
	}
	return err
}

// patch changes an event that is there, or says kubeapi.ErrNone. A count of 0 leaves that as it is.
func (r *Recorder) patch(ctx context.Context, about Object, e Event, count int) error {
	return r.api.Do(ctx, kubeapi.Request{
		Method: http.MethodPatch, Path: eventsPath(about) + "/" + nameOf(about, e.Reason), ContentType: "application/merge-patch+json", Body: stampsOf(e, count),
	}, nil)
}

// claims are those of a namespace, or of all where it is "", that are bound to PersistentVolumes of the driver whose
// handles begin so, and so many at most.
func (r *Recorder) claims(ctx context.Context, handles, namespace string, most int) ([]Object, error) {
	var found []Object
	query := url.Values{"limit": {fmt.Sprint(pageSize)}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []persistentVolume `json:"items"`
		}
		if err := r.api.Do(ctx, kubeapi.Request{Method: http.MethodGet, Path: "/api/v1/persistentvolumes", Query: query}, &page); err != nil {
			return nil, err
		}
		for _, pv := range page.Items {
			if pv.Spec.CSI.Driver == r.driver && strings.HasPrefix(pv.Spec.CSI.VolumeHandle, handles) && pv.Status.Phase == "Bound" &&
				(namespace == "" || pv.Spec.ClaimRef.Namespace == namespace) {
				found = append(found, Claim(pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name, pv.Spec.ClaimRef.UID))
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
		ClaimRef Object `json:"claimRef"`
	} `json:"spec"`
	Status struct {
		Phase string `json:"phase"`
	} `json:"status"`
}
