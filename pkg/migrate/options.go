// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// mountOptionsAnnotation was the place of mount options before spec.mountOptions. The old plugin's kubelet looked at it
// first; a CSI driver's does not look at it.
const mountOptionsAnnotation = "volume.beta.kubernetes.io/mount-options"

// options is what becomes of mount options.
type options struct {
	kept    []string
	servers []string // that were named among them
	subdir  string   // that was named among them
	notes   []string
}

// bindFlags are the driver's own, as docs/parameters.md lists them.
var bindFlags = []string{"ro", "nosuid", "nodev", "noexec", "noatime"}

// withoutMeaning are options that say what is so anyway, or are about a mount(8) that does not run any more.
var withoutMeaning = []string{
	"", "rw", "defaults", "async", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "suid", "dev", "exec", "relatime",
	"auto_unmount", "log-file", "log-buf-size", "log-flush-timeout", "fetch-attempts", "process-name", "vers",
}

// translate turns the options of mount.glusterfs(8) into those that the driver allows.
func translate(old []string) options {
	var result options
	for _, option := range old {
		option = strings.TrimSpace(option)
		name, value, _ := strings.Cut(option, "=")
		switch {
		case slices.Contains(withoutMeaning, name), option == "transport=tcp", option == "transport-type=tcp", strings.HasPrefix(name, "x-systemd."):
			if name != "" && name != "rw" && name != "defaults" {
				result.say("mount option %s is left out: it has no meaning with the driver", option)
			}
		case slices.Contains(bindFlags, option):
			result.kept = append(result.kept, option)
		case name == "backup-volfile-servers", name == "backupvolfile-server", name == "volfile-server":
			result.servers = append(result.servers, serverList(value)...)
			result.say("mount option %s is left out: its servers are in the clusters file", option)
		case name == "subdir-mount":
			result.subdir = value
			result.say("mount option %s has become the volume's path", option)
		default:
			result.client(option)
		}
	}
	result.kept = unique(result.kept)
	if err := gluster.CheckOptions(clientOptions(result.kept)); err != nil {
		result.say("mount options %s are left out: %v", strings.Join(clientOptions(result.kept), ", "), err)
		result.kept = slices.DeleteFunc(result.kept, func(o string) bool { return !slices.Contains(bindFlags, o) })
	}
	return result
}

func (o *options) say(format string, args ...any) {
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

// client keeps an option of the client, in the driver's spelling, or says that it cannot.
func (o *options) client(option string) {
	spelt := respell(option)
	if err := gluster.CheckOptions([]string{spelt}); err != nil {
		o.say("mount option %s is left out: %s", option, whyNot(spelt, err))
		return
	}
	if spelt != option {
		o.say("mount option %s is now written %s", option, spelt)
	}
	o.kept = append(o.kept, spelt)
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
	return known(strings.FieldsFunc(value, func(r rune) bool { return r == ':' || r == ',' }))
}

// mountOptions returns the options of a PersistentVolume that counted: the annotation's, if it has one.
func mountOptions(pv *Object) (found, notes []string) {
	field := texts(pv.Content, "spec", "mountOptions")
	annotated, ok := pv.annotation(mountOptionsAnnotation)
	if !ok {
		return field, nil
	}
	if len(field) > 0 && strings.Join(field, ",") != annotated {
		notes = append(notes, fmt.Sprintf("the mount options of its annotation %s are used, which counted, not those of spec.mountOptions: %s",
			mountOptionsAnnotation, strings.Join(field, ",")))
	}
	return strings.Split(annotated, ","), notes
}
