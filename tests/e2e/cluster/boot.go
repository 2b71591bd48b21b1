// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// boot is what the first process of a machine does: it mounts the machine's file systems over its disk, makes that its root
// directory, and becomes tini, which reaps. This computer lends its /usr, read-only, and its /etc, of which the machine changes a copy.
type boot struct {
	Machine      string
	Title        string
	Dir          string            // holds the disk
	Log          string            // becomes /var/log
	Programs     string            // becomes /opt/e2e/bin
	Certificates string            // becomes /opt/e2e/pki
	Hosts        map[string]string // addresses of all machines by name
}

// A machine begins as another process of the program that uses this package, whichever it is. start has given it this title.
func init() {
	if os.Args[0] != bootTitle {
		return
	}
	const report = 3 // the descriptor by which start learns of a failure
	unix.CloseOnExec(report)
	_, _ = os.NewFile(report, "report").WriteString(bootMachine(os.Args[1]).Error())
	os.Exit(1)
}

// bootMachine returns only when something fails.
func bootMachine(plan string) error {
	var b boot
	if err := json.Unmarshal([]byte(plan), &b); err != nil {
		return err
	}
	for _, step := range []func() error{b.makeDirectories, b.mountAll, b.coverGsyncd, b.coverSettings, b.configure, b.changeRoot} {
		if err := step(); err != nil {
			return err
		}
	}
	return unix.Exec("/usr/bin/tini", []string{b.Title, "--", "sleep", "infinity"}, environment)
}

func (b *boot) disk(path string) string { return filepath.Join(b.Dir, "disk", path) }

// makeDirectories makes what the disk has beside the mount points.
func (b *boot) makeDirectories() error {
	dirs := []string{b.Log, filepath.Join(b.Log, "glusterfs"), b.disk("root"), b.disk("mnt"), b.disk("var/lib/glusterd"), b.disk(configs)}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	links, err := linksIntoUsr()
	if err != nil {
		return err
	}
	links["var/run"], links["var/lock"] = "/run", "/run/lock"
	for path, target := range links {
		if err := os.Symlink(target, b.disk(path)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// linksIntoUsr are those of /bin, /lib and so on.
func linksIntoUsr() (map[string]string, error) {
	entries, err := os.ReadDir("/")
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, entry := range entries {
		target, err := os.Readlink("/" + entry.Name())
		if err == nil && strings.HasPrefix(strings.TrimPrefix(target, "/"), "usr/") {
			links[entry.Name()] = target
		}
	}
	return links, nil
}

// configure gives the machine its name, and the names of all others.
func (b *boot) configure() error {
	if err := unix.Sethostname([]byte(b.Machine)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	var hosts strings.Builder
	hosts.WriteString("127.0.0.1 localhost\n")
	for _, name := range slices.Sorted(maps.Keys(b.Hosts)) {
		hosts.WriteString(b.Hosts[name] + " " + name + "\n")
	}
	for file, content := range map[string]string{
		"etc/hostname":    b.Machine + "\n",
		"etc/hosts":       hosts.String(),
		"etc/resolv.conf": "# no name server: nothing can be reached but the LAN\n",
	} {
		if err := os.Remove(b.disk(file)); err != nil && !errors.Is(err, fs.ErrNotExist) { // it may be a link
			return err
		}
		if err := os.WriteFile(b.disk(file), []byte(content), 0o644); err != nil {
			return err
		}
	}
	// Between its pods and the LAN. A setting of the network that the writer is in.
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// changeRoot leaves nothing of this computer's mounts.
func (b *boot) changeRoot() error {
	if err := unix.Chdir(b.disk("")); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root directory: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root directory: %w", err)
	}
	// As init does on a real machine: what a container mounts with Bidirectional propagation is the machine's.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share the mounts: %w", err)
	}
	return unix.Chdir("/")
}
