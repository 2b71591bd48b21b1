// SPDX-License-Identifier: Apache-2.0

// Package kubeapi asks the API server of Kubernetes as a pod does: by net/http, with the service account that kubelet
// mounts. It is what a few kinds of requests need, without the tens of megabytes of client-go.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
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
	// requestTimeout bounds one request that is no watch.
	requestTimeout = 10 * time.Second
	// answerSize bounds an answer: a page of 500 objects of some kilobytes.
	answerSize = 32 << 20
)

var (
	// ErrNone is said of an object, or its namespace, that is not there.
	ErrNone = errors.New("there is no such object")
	// ErrThere is said of an object that was to be made.
	ErrThere = errors.New("such an object is there")
)

// RefusedError is an answer that a repetition would not change.
type RefusedError struct {
	Code int // of HTTP
	What string
}

// Error is what the API server has said.
func (r *RefusedError) Error() string { return r.What }

// Client asks the API server with the rights of one service account.
type Client struct {
	// Namespace is the pod's.
	Namespace string

	base      *url.URL
	transport *http.Transport
	tokenFile string // it is renewed by kubelet
}

// New returns a client with the service account in a directory, as Kubernetes mounts one. It asks nothing.
func New(serviceAccount string) (*Client, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("this is no pod of Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
	}
	authority, err := os.ReadFile(filepath.Join(serviceAccount, "ca.crt"))
	if err != nil {
		return nil, err
	}
	namespace, err := os.ReadFile(filepath.Join(serviceAccount, "namespace"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(serviceAccount, "ca.crt"))
	}
	return &Client{
		base:      &url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)},
		transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, IdleConnTimeout: time.Minute},
		tokenFile: filepath.Join(serviceAccount, "token"), Namespace: strings.TrimSpace(string(namespace)),
	}, nil
}

// Request is one to the API server.
type Request struct {
	Method, Path string
	Query        url.Values
	ContentType  string // of Body
	Body         any    // to be sent as JSON; nil for none
}

// Do sends a request and decodes the answer, unless answer is nil. It takes ten seconds at most. An error that is
// neither ErrNone, ErrThere nor a *RefusedError may be none later.
func (c *Client) Do(ctx context.Context, r Request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerSize))
	if err != nil {
		return err
	}
	if err := refused(response, text); err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(text, answer)
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return nil, err
	}
	var sent []byte
	if r.Body != nil {
		if sent, err = json.Marshal(r.Body); err != nil {
			return nil, err
		}
	}
	where := c.base.JoinPath(r.Path)
	where.RawQuery = r.Query.Encode()
	request, err := http.NewRequestWithContext(ctx, r.Method, where.String(), bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Accept", "application/json")
	if r.ContentType != "" {
		request.Header.Set("Content-Type", r.ContentType)
	}
	return c.transport.RoundTrip(request)
}

// refused is what an answer says that is no success.
func refused(response *http.Response, text []byte) error {
	switch code := response.StatusCode; {
	case code < http.StatusMultipleChoices:
		return nil
	case code == http.StatusNotFound:
		return ErrNone
	case code == http.StatusConflict:
		return ErrThere
	case code == http.StatusTooManyRequests || code >= http.StatusInternalServerError || code == http.StatusUnauthorized:
		return fmt.Errorf("the API server answers %s", response.Status)
	}
	var status struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &status)
	return &RefusedError{response.StatusCode, fmt.Sprintf("the API server answers %s: %s", response.Status, status.Message)}
}
