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
	{Name: ACL}, // POSIX ACLs are honoured only by clients that have it
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

// defaultOptions are those of a client that is not given another value of the same name.
var defaultOptions = []string{
	// The kernel drops what it has cached of a file whose time of modification has moved; it looks at that when what it knows is older than
	// attribute-timeout. GlusterFS documents this as its default; its client program (10.3) passes cmd_args.fuse_auto_inval on in any case,
	// which is 0 unless the option sets it. Without it, a process that has a file open is given what was cached, whatever other nodes
	// write, until somebody on its node looks at the file's attributes. One that opens the file anew may be, too: the client's own
	// message to the kernel came too late for 6 of 1400 that did so by sendfile(2), and for none of 1000 with this. It has no effect with
	// fopen-keep-cache=off, by GlusterFS, nor with kernel-writeback-cache=on, by the kernel.
	"auto-invalidation=on",
	// How many inodes a client remembers beyond those in use. GlusterFS's own default is 65536. On a tree of 100,000 files
	// (GlusterFS 10.3) that makes 84 MiB of a client that has listed it and 164 MiB of one that has read it; this makes 32 and 51, in the
	// same time.
	"lru-limit=16384",
}

// fileCache bounds the contents of small files (up to 64 KiB) that a client keeps, whatever the Gluster volume's
// performance.quick-read-cache-size says: that is for a machine with one mount. With its default of 128 MB a client that has read 3000 files
// of 60 KiB has 150 MiB, with this 57. Where quick-read is off, it has no effect.
const fileCache = "xlator-option=*quick-read.cache-size=32MB"

// lookEverywhere has the client of a distributed volume ask every subvolume for a name that is not where it should be. By
// default it asks no other, and after `remove-brick … commit` GlusterFS 10.3 then says of names that are there that
// they are not: of volumes' records, too (TestVolumesOutliveTheirBricks). Elsewhere it has no effect.
const lookEverywhere = "xlator-option=*-dht.lookup-optimize=off"

// FreshNames is the option of a client that asks the bricks each time what is at a name. By default kernel and client believe
// for a second each what they knew; of two controllers one then takes a volume for another that was at its path a moment ago. It is for the
// driver's own work on the Gluster volume alone, never for pods.
const FreshNames = "names=fresh"

// ControllerOptions are those of the client by which volumes are made, copied and deleted, by a controller and by whoever
// administers them beside it: both use one client then. It sees ACLs, which copies keep.
func ControllerOptions() []string { return []string{FreshNames, ACL} }

func freshArguments(volumeName string) []string {
	return []string{"--attribute-timeout=0", "--entry-timeout=0", "--xlator-option=" + volumeName + "-md-cache.md-cache-timeout=0"}
}

// privileged is the option of a client that GlusterFS takes for its own quota command, which may set limits (see
// PrivilegedOptions). No check of options lets it through, so it is given by that function alone.
const privileged = "access=privileged"

// quotaPID is GF_CLIENT_PID_QUOTA_MOUNT of GlusterFS. Bricks serve clients with a negative PID from a queue of their own,
// of the lowest priority, and apply neither quota nor root-squash to them. Where pods keep the bricks busy that queue is
// the shorter one: a limit was set in 4 ms where another client's setxattr took 49 (docs/capacity.md).
const quotaPID = "client-pid=-5"

// PrivilegedOptions are those of the one client of a Gluster volume through which limits are set and usage is read.
// Nothing is ever bound from it: what is written through it is held to no limit
// (TestOnlyTheControllersWorkHasThePrivilegedClient). It believes no name that it knew (see FreshNames), since a limit is
// for the directory that is there now.
func PrivilegedOptions() []string { return []string{privileged, FreshNames} }

// IsPrivileged says whether a client with these options is that of PrivilegedOptions.
func IsPrivileged(options []string) bool { return slices.Contains(options, privileged) }

// Arguments are what a client of a Gluster volume is started with for its options: the driver's own, those of Strict and FreshNames where
// they are among the options, and the defaults of what is not. Only the options are what a client is known by: how a later version of the driver
// writes them down does not end a client that runs.
func Arguments(volumeName string, options []string) []string {
	all := []string{"--" + fileCache, "--" + lookEverywhere}
	if slices.Contains(options, Strict) {
		all = append(all, strictArguments(volumeName, options)...)
	}
	if slices.Contains(options, FreshNames) {
		all = append(all, freshArguments(volumeName)...)
	}
	for _, option := range options {
		switch option {
		case Strict, FreshNames:
		case privileged:
			all = append(all, "--"+quotaPID)
		default:
			all = append(all, splitBrainArguments(option)...)
		}
	}
	for _, preset := range defaultOptions {
		if name, _, _ := strings.Cut(preset, "="); !gives(options, name) {
			all = append(all, "--"+preset)
		}
	}
	return all
}

// gives says whether the options have a value for this name.
func gives(options []string, name string) bool {
	return slices.ContainsFunc(options, func(option string) bool { return strings.HasPrefix(option, name+"=") })
}

// ACL is the option of a client that sees and keeps POSIX ACLs.
const ACL = "acl"

// AllowedOptions lists the client options, sorted by name.
func AllowedOptions() []Option { return slices.Clone(allowedOptions) }

// ReadOnly is the option of a client through which nobody can write, whatever becomes of its bind mounts: a container runtime (runc since
// 1.2) gives a bind mount the flags of the pod's spec, and lifts its read-only flag so. It is for Ensure alone; a class says ro.
const ReadOnly = "read-only"

// CheckOptions returns nil if a class may give a client these options, else ErrOption with what is allowed.
func CheckOptions(options []string) error {
	if slices.Contains(options, ReadOnly) {
		return fmt.Errorf("%w: %q: write ro", ErrOption, ReadOnly)
	}
	if slices.Contains(options, Strict) {
		return fmt.Errorf("%w: %q: it is a parameter of the StorageClass, or of a PersistentVolume's volumeAttributes, not one of the mountOptions", ErrOption, Strict)
	}
	if slices.Contains(options, FreshNames) {
		return fmt.Errorf("%w: %q: it is for the driver's own clients", ErrOption, FreshNames)
	}
	_, err := NormalizeOptions(options)
	return err
}

// NormalizeOptions sorts the options and removes repetitions, so that equal sets share a client.
func NormalizeOptions(options []string) ([]string, error) {
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
	if slices.Contains(options, Strict) {
		if err := CheckStrict(options); err != nil {
			return nil, err
		}
	}
	normal := slices.Clone(options)
	slices.Sort(normal)
	return slices.Compact(normal), nil
}

func checkOption(option string) error {
	if option == ReadOnly || option == Strict || option == FreshNames {
		return nil
	}
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
