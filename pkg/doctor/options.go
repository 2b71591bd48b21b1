// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"fmt"
	"net"
	"path"
	"strconv"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/settings"
)

// rule is an option of a Gluster volume that the driver's users would rather have otherwise.
type rule struct {
	translator, option string // where it is in a volfile
	isBad              func(value string) bool
	severity           answers.Severity
	check              string
	message            string // with the value as %s
	set                string // what `gluster volume set NAME` takes
}

// above says that a value is a number of seconds above this one.
func above(limit int) func(string) bool {
	return func(value string) bool {
		n, err := strconv.Atoi(value)
		return err == nil && n > limit
	}
}

// ofClients are in a client's volfile.
var ofClients = []rule{
	{
		"protocol/client", "ping-timeout", above(42), answers.Warning, "ping-timeout",
		"network.ping-timeout is %s s: so long does all I/O stand still when a server vanishes (42 by default)", "network.ping-timeout 42",
	},
	{
		"performance/quick-read", "cache-timeout", above(1), answers.Warning, "quick-read",
		"performance.quick-read-cache-timeout is %s s: so long does a node read small files as they were before another one wrote them", "performance.quick-read-cache-timeout 1",
	},
	{
		"performance/md-cache", "md-cache-timeout", above(1), answers.Warning, "md-cache",
		"performance.md-cache-timeout is %s s: so long does a node see sizes and times as they were before another one wrote", "performance.md-cache-timeout 1",
	},
}

// options looks at what a Gluster volume is set to.
func options(ctx context.Context, cluster gluster.Cluster, v gluster.Volume, client glusterd.Volfile, bricks []glusterd.Brick) []answers.Finding {
	found := append(broken(v, client, ofClients), replication(v, client, bricks)...)
	server, err := glusterd.PoolOf(cluster).GetVolfile(ctx, glusterd.BrickVolfile(v.Name, bricks[0].Host, bricks[0].Path))
	if err == nil {
		found = append(found, inTheWay(v, settings.Of(server))...)
		found = append(found, allowed(ctx, v, server, bricks)...)
		found = append(found, limits(v, server)...)
	} else {
		found = append(found, answers.Warned("options", v.String(), "its servers do not tell the options of its bricks: "+err.Error(), "see the findings of its servers"))
	}
	if len(found) == 0 {
		found = append(found, answers.Well("options", v.String(), "nothing that it is set to is in the driver's way"))
	}
	return found
}

// inTheWay are the options that forbid what the driver does, or bend it.
func inTheWay(v gluster.Volume, s settings.Settings) []answers.Finding {
	var found []answers.Finding
	for _, r := range s.Restrictions {
		_, check, _ := strings.Cut(r.Option, ".")
		found = append(found, onServer(answers.Fault(check, v.String(), fmt.Sprintf("%s is %s: %s", r.Option, r.Value, r.Forbids), r.Cure(v))))
	}
	if bent := s.Modes.Options(); bent != "" {
		found = append(found, answers.Warned("modes", v.String(), bent+": directories get other modes than their classes ask for", ""))
	}
	return found
}

func broken(v gluster.Volume, volfile glusterd.Volfile, rules []rule) []answers.Finding {
	var found []answers.Finding
	for _, r := range rules {
		t, has := volfile.First(r.translator)
		if value := t.Options[r.option]; has && r.isBad(value) {
			f := onServer(answers.Warned(r.check, v.String(), fmt.Sprintf(r.message, value), "gluster volume set "+v.Name+" "+r.set))
			f.Severity = r.severity
			found = append(found, f)
		}
	}
	return found
}

// replication looks for what may end in a split-brain, or in the loss of a disk.
func replication(v gluster.Volume, client glusterd.Volfile, bricks []glusterd.Brick) []answers.Finding {
	const check = "replication"
	sets := 0
	var first glusterd.Translator
	for _, t := range client {
		if t.Type == "cluster/replicate" {
			if sets == 0 {
				first = t
			}
			sets++
		}
	}
	if sets == 0 {
		if _, dispersed := client.First("cluster/disperse"); dispersed {
			return nil
		}
		return []answers.Finding{answers.Warned(check, v.String(), "each file is on one brick alone: a disk that breaks takes its files along", "")}
	}
	quorum, replicas := first.Options["quorum-type"], len(bricks)/sets
	hasArbiter := first.Options["arbiter-count"] != "" && first.Options["arbiter-count"] != "0"
	switch {
	case replicas == 2 && quorum != "auto" && quorum != "fixed":
		return []answers.Finding{onServer(answers.Warned(check, v.String(), "two replicas without quorum: where they lose sight of each other, both are written to, and files differ (split-brain); "+
			"an arbiter prevents it", "gluster volume add-brick "+v.Name+" replica 3 arbiter 1 HOST:/PATH"+strings.Repeat(" HOST:/PATH", sets-1)))}
	case replicas > 2 && !hasArbiter && quorum == "none":
		return []answers.Finding{onServer(answers.Fault(check, v.String(), "quorum is off: servers that lose sight of each other are both written to, and files differ (split-brain)",
			"gluster volume set "+v.Name+" cluster.quorum-type auto"))}
	}
	return nil
}

// allowed says whether the servers let this host in, by the address from which it comes.
func allowed(ctx context.Context, v gluster.Volume, server glusterd.Volfile, bricks []glusterd.Brick) []answers.Finding {
	const check = "auth"
	t, _ := server.First("protocol/server")
	list, refused := "", ""
	for key, value := range t.Options {
		if strings.HasPrefix(key, "auth.addr.") && strings.HasSuffix(key, ".allow") {
			list = value
		}
		if strings.HasPrefix(key, "auth.addr.") && strings.HasSuffix(key, ".reject") {
			refused = value
		}
	}
	address := glusterd.SourceAddress(ctx, bricks[0].Host)
	if address == "" {
		return nil
	}
	if isListed(refused, address) {
		return []answers.Finding{onServer(answers.Fault(check, v.String(), "auth.reject names this host ("+address+"): its clients are refused", "gluster volume reset "+v.Name+" auth.reject"))}
	}
	if list != "" && !isListed(list, address) {
		return []answers.Finding{onServer(answers.Fault(check, v.String(), "auth.allow does not name this host ("+address+"): its clients are refused",
			"gluster volume set "+v.Name+" auth.allow "+list+","+address))}
	}
	return nil
}

// isListed knows addresses, wildcards and networks, as GlusterFS does. Names, which servers look up, it takes for listed.
func isListed(list, address string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if matches, err := path.Match(item, address); err == nil && matches {
			return true
		}
		if _, network, err := net.ParseCIDR(item); err == nil {
			if network.Contains(net.ParseIP(address)) {
				return true
			}
			continue
		}
		if net.ParseIP(item) == nil && !strings.Contains(item, "*") {
			return true
		}
	}
	return false
}

// limits says whether volumes are held to their capacity.
func limits(v gluster.Volume, server glusterd.Volfile) []answers.Finding {
	state, err := quota.StateOf(server)
	if err != nil {
		return nil
	}
	commands := state.Commands(v)
	if len(commands) == 0 {
		return nil
	}
	message := "quota is on, and not exact: volumes grow beyond their capacity before they end"
	if !state.On {
		message = "quota is off: no volume ends at its capacity, and one can fill it for all"
	}
	return []answers.Finding{onServer(answers.Warned("quota", v.String(), message, strings.Join(commands, " && ")))}
}
