// SPDX-License-Identifier: Apache-2.0

// Package clientlog is what GlusterFS clients log: it keeps a log within its bounds, and picks from it why a client
// failed.
package clientlog

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

const (
	logTail     = 64 << 10 // bytes of a log that are read, at most
	maxLogLines = 5        // that go into an error
	maxLogLine  = 300      // bytes of each
)

// logLine is "[time] LEVEL [MSGID: n] [file.c:line:function] translator: message"; the MSGID is optional.
var logLine = regexp.MustCompile(`^\[[^\]]*\] ([A-Z]) (?:\[MSGID: \d+\] )?\[[^\]]*\] (.*)$`)

// What a client logs at level information although it ends because of it (rpc: mgmt_rpc_notify).
var fatalInformation = regexp.MustCompile(`disconnected from remote-host|Exhausted all volfile servers`)

// Failure returns the end of what a client has logged since its log had the size from, and the last few lines that
// tell why it failed, each once: what it printed before it had the log open, and what it logged at level error and
// above. What cannot be read is left out.
func Failure(logPath, stderrPath string, from int64) (log string, lines []string) {
	log, _ = tail(logPath, from)
	printed, _ := tail(stderrPath, 0)
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line[:min(len(line), maxLogLine)])
		}
	}
	lines = append(lines, errorLines(log)...)
	return log, lastUnique(lines, maxLogLines)
}

// tail returns the end of a file from offset on, at most logTail bytes, cut at the start of a line. A file that became
// shorter than offset was rotated meanwhile and is read from its start; one that is missing is empty.
func tail(path string, offset int64) (string, error) {
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() < offset {
		offset = 0
	}
	from := max(offset, info.Size()-logTail)
	data, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return "", err
	}
	text := string(data)
	if from > offset {
		_, text, _ = strings.Cut(text, "\n")
	}
	return text, nil
}

// errorLines picks from a client's log what says why it failed: the last few lines of level error and above, without
// time and place in the source, each once.
func errorLines(log string) []string {
	var found []string
	for line := range strings.Lines(log) {
		match := logLine.FindStringSubmatch(strings.TrimSpace(line))
		if match == nil || !isError(match[1]) && !fatalInformation.MatchString(match[2]) {
			continue
		}
		message := strings.TrimSuffix(strings.TrimSpace(match[2]), " []")
		found = append(found, message[:min(len(message), maxLogLine)])
	}
	return lastUnique(found, maxLogLines)
}

// isError says that a level is error, critical, alert or emergency.
func isError(level string) bool { return slices.Contains([]string{"E", "C", "A", "M"}, level) }

// lastUnique returns the last n different lines, each at its last place.
func lastUnique(lines []string, n int) []string {
	var last []string
	seen := map[string]bool{}
	for i := len(lines) - 1; i >= 0 && len(last) < n; i-- {
		if !seen[lines[i]] {
			seen[lines[i]] = true
			last = append([]string{lines[i]}, last...)
		}
	}
	return last
}
