// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package mounter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/textlogger"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// refusesStrict is what a mounter from before consistency: strict answers; its list of options is longer.
const refusesStrict = `{"error":"client option refused: \"consistency=strict\": the options for clients are acl, log-level","kinds":["Option"]}`

// aMounter answers every call in this way, until the test ends.
func aMounter(t *testing.T, status int, header http.Header, body string) (socket string) {
	t.Helper()
	socket = socketPath(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return socket
}

func headers(version string, layout int) http.Header {
	header := http.Header{}
	side{version, layout}.tell(header)
	return header
}

const aClient = `[{"volume":{"cluster":"pi","volume":"gv0"},"options":[],"pid":7,"mountpoint":"/m","device":{"major":0,"minor":9},"adopted":true%s}]`

func TestAMounterOfAnotherVersion(t *testing.T) {
	const deletePod = "kubectl delete pod -A -l app.kubernetes.io/name=glusterfs-csi,app.kubernetes.io/component=mounter --field-selector spec.nodeName=pi-worker1"
	for name, test := range map[string]struct {
		status int
		header http.Header
		body   string
		says   []string // "" where there is a client
	}{
		"older, which says nothing of itself": {http.StatusOK, nil, fmt.Sprintf(aClient, ""), nil},
		"older, that does not know an option": {
			http.StatusServiceUnavailable, nil, refusesStrict,
			[]string{"an older version", "version 2.0", "consistency=strict", deletePod},
		},
		"that says which and does not know an option": {
			http.StatusServiceUnavailable, headers("1.9", statedir.Layout), refusesStrict,
			[]string{"version 1.9", "version 2.0", "consistency=strict", deletePod},
		},
		"newer, with more members": {http.StatusOK, headers("3.0", statedir.Layout), fmt.Sprintf(aClient, `,"cpu":[1]`), nil},
		"newer, with another layout": {
			http.StatusOK, headers("3.0", statedir.Layout+1), fmt.Sprintf(aClient, ""),
			[]string{"version 3.0", "version 2.0", "do not find each other's clients", "glusterfs-csi-node"},
		},
		"older, with another layout": {
			http.StatusOK, headers("1.0", statedir.Layout-1), fmt.Sprintf(aClient, ""),
			[]string{"version 1.0", "version 2.0", "do not find each other's clients", deletePod},
		},
	} {
		t.Run(name, func(t *testing.T) {
			client := NewClient(aMounter(t, test.status, test.header, test.body), "2.0", "pi-worker1")
			info, err := client.Ensure(t.Context(), gv0, nil)
			if len(test.says) == 0 {
				if err != nil || info.PID != 7 {
					t.Errorf("got %+v, %v", info, err)
				}
				return
			}
			if !errors.Is(err, gluster.ErrUnreachable) || errors.Is(err, gluster.ErrOption) {
				t.Fatalf("got %v", err)
			}
			for _, word := range test.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("it does not say %q: %v", word, err)
				}
			}
		})
	}
}

func TestTheOtherVersionIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	ctx := klog.NewContext(t.Context(), textlogger.NewLogger(textlogger.NewConfig(textlogger.Output(&log))))
	client := NewClient(aMounter(t, http.StatusOK, headers("1.9", statedir.Layout), "[]"), "2.0", "pi-worker1")
	for range 3 {
		if _, err := client.List(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "The mounter is of another version"); n != 1 || !strings.Contains(log.String(), "version 1.9") {
		t.Errorf("logged %d times:\n%s", n, &log)
	}
}

func TestANodePluginOfAnotherVersion(t *testing.T) {
	socket := serve(t, newHost(t))
	for name, test := range map[string]struct {
		header http.Header
		status int
		says   string
	}{
		"older, which says nothing of itself": {nil, http.StatusOK, `"mountpoint"`},
		"newer":                               {headers("3.0", statedir.Layout), http.StatusOK, `"mountpoint"`},
		"newer, with another layout":          {headers("3.0", statedir.Layout+1), http.StatusServiceUnavailable, "delete the mounter's pod"},
		"older, with another layout":          {headers("1.0", statedir.Layout-1), http.StatusServiceUnavailable, "the node plugin has to be updated"},
	} {
		t.Run(name, func(t *testing.T) {
			status, header, body := post(t, socket, test.header, `{"cluster":"pi","volume":"gv0","options":[],"ofALaterVersion":1}`)
			if status != test.status || !strings.Contains(body, test.says) {
				t.Errorf("answered %d %s", status, body)
			}
			if got := sideOf(header); got != ourSide("test") {
				t.Errorf("it says that it is %v", got)
			}
		})
	}
}

// post is a call as another version's node plugin makes it.
func post(t *testing.T, socket string, header http.Header, body string) (status int, answered http.Header, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://mounter"+clientsPath, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(data)
}
