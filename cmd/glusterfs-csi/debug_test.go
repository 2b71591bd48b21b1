// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/debug"
)

// command runs one as from a shell, and returns what it prints.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&out)
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestWhoAsksForAProcessThatIsNotThereIsTold(t *testing.T) {
	dir := t.TempDir()
	if _, err := command(t, "debug", "goroutines", "--state-dir", dir); err == nil || !strings.Contains(err.Error(), "no process of the driver") {
		t.Error(err)
	}
	for _, mode := range []string{"node", "mounter"} {
		if err := os.WriteFile(debug.Socket(dir, mode), nil, 0o600); err != nil { // as one that was killed leaves it
			t.Fatal(err)
		}
	}
	if _, err := command(t, "debug", "goroutines", "--state-dir", dir); err == nil || !strings.Contains(err.Error(), "--process mounter or node") {
		t.Error(err)
	}
	if _, err := command(t, "debug", "goroutines", "--state-dir", dir, "--process", "all"); err == nil || !strings.Contains(err.Error(), "there are: mounter, node") {
		t.Error(err)
	}
	if _, err := command(t, "debug", "metrics", "--state-dir", dir, "--process", "node"); err == nil || !strings.Contains(err.Error(), "no process answers") {
		t.Error(err)
	}
}

func TestALogOfObjects(t *testing.T) {
	var out bytes.Buffer
	format := textFormat
	if err := format.Set("yaml"); err == nil || format != textFormat {
		t.Errorf("a log as YAML: %v", err)
	}
	if err := format.Set("json"); err != nil {
		t.Fatal(err)
	}
	format.apply(&out)
	defer klog.ClearLogger()
	logger := klog.FromContext(context.Background()).WithValues("volume", "pi/gv0/pvc-1")
	logger.Info("Call ended", "ms", 7)
	logger.V(4).Info("is for those who ask for more")
	logger.Error(os.ErrNotExist, "Call failed")
	var lines []map[string]any
	for line := range strings.Lines(out.String()) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		lines = append(lines, object)
	}
	if len(lines) != 2 || lines[0]["msg"] != "Call ended" || lines[0]["ms"] != 7.0 || lines[0]["volume"] != "pi/gv0/pvc-1" ||
		lines[0]["level"] != "INFO" || lines[1]["level"] != "ERROR" || lines[1]["err"] != "file does not exist" {
		t.Errorf("%s", out.String())
	}
}
