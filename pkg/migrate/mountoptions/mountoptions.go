// SPDX-License-Identifier: Apache-2.0

// Package mountoptions turns the options of mount.glusterfs(8), as volumes of the in-tree plugin have them, into those of
// this driver. It asks nobody.
package mountoptions

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// Translated is what becomes of mount options.
type Translated struct {
	Kept    []string // for the driver
	Servers []string // that were named among them
	Subdir  string   // that was named among them
	Notes   []string // what is not as it was, and why
}

// bindFlags are the driver's own, as docs/parameters.md lists them.
var bindFlags = []string{"ro", "nosuid", "nodev", "noexec", "noatime"}

// withoutMeaning are options that say what is so anyway, or are about a mount(8) that does not run any more.
var withoutMeaning = []string{
	"", "rw", "defaults", "async", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "suid", "dev", "exec", "relatime",
	"auto_unmount", "log-file", "log-buf-size", "log-flush-timeout", "fetch-attempts", "process-name", "vers",
}

// Translate turns the options of mount.glusterfs(8) into those that the driver allows.
func Translate(old []string) Translated {
	var result Translated
	for _, option := range old {
		option = strings.TrimSpace(option)
		name, value, _ := strings.Cut(option, "=")
		switch {
		case slices.Contains(withoutMeaning, name), option == "transport=tcp", option == "transport-type=tcp", strings.HasPrefix(name, "x-systemd."):
			if name != "" && name != "rw" && name != "defaults" {
				result.say("mount option %s is left out: it has no meaning with the driver", option)
			}
		case slices.Contains(bindFlags, option):
			result.keep(option)
		case name == "backup-volfile-servers", name == "backupvolfile-server", name == "volfile-server":
			result.Servers = append(result.Servers, serverList(value)...)
			result.say("mount option %s is left out: its servers are in the clusters file", option)
		case name == "subdir-mount":
			result.Subdir = value
			result.say("mount option %s has become the volume's path", option)
		default:
			result.client(option)
		}
	}
	if err := gluster.CheckOptions(clientOptions(result.Kept)); err != nil {
		result.say("mount options %s are left out: %v", strings.Join(clientOptions(result.Kept), ", "), err)
		result.Kept = slices.DeleteFunc(result.Kept, func(o string) bool { return !slices.Contains(bindFlags, o) })
	}
	return result
}

func (o *Translated) say(format string, args ...any) {
	o.Notes = append(o.Notes, fmt.Sprintf(format, args...))
}

// client keeps an option of the client, in the driver's spelling, or says that it cannot.
func (o *Translated) client(option string) {
	spelt := respell(option)
	if err := gluster.CheckOptions([]string{spelt}); err != nil {
		o.say("mount option %s is left out: %s", option, whyNot(spelt, err))
		return
	}
	if spelt != option {
		o.say("mount option %s is now written %s", option, spelt)
	}
	o.keep(spelt)
}

func (o *Translated) keep(option string) {
	if !slices.Contains(o.Kept, option) {
		o.Kept = append(o.Kept, option)
	}
}

// whyNot is the driver's reason to refuse an option, without the list of those that it takes.
func whyNot(option string, err error) string {
	if strings.Contains(err.Error(), ": the options for clients are ") {
		return "the driver does not have it; docs/parameters.md lists those that it has"
	}
	reason := strings.TrimPrefix(err.Error(), gluster.ErrOption.Error()+": ")
	return strings.TrimPrefix(reason, fmt.Sprintf("%q: ", option))
}

// respell writes a value as the driver does: mount.glusterfs(8) takes several words for on and off.
func respell(option string) string {
	name, value, hasValue := strings.Cut(option, "=")
	switch name {
	case "log-level":
		return name + "=" + strings.ToUpper(value)
	case "direct-io-mode", "use-readdirp", "fopen-keep-cache", "kernel-writeback-cache", "auto-invalidation":
		switch strings.ToLower(value) {
		case "on", "enable", "enabled", "yes", "true", "1":
			value = "on"
		case "off", "disable", "disabled", "no", "false", "0":
			value = "off"
		case "":
			if !hasValue {
				value = "on"
			}
		}
		return name + "=" + value
	case "acl", "selinux", "resolve-gids", "enable-ino32":
		if slices.Contains([]string{"on", "yes", "true", "1"}, strings.ToLower(value)) {
			return name
		}
	}
	return option
}

func clientOptions(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(o string) bool { return slices.Contains(bindFlags, o) })
}

// serverList splits a:b:c, which may be one IPv6 address instead.
func serverList(value string) []string {
	if _, err := netip.ParseAddr(value); err == nil {
		return []string{value}
	}
	return strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ',' })
}
