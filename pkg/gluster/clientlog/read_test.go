// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestErrorLines(t *testing.T) {
	const log = `[2026-11-22 21:39:03.803266 +0000] I [MSGID: 100030] [glusterfsd.c:2767:main] 0-glusterfs: Started running version [{arg=glusterfs}] 
[2026-11-22 21:39:03.803266 +0000] E [glusterfsd-mgmt.c:2170:mgmt_getspec_cbk] 0-glusterfs: failed to get the 'volume file' from server
Final graph:
  1: volume gv0-client-0
[2026-11-22 21:39:03.971825 +0000] E [MSGID: 114058] [client-handshake.c:1193:client_query_portmap_cbk] 0-gv0-client-0: failed to get the port number. [] 
[2026-11-22 21:39:03.971825 +0000] W [fuse-resolve.c:125:fuse_resolve_gfid_cbk] 0-fuse: failed to resolve
[2026-11-22 21:39:04.971825 +0000] E [glusterfsd-mgmt.c:2170:mgmt_getspec_cbk] 0-glusterfs: failed to get the 'volume file' from server
[2026-11-22 21:39:27.251039 +0000] I [glusterfsd-mgmt.c:2673:mgmt_rpc_notify] 0-glusterfsd-mgmt: disconnected from remote-host: 127.83.9.1
`
	want := []string{
		"0-gv0-client-0: failed to get the port number.",
		"0-glusterfs: failed to get the 'volume file' from server",
		"0-glusterfsd-mgmt: disconnected from remote-host: 127.83.9.1",
	}
	if got := errorLines(log); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorLinesAreBounded(t *testing.T) {
	var log strings.Builder
	for i := range 100 {
		log.WriteString("[t] E [a.c:1:f] 0-x: " + strings.Repeat("long", 1000) + strings.Repeat("!", i) + "\n")
		log.WriteString("[t] E [a.c:1:f] 0-x: " + strings.Repeat("?", i) + "\n")
	}
	got := errorLines(log.String())
	if len(got) != maxLogLines {
		t.Errorf("%d lines", len(got))
	}
	for _, line := range got {
		if len(line) > maxLogLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got, err := tail(path, 0); err != nil || got != "" {
		t.Errorf("a missing file is %q, %v", got, err)
	}
	const line = "0123456789abcde\n"
	const many = 100_000
	if err := os.WriteFile(path, []byte(strings.Repeat(line, many)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		offset int64
		want   int
	}{
		{"from the start of a long file", 0, logTail - len(line)}, // the first line is cut off as it may not be whole
		{"near its end", int64(len(line) * (many - 2)), 2 * len(line)},
		{"at its end", int64(len(line) * many), 0},
		{"beyond its end, as it was rotated", int64(len(line) * (many + 1)), logTail - len(line)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := tail(path, test.offset)
			if err != nil || len(got) != test.want || !strings.HasPrefix(got+line, line) {
				t.Errorf("%d bytes, want %d, %v", len(got), test.want, err)
			}
		})
	}
}

func FuzzErrorLines(f *testing.F) {
	f.Add("[t] E [a.c:1:f] 0-x: message [] \n")
	f.Add("[2026-11-22 21:39:03.971825 +0000] C [MSGID: 1] [a.c:1:f] 0-x: ")
	f.Add("] E [\n\n[")
	f.Fuzz(func(t *testing.T, log string) {
		if lines := errorLines(log); len(lines) > maxLogLines {
			t.Errorf("%d lines", len(lines))
		}
	})
}
