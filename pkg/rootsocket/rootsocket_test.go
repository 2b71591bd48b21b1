// SPDX-License-Identifier: Apache-2.0

package rootsocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// What is under way when a server ends may need what its caller takes away next.
func TestServeReturnsWhenWhatIsUnderWayHasEnded(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := Listen(ctx, path, "a test")
	if err != nil {
		t.Fatal(err)
	}
	asked, goOn, served := make(chan bool), make(chan bool), make(chan error, 1)
	var hasEnded atomic.Bool
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-goOn
		_, _ = io.WriteString(w, "answered")
		hasEnded.Store(true)
	})}
	go func() {
		err := Serve(ctx, server, listener, time.Minute)
		if !hasEnded.Load() {
			err = errors.Join(err, errors.New("it has returned while a call was under way"))
		}
		served <- err
	}()
	answered := make(chan error, 1)
	go func() { answered <- ask(t.Context(), path) }()
	<-asked
	end()
	for { // until nobody listens any more
		conn, err := net.Dial("unix", path) //nolint:noctx // a unix socket answers at once
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	close(goOn)
	if err := errors.Join(<-answered, <-served); err != nil {
		t.Error(err)
	}
}

// ask asks, and is answered.
func ask(ctx context.Context, path string) error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://socket/", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); string(text) != "answered" {
		return errors.Join(err, errors.New("not answered: "+string(text)))
	}
	return nil
}
