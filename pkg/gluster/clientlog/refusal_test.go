// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"maps"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// What GlusterFS 10.3 logs, in this order or another.
const (
	refusedByName = "[t] E [MSGID: 114044] [client-handshake.c:756:client_setvolume_cbk] 0-gv0-client-0: SETVOLUME on remote-host failed [{remote-error=Authentication failed}, {errno=13}, {error=Permission denied}] \n"
	refusedCalls  = "[t] W [MSGID: 114032] [client-handshake.c:1290:client_dump_version_cbk] 0-gv0-client-1: received RPC status error, returning ENOTCONN [{errno=107}, {error=Transport endpoint is not connected}] \n"
	attached      = "[t] I [MSGID: 114046] [client-handshake.c:860:client_setvolume_cbk] 0-gv0-client-1: Connected, attached to remote volume [{conn-name=gv0-client-1}, {remote_subvol=/b}] \n"
	disconnected  = "[t] I [MSGID: 114018] [client.c:2244:client_rpc_notify] 0-gv0-client-1: disconnected from client, process will keep trying to connect glusterd until brick's port is available [{conn-name=gv0-client-1}] \n"
	portChanged   = "[t] I [rpc-clnt.c:1973:rpc_clnt_reconfig] 0-gv0-client-1: changing port to 60127 (from 0)\n"
	unproven      = "[t] E [socket.c:224:ssl_dump_error_stack] 0-gv0-client-1:   error:0A000086:SSL routines::certificate verify failed\n"
	expired       = "[t] E [socket.c:224:ssl_dump_error_stack] 0-gv0-client-1:   error:0A000415:SSL routines::sslv3 alert certificate expired\n"
	noPort        = "[t] E [MSGID: 114058] [client-handshake.c:947:client_query_portmap_cbk] 0-gv0-client-1: failed to get the port number for remote subvolume. [{errno=2}] \n"
	silentServer  = "[t] C [rpc-clnt-ping.c:152:rpc_clnt_ping_timer_expired] 0-gv0-client-1: server 127.0.0.1:24007 has not responded in the last 42 seconds, disconnecting.\n"
	brickAway     = "[t] E [socket.c:3364:socket_connect_finish] 0-gv0-client-1: connection to 127.0.0.1:60127 failed (Connection refused); disconnecting socket\n"
)

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		log  []string
		want map[string]string
	}{
		"by its name and address":       {[]string{refusedByName}, map[string]string{"gv0-client-0": NotAllowed}},
		"its calls":                     {[]string{disconnected, portChanged, refusedCalls}, map[string]string{"gv0-client-1": NoCalls}},
		"by two bricks":                 {[]string{refusedCalls, refusedByName}, map[string]string{"gv0-client-0": NotAllowed, "gv0-client-1": NoCalls}},
		"and let in later":              {[]string{refusedCalls, attached}, nil},
		"and the brick is away by now":  {[]string{refusedCalls, disconnected, brickAway}, nil},
		"the brick went away, no more":  {[]string{attached, disconnected}, nil},
		"its server is silent":          {[]string{portChanged, attached, silentServer, disconnected, refusedCalls, silentServer, disconnected, refusedCalls}, nil},
		"and answers again, and it is":  {[]string{silentServer, disconnected, refusedCalls, portChanged, refusedCalls}, map[string]string{"gv0-client-1": NoCalls}},
		"it agrees on no TLS":           {[]string{portChanged, unproven, disconnected, refusedCalls}, map[string]string{"gv0-client-1": string(credentials.Unproven)}},
		"and again":                     {[]string{portChanged, unproven, disconnected, refusedCalls, portChanged, expired, disconnected, refusedCalls}, map[string]string{"gv0-client-1": string(credentials.OwnExpired)}},
		"and does later":                {[]string{portChanged, unproven, disconnected, refusedCalls, portChanged, attached}, nil},
		"and is away by now":            {[]string{portChanged, unproven, disconnected, refusedCalls, noPort, disconnected}, nil},
		"and refuses calls by now":      {[]string{portChanged, unproven, disconnected, refusedCalls, portChanged, disconnected, refusedCalls}, map[string]string{"gv0-client-1": NoCalls}},
		"what is no line of the log":    {[]string{"Final graph:\n", "  1: volume gv0-client-0\n"}, nil},
		"what another translator logs":  {[]string{strings.ReplaceAll(refusedCalls, "gv0-client-1", "glusterfs")}, nil},
		"a volume whose name is a name": {[]string{strings.ReplaceAll(refusedCalls, "gv0", "a-client-0")}, map[string]string{"a-client-0-client-1": NoCalls}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := refusals(strings.Join(test.log, "")); !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func FuzzRefusals(f *testing.F) {
	f.Add(refusedByName + refusedCalls)
	f.Add("[t] E [a.c:1:f] 0-x-client-: ")
	f.Fuzz(func(t *testing.T, log string) {
		for brick, why := range refusals(log) {
			if !strings.Contains(log, brick) || why == "" {
				t.Errorf("%q is refused as %q", brick, why)
			}
		}
	})
}
