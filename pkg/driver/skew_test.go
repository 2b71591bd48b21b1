// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
)

// Kubelet repeats what is Unavailable, and shows the pod's owner no mistake of his.
func TestAnOptionThatAnOlderMounterDoesNotKnowIsUnavailable(t *testing.T) {
	socket := filepath.Join(newDir(t), "m")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	// As a mounter from before consistency: strict, which says nothing of its own version either.
	older := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"error":"client option refused: \"consistency=strict\": the options for clients are acl","kinds":["Option"]}`)
	})}
	go func() { _ = older.Serve(listener) }()
	defer older.Close()
	r := serve(t, clustersYAML([]string{"127.87.0.3"}, "gv0"), func(o *Options) { o.Mode, o.Mounter = Node, "unix://"+socket })
	v := static("gv0", "/")
	v.VolumeContext[consistencyKey] = strict
	err = r.tryPublish(v, r.target("pod"))
	code(t, err, codes.Unavailable, "an older version", "version test", "kubectl delete pod", "component=mounter", "spec.nodeName=pi-worker1", "consistency=strict")
	nothingAt(t, r.target("pod"))
}
