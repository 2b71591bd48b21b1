// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"strings"
	"testing"
	"time"
)

// A client's log as GlusterFS 10.3 writes it, with a file whose name is of many words.
const logOfFiles = `[2026-11-26 23:35:14.916488 +0000] I [MSGID: 100030] [glusterfsd.c:2767:main] 0-glusterfs: Started running version [{arg=glusterfs}, {version=10.3}] 
Final graph:
+------------------------------------------------------------------------------+
  1: volume gv0-client-0
  2:     type protocol/client
  3:     option username 9f8e7d6c-secret-user
  4:     option password 1a2b3c4d-secret-password
  5:     option ping-timeout 42
  6: end-volume
+------------------------------------------------------------------------------+
[2026-11-26 23:35:15.381227 +0000] W [MSGID: 108001] [afr-common.c:6423:afr_notify] 0-gv0-replicate-0: Client-quorum is not met 
[2026-11-26 23:35:18.395668 +0000] W [fuse-bridge.c:1400:fuse_attr_cbk] 0-glusterfs-fuse: 88: LOOKUP() /pvc-1/my diary => love.txt => -1 (Transport endpoint is not connected)
[2026-11-26 23:35:18.395669 +0000] W [MSGID: 114031] [client-rpc-fops_v2.c:2561:client4_0_lookup_cbk] 0-gv0-client-0: remote operation failed. [{path=/pvc-1/my diary}, {gfid=00000000-0000-0000-0000-000000000001}, {errno=2}, {error=No such file or directory}] 
[2026-11-26 23:35:18.395670 +0000] E [MSGID: 108008] [afr-self-heal-common.c:384:afr_gfid_split_brain_source] 0-gv0-replicate-0: Gfid mismatch detected for <gfid:0f0e0d0c-0000-4000-8000-00000000000a>/my diary
The message "W [MSGID: 114031] [client-rpc-fops_v2.c:2561:client4_0_lookup_cbk] 0-gv0-client-0: remote operation failed. [{path=/my diary}]" repeated 9 times between [2026-11-26 23:35:18.395627 +0000] and [2026-11-26 23:35:18.485471 +0000]
The message "I [MSGID: 108006] [afr-common.c:6479:afr_local_init] 0-gv0-replicate-0: no subvolumes up" repeated 2 times between [2026-11-26 23:35:18.395627 +0000] and [2026-11-26 23:35:18.485471 +0000]
[2026-11-26 23:35:19.395670 +0000] W [fuse-bridge.c:1400:fuse_attr_cbk] 0-glusterfs-fuse: 89: LOOKUP() /pvc-1/two
lines of a diary => -1 (Permission denied)
  7: option of a diary
[2026-11-26 23:36:00.000000 +0000] E [rpc-clnt.c:172:call_bail] 0-gv0-client-0: bailing out frame type(GlusterFS 4.x v1), op(LOOKUP(27)), xid = 0x1a, timeout = 1800 for 10.0.0.1:49152
pending frames:
frame : type(1) op(LOOKUP)
patchset: git://git.gluster.org/glusterfs.git
signal received: 11
time of crash: 
2026-11-26 23:36:01 +0000
package-string: glusterfs 10.3
/lib/x86_64-linux-gnu/libglusterfs.so.0(+0x29b15)[0x7f4f7c3a4b15]
---------
`

func TestALogForOthersNamesNoFile(t *testing.T) {
	text, reduced := Redact(logOfFiles, time.Time{})
	for _, private := range []string{"diary", "love", "/pvc-1", "two", "lines", "secret"} {
		if strings.Contains(text, private) {
			t.Errorf("%q is in\n%s", private, text)
		}
	}
	if reduced != 9 {
		t.Errorf("%d lines are reduced:\n%s", reduced, text)
	}
	for _, want := range []string{
		"Started running version [{arg=glusterfs}, {version=10.3}]\n",
		"  5:     option ping-timeout 42\n",
		"Client-quorum is not met\n",
		"[2026-11-26 23:35:18.395668 +0000] W [fuse-bridge.c:1400:fuse_attr_cbk] 0-glusterfs-fuse: … LOOKUP() (transport endpoint is not connected)\n",
		"[client-rpc-fops_v2.c:2561:client4_0_lookup_cbk] 0-gv0-client-0: … gfid=00000000-0000-0000-0000-000000000001 (no such file or directory)\n",
		"0-gv0-replicate-0: … gfid:0f0e0d0c-0000-4000-8000-00000000000a\n",
		`The message "W [MSGID: 114031] [client-rpc-fops_v2.c:2561:client4_0_lookup_cbk] 0-gv0-client-0: …" repeated 9 times between [2026-11-26 23:35:18.395627 +0000] and`,
		`0-gv0-replicate-0: no subvolumes up" repeated 2 times`,
		"bailing out frame type(GlusterFS 4.x v1), op(LOOKUP(27))",
		"frame : type(1) op(LOOKUP)\n", "signal received: 11\n", "libglusterfs.so.0(+0x29b15)[0x7f4f7c3a4b15]\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestWhatIsOlderIsLeftOut(t *testing.T) {
	text, _ := Redact(logOfFiles, time.Date(2026, 11, 26, 23, 36, 0, 0, time.UTC))
	if strings.Contains(text, "23:35:") || !strings.HasPrefix(text, "[2026-11-26 23:36:00.000000 +0000] E [rpc-clnt.c") || !strings.Contains(text, "signal received") {
		t.Errorf("%s", text)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add(logOfFiles)
	f.Fuzz(func(t *testing.T, log string) {
		const private = "Zq9private"
		text, _ := Redact("[2026-11-26 23:35:18.395668 +0000] W [fuse-bridge.c:1400:fuse_attr_cbk] 0-glusterfs-fuse: 88: LOOKUP() /"+
			private+strings.Map(func(r rune) rune {
			if r == '\n' || r == '\r' {
				return ' '
			}
			return r
		}, log)+" => -1\n", time.Time{})
		if strings.Contains(text, private) {
			t.Errorf("%q", text)
		}
	})
}
