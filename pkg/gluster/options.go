// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"
)

// Option is a client option that a StorageClass may ask for among its mountOptions.
type Option struct {
	Name  string // as mount.glusterfs(8) calls it
	Value string // what follows "=": a description of the valid values, or "" for an option without one

	valid func(string) bool
}

// The options that change how pods see a volume or how fast it is, and nothing else. Left out are those that name servers, files,
// processes or translators: they would bypass the clusters file, write to the host, or reach other tenants' data (xlator-option,
// aux-gfid-mount, no-root-squash, subdir-mount, log-file, dump-fuse, oom-score-adj, ...).
var allowedOptions = []Option{
	{Name: "acl"}, // POSIX ACLs are honoured only by clients that have it
	{Name: "attribute-timeout", Value: "SECONDS", valid: isSeconds},
	{Name: "auto-invalidation", Value: "on|off", valid: isOneOf("on", "off")},
	{Name: "background-qlen", Value: "NUMBER", valid: isBetween(16, 65535)},
	{Name: "congestion-threshold", Value: "NUMBER", valid: isBetween(12, 65535)},
	{Name: "direct-io-mode", Value: "on|off|auto", valid: isOneOf("on", "off", "auto")},
	{Name: "enable-ino32"}, // for 32-bit programs
	{Name: "entry-timeout", Value: "SECONDS", valid: isSeconds},
	{Name: "fopen-keep-cache", Value: "on|off", valid: isOneOf("on", "off")},
	{Name: "gid-timeout", Value: "WHOLE SECONDS", valid: isBetween(0, 1<<20)},
	{Name: "kernel-writeback-cache", Value: "on|off", valid: isOneOf("on", "off")},
	{Name: "log-level", Value: "TRACE|DEBUG|INFO|WARNING|ERROR|CRITICAL|NONE", valid: isOneOf("TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "NONE")},
	{Name: "lru-limit", Value: "NUMBER", valid: isBetween(0, 1<<30)},
	{Name: "negative-timeout", Value: "SECONDS", valid: isSeconds},
	{Name: "reader-thread-count", Value: "NUMBER", valid: isBetween(1, 64)},
	{Name: "resolve-gids"}, // for users in more than 32 groups
	{Name: "selinux"},
	{Name: "use-readdirp", Value: "on|off", valid: isOneOf("on", "off")},
}

// AllowedOptions lists the client options, sorted by name.
func AllowedOptions() []Option { return slices.Clone(allowedOptions) }

// CheckOptions returns nil if a client may be given these options, else ErrOption with what is allowed.
func CheckOptions(options []string) error {
	_, err := normalizeOptions(options)
	return err
}

// normalizeOptions sorts the options and removes repetitions, so that equal sets share a client.
func normalizeOptions(options []string) ([]string, error) {
	chosen := make(map[string]string, len(options))
	for _, option := range options {
		if err := checkOption(option); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrOption, err)
		}
		name, _, _ := strings.Cut(option, "=")
		if other, ok := chosen[name]; ok && other != option {
			return nil, fmt.Errorf("%w: %q and %q contradict each other", ErrOption, other, option)
		}
		chosen[name] = option
	}
	normal := slices.Clone(options)
	slices.Sort(normal)
	return slices.Compact(normal), nil
}

func checkOption(option string) error {
	name, value, hasValue := strings.Cut(option, "=")
	for _, allowed := range allowedOptions {
		switch {
		case allowed.Name != name:
		case allowed.valid == nil && hasValue:
			return fmt.Errorf("%q: %s takes no value", option, name)
		case allowed.valid != nil && !allowed.valid(value):
			return fmt.Errorf("%q: write %s=%s", option, name, allowed.Value)
		default:
			return nil
		}
	}
	switch name {
	case "backup-volfile-servers", "backupvolfile-server", "volfile-server":
		return fmt.Errorf("%q: not needed, each server in the clusters file is a backup of the others", option)
	}
	if near, ok := nearest(name); ok {
		return fmt.Errorf("%q: did you mean %s?", option, near)
	}
	return fmt.Errorf("%q: the options for clients are %s", option, strings.Join(optionNames(), ", "))
}

func optionNames() []string {
	var names []string
	for _, o := range allowedOptions {
		names = append(names, o.Name)
	}
	return names
}

// nearest returns the allowed name that is at most two edits away, if there is one.
func nearest(name string) (string, bool) {
	const closeEnough = 2
	best, found := closeEnough+1, ""
	for _, candidate := range optionNames() {
		if d := levenshtein.Distance(name, candidate, nil); d < best && d < len(candidate)-1 {
			best, found = d, candidate
		}
	}
	return found, found != ""
}

var seconds = regexp.MustCompile(`^[0-9]{1,6}(\.[0-9]{1,3})?$`)

func isSeconds(s string) bool { return seconds.MatchString(s) }

func isOneOf(values ...string) func(string) bool {
	return func(s string) bool { return slices.Contains(values, s) }
}

func isBetween(low, high int) func(string) bool {
	return func(s string) bool {
		n, err := strconv.Atoi(s)
		return err == nil && low <= n && n <= high && strconv.Itoa(n) == s
	}
}
