// SPDX-License-Identifier: Apache-2.0

package kubeapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/tests/serviceaccount"
)

func newClient(t *testing.T, answers http.HandlerFunc) *kubeapi.Client {
	t.Helper()
	server := httptest.NewTLSServer(answers)
	t.Cleanup(server.Close)
	client, err := kubeapi.New(serviceaccount.Mount(t, server))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestWithoutAnAccountThereIsNoClient(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := kubeapi.New(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no pod of Kubernetes") {
		t.Errorf("%v", err)
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "1")
	if _, err := kubeapi.New(t.TempDir()); err == nil || !strings.Contains(err.Error(), "ca.crt") {
		t.Errorf("%v", err)
	}
}

func TestAnswersAreToldApart(t *testing.T) {
	code := http.StatusOK
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+serviceaccount.Token {
			t.Errorf("it comes as %q", r.Header)
		}
		w.WriteHeader(code)
		fmt.Fprintln(w, `{"message": "it says why"}`)
	})
	if client.Namespace != serviceaccount.Namespace {
		t.Errorf("its namespace is %q", client.Namespace)
	}
	for status, want := range map[int]func(error) bool{
		http.StatusOK:       func(err error) bool { return err == nil },
		http.StatusNotFound: func(err error) bool { return errors.Is(err, kubeapi.ErrNone) },
		http.StatusConflict: func(err error) bool { return errors.Is(err, kubeapi.ErrThere) },
		http.StatusForbidden: func(err error) bool {
			var refusal *kubeapi.RefusedError
			return errors.As(err, &refusal) && refusal.Code == http.StatusForbidden && strings.Contains(refusal.What, "it says why")
		},
		http.StatusServiceUnavailable: func(err error) bool {
			var refusal *kubeapi.RefusedError
			return err != nil && !errors.As(err, &refusal)
		},
	} {
		code = status
		var answer struct{ Message string }
		if err := client.Do(t.Context(), kubeapi.Request{Method: http.MethodGet, Path: "/x"}, &answer); !want(err) || err == nil && answer.Message != "it says why" {
			t.Errorf("%d: %v, %+v", status, err, answer)
		}
	}
}

func TestAWatchTellsEachChange(t *testing.T) {
	answer, status := "", http.StatusOK
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("watch") != "true" || r.URL.Query().Get("timeoutSeconds") == "" {
			t.Errorf("it asks %s", r.URL)
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	})
	var told []string
	watch := func() error {
		told = nil
		return client.Watch(t.Context(), "/api/v1/nodes", func(c kubeapi.Change) error {
			told = append(told, c.Type+" "+string(c.Object))
			if len(told) == 3 {
				return errors.New("enough")
			}
			return nil
		})
	}
	const added, modified = `{"type":"ADDED","object":{"a":1}}`, `{"type":"MODIFIED","object":{"a":2}}`
	for name, test := range map[string]struct {
		answer string
		status int
		told   int
		fails  string
	}{
		"it ends":         {added + "\n" + modified + "\n", http.StatusOK, 2, ""},
		"it breaks":       {added + "\n" + modified[:9], http.StatusOK, 1, "unexpected EOF"},
		"it is too late":  {added + `{"type":"ERROR","object":{"code":410}}`, http.StatusOK, 1, "410"},
		"it is refused":   {`{"message":"nodes is forbidden"}`, http.StatusForbidden, 0, "nodes is forbidden"},
		"who asks has it": {added + added + added + added, http.StatusOK, 3, "enough"},
	} {
		answer, status = test.answer, test.status
		err := watch()
		if len(told) != test.told || (err == nil) != (test.fails == "") || err != nil && !strings.Contains(err.Error(), test.fails) {
			t.Errorf("%s: told %q, %v", name, told, err)
		}
	}
}

func TestAClaimIsAskedFor(t *testing.T) {
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/api/v1/namespaces/shop/persistentvolumeclaims/data" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, `{"metadata": {"uid": "5f0c", "labels": {"app": "web"}}, "spec": {"storageClassName": "glusterfs"}}`)
	})
	claim, err := client.GetClaim(t.Context(), "shop", "data")
	if err != nil || claim.UID != "5f0c" || claim.Class != "glusterfs" || claim.Labels["app"] != "web" {
		t.Errorf("%+v, %v", claim, err)
	}
	if _, err := client.GetClaim(t.Context(), "shop", "gone"); !errors.Is(err, kubeapi.ErrNone) {
		t.Errorf("of none: %v", err)
	}
}
