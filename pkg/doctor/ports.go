// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// GlusterFS's clients take the ports from which they connect downwards from the highest one, one for each brick and server,
// and leave out what net.ipv4.ip_local_reserved_ports names.
const (
	highestSource = 49151
	sourceRange   = 1024 // so many for some hundred bricks and clients of a node
)

// sourcePorts looks for services that a client may take the port from while they are down.
func sourcePorts(proc string) []answers.Finding {
	const check = "source-ports"
	const setting = "net.ipv4.ip_local_reserved_ports"
	reserved, _ := os.ReadFile(filepath.Join(proc, "sys/net/ipv4/ip_local_reserved_ports"))
	var open []string
	for _, port := range listening(proc) {
		if port <= highestSource && port > highestSource-sourceRange && !isReserved(string(reserved), port) {
			open = append(open, strconv.Itoa(port))
		}
	}
	if len(open) == 0 {
		return []answers.Finding{answers.Well(check, "this host", "no service listens where GlusterFS's clients take their ports")}
	}
	value := strings.TrimPrefix(strings.TrimSpace(string(reserved))+","+strings.Join(open, ","), ",")
	f := answers.Warned(check, "port "+strings.Join(open, ", "), fmt.Sprintf("a service listens there; GlusterFS's clients take ports downwards from %d, and may have it when the service starts again", highestSource),
		"sysctl -w "+setting+"="+value+"; and for each boot: echo "+setting+"="+value+" > /etc/sysctl.d/60-gluster-ports.conf")
	f.Where = "on the node"
	return []answers.Finding{f}
}

// listening are the TCP ports on which something listens, as /proc/net/tcp says.
func listening(proc string) []int {
	const listen = "0A"
	var ports []int
	for _, name := range []string{"net/tcp", "net/tcp6"} {
		file, err := os.Open(filepath.Join(proc, name))
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 4 || fields[3] != listen {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			if port, err := strconv.ParseInt(hex, 16, 32); err == nil {
				ports = append(ports, int(port))
			}
		}
		_ = file.Close()
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// isReserved reads a list as 80,8000-8100.
func isReserved(list string, port int) bool {
	for item := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(item, "-")
		low, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		high := low
		if isRange {
			if high, err = strconv.Atoi(last); err != nil {
				continue
			}
		}
		if port >= low && port <= high {
			return true
		}
	}
	return false
}
