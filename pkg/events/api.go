// SPDX-License-Identifier: Apache-2.0

package events

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// requestTimeout bounds one request.
	requestTimeout = 10 * time.Second
	// pageSize is how many PersistentVolumes are asked for at a time.
	pageSize = 500
	// answerSize bounds an answer: PersistentVolumes have some kilobytes.
	answerSize = 32 << 20
	// messageSize is the API's limit for a message, in bytes.
	messageSize = 1024
)

var (
	errNone  = errors.New("there is no such event")
	errThere = errors.New("such an event is there")
)

// refusal is an answer that a repetition would not change.
type refusal struct{ what string }

// Error is what the API server has said.
func (r *refusal) Error() string { return r.what }

// api is the API server as a pod reaches it.
type api struct {
	base      *url.URL
	client    *http.Client
	tokenFile string // it is renewed by kubelet
	namespace string // of the pod
}

func newAPI(dir string) (*api, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	authority, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	namespace, err := os.ReadFile(filepath.Join(dir, "namespace"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(dir, "ca.crt"))
	}
	return &api{
		base: &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)},
		client: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute,
		}},
		tokenFile: filepath.Join(dir, "token"), namespace: strings.TrimSpace(string(namespace)),
	}, nil
}

// do sends a request and reads the answer. What is no success and could be one later is an error of its own.
func (a *api) do(ctx context.Context, method, path string, query url.Values, contentType string, body, answer any) error {
	token, err := os.ReadFile(a.tokenFile)
	if err != nil {
		return err
	}
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	where := a.base.JoinPath(path)
	where.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, where.String(), bytes.NewReader(sent))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerSize))
	if err != nil {
		return err
	}
	return understood(response, text, answer)
}

func understood(response *http.Response, text []byte, answer any) error {
	switch code := response.StatusCode; {
	case code < http.StatusMultipleChoices && answer == nil:
		return nil
	case code < http.StatusMultipleChoices:
		return json.Unmarshal(text, answer)
	case code == http.StatusNotFound:
		return errNone
	case code == http.StatusConflict:
		return errThere
	case code == http.StatusTooManyRequests || code >= http.StatusInternalServerError || code == http.StatusUnauthorized:
		return fmt.Errorf("the API server answers %s", response.Status)
	}
	var status struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &status)
	return &refusal{fmt.Sprintf("the API server answers %s: %s", response.Status, status.Message)}
}

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

// create makes an event, or says errThere. That its namespace is gone is a refusal.
func (a *api) create(ctx context.Context, driver string, about Object, e Event) error {
	type component struct {
		Component string `json:"component"`
	}
	now := stampsOf(e, 1)
	err := a.do(ctx, http.MethodPost, eventsPath(about), nil, "application/json", struct {
		stamps

		APIVersion string            `json:"apiVersion"`
		Kind       string            `json:"kind"`
		Metadata   map[string]string `json:"metadata"`
		About      Object            `json:"involvedObject"`
		Reason     string            `json:"reason"`
		First      string            `json:"firstTimestamp"`
		Source     component         `json:"source"`
	}{now, "v1", "Event", map[string]string{"name": nameOf(about, e.Reason), "namespace": about.Namespace}, about, e.Reason, now.Last, component{driver}}, nil)
	if errors.Is(err, errNone) {
		err = &refusal{"there is no namespace " + about.Namespace}
	}
	return err
}

// patch changes an event that is there, or says errNone. A count of 0 leaves that as it is.
func (a *api) patch(ctx context.Context, about Object, e Event, count int) error {
	return a.do(ctx, http.MethodPatch, eventsPath(about)+"/"+nameOf(about, e.Reason), nil, "application/merge-patch+json", stampsOf(e, count), nil)
}

// claims are those that are bound to PersistentVolumes of the driver whose handles begin so, and so many at most.
func (a *api) claims(ctx context.Context, driver, handles string, most int) ([]Object, error) {
	var found []Object
	query := url.Values{"limit": {fmt.Sprint(pageSize)}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []persistentVolume `json:"items"`
		}
		if err := a.do(ctx, http.MethodGet, "/api/v1/persistentvolumes", query, "", nil, &page); err != nil {
			return nil, err
		}
		for _, pv := range page.Items {
			if pv.Spec.CSI.Driver == driver && strings.HasPrefix(pv.Spec.CSI.VolumeHandle, handles) && pv.Status.Phase == "Bound" {
				found = append(found, Claim(pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name, pv.Spec.ClaimRef.UID))
			}
		}
		if page.Metadata.Continue == "" || len(found) >= most {
			return found[:min(len(found), most)], nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// pod is the one with a UID that is on a node, or errNone.
func (a *api) pod(ctx context.Context, node, uid string) (Object, error) {
	query := url.Values{"limit": {fmt.Sprint(pageSize)}, "fieldSelector": {"spec.nodeName=" + node}}
	for {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []struct {
				Metadata Object `json:"metadata"`
			} `json:"items"`
		}
		if err := a.do(ctx, http.MethodGet, "/api/v1/pods", query, "", nil, &page); err != nil {
			return Object{}, err
		}
		for _, p := range page.Items {
			if p.Metadata.UID == uid {
				p.Metadata.APIVersion, p.Metadata.Kind = "v1", "Pod"
				return p.Metadata, nil
			}
		}
		if page.Metadata.Continue == "" {
			return Object{}, errNone
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
