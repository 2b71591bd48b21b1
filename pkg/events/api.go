// SPDX-License-Identifier: Apache-2.0

package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
)

// messageSize is the API's limit for a message, in bytes.
const messageSize = 1024

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
