// SPDX-License-Identifier: Apache-2.0

package clientlog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Redact returns a client's log as people outside may read it: without the names of files, which many messages quote as they are,
// with spaces, slashes and all. So a message is kept whole only where its place in GlusterFS's source says nothing of files: connections,
// bricks, quorum, the process itself. Of any other are kept its time, level, number and place, by which it is found in the source,
// and the operation, the gfid and the errors that it names. Lines of other shapes are those of a crash, and the graph, without what
// the client authenticates with; all others are left out. So is what is older than since.
//
// reduced is the number of lines of which something, or all, was left out for its content.
func Redact(log string, since time.Time) (text string, reduced int) {
	var kept strings.Builder
	r := redaction{since: since, isRecent: since.IsZero()}
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		shown, whole := r.line(line)
		if !r.isRecent {
			continue
		}
		if !whole {
			reduced++
		}
		if shown != "" {
			kept.WriteString(strings.TrimRight(shown, " "))
			kept.WriteByte('\n')
		}
	}
	return kept.String(), reduced
}

// redaction is what the lines before say about the next one.
type redaction struct {
	since    time.Time
	isRecent bool
	inGraph  bool
}

var (
	// placedLine is "[time] LEVEL [MSGID: n] [file.c:line:function] message"; the MSGID is optional.
	placedLine = regexp.MustCompile(`^(\[([^\]]*)\] [A-Z] (?:\[MSGID: \d+\] )?\[([\w.-]+):\d+:(\w+)\]) (.*)$`)
	// repeatedLine says that a message has come again: the message is as in placedLine, without its time.
	repeatedLine = regexp.MustCompile(`^The message "([A-Z] (?:\[MSGID: \d+\] )?\[([\w.-]+):\d+:(\w+)\]) (.*)" repeated (\d+) times between \[([-0-9:. +]+)\] and \[([-0-9:. +]+)\]$`)
	// translatorName begins a message.
	translatorName = regexp.MustCompile(`^\d+-[\w.-]*: `)
	gfid           = regexp.MustCompile(`gfid[:=] ?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	operation      = regexp.MustCompile(`\b(?:LOOKUP|STAT|GETATTR|SETATTR|OPEN|OPENDIR|READ|READDIR|READDIRP|READLINK|WRITE|FLUSH|FSYNC|CREATE|MKNOD|MKDIR|UNLINK|RMDIR|RENAME|LINK|SYMLINK|` +
		`GETXATTR|SETXATTR|REMOVEXATTR|LISTXATTR|STATFS|ACCESS|LK|FALLOCATE|TRUNCATE|RELEASE|ERR)\(\)`)
	// graphLine is one of the graph that a client prints.
	graphLine   = regexp.MustCompile(`^ +\d+:( |$)`)
	graphSecret = regexp.MustCompile(`(?i)option \S*(?:username|password|secret|auth\.login)`)
	// crashLine is one of what a client prints when it crashes.
	crashLine = regexp.MustCompile(`^(?:pending frames:|frame : type\(\d+\) op\(\w+\)|patchset: .*|signal received: \d+|time of crash: ?|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.{0,6}|configuration details:|` +
		`[a-z_.]+ \d|package-string: [\w .-]+|/[\w./+-]+\.so[\w.]*\([\w.+@-]*\)\s?\[0x[0-9a-f]+\]|/[\w/]*glusterfsd?\([\w.+-]*\)\s?\[0x[0-9a-f]+\]|-{5,})$`)
)

func (r *redaction) line(line string) (shown string, whole bool) {
	if match := placedLine.FindStringSubmatch(line); match != nil {
		r.inGraph = false
		if at, err := time.Parse("2006-01-02 15:04:05 +0000", match[2]); err == nil {
			r.isRecent = !at.Before(r.since)
		}
		message, whole := messageOf(match[3], match[4], match[5])
		return match[1] + " " + message, whole
	}
	if match := repeatedLine.FindStringSubmatch(line); match != nil {
		message, whole := messageOf(match[2], match[3], match[4])
		return fmt.Sprintf("The message %q repeated %s times between [%s] and [%s]", match[1]+" "+message, match[5], match[6], match[7]), whole
	}
	switch {
	case strings.TrimSpace(line) == "":
		return "", true
	case line == "Final graph:" || strings.HasPrefix(line, "Given volfile:"):
		r.inGraph = true
		return line, true
	case r.inGraph && (graphLine.MatchString(line) && !graphSecret.MatchString(line) || strings.HasPrefix(line, "+---")):
		return line, true
	case crashLine.MatchString(line):
		return line, true
	}
	return "", false
}

// nameless are the places in GlusterFS's source whose messages name no file: whole files of it, or some of their functions.
var nameless = map[string][]string{
	"glusterfsd.c": nil, "glusterfsd-mgmt.c": nil, "rpc-clnt.c": nil, "rpc-clnt-ping.c": nil, "rpc-transport.c": nil, "socket.c": nil,
	"name.c": nil, "client-handshake.c": nil, "event-epoll.c": nil, "graph.c": nil,
	"client.c":      {"notify", "client_rpc_notify", "client_notify_dispatch", "client_init_rpc", "init", "fini"},
	"afr-common.c":  {"__afr_handle_child_up_event", "__afr_handle_child_down_event", "__afr_handle_ping_event", "afr_notify", "afr_local_init", "afr_local_discovery_cbk"},
	"fuse-bridge.c": {"fuse_init", "fuse_graph_sync", "fuse_graph_setup", "fuse_thread_proc", "fuse_handle_graph_switch", "notify", "init", "fini"},
	"io-stats.c":    {"ios_sample_buf_size_configure"},
}

// messageOf is the message of a place in the source.
func messageOf(file, function, message string) (shown string, whole bool) {
	functions, known := nameless[file]
	if known && (functions == nil || slices.Contains(functions, function)) {
		return message, true
	}
	parts := []string{translatorName.FindString(message) + "…"}
	if op := operation.FindString(message); op != "" {
		parts = append(parts, op)
	}
	parts = append(parts, gfid.FindAllString(message, -1)...)
	return strings.Join(append(parts, errorsNamed(message)...), " "), false
}

// lastErrno is the highest number of an error that the kernel knows.
const lastErrno = 133

// errorsNamed are the system's errors that a message names, as "(No such file or directory)".
func errorsNamed(message string) (found []string) {
	message = strings.ToLower(message)
	for number := range syscall.Errno(lastErrno + 1) {
		text := number.Error()
		if number > 0 && !strings.HasPrefix(text, "errno ") && strings.Contains(message, text) {
			found = append(found, "("+text+")")
		}
	}
	return found
}
