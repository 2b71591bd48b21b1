// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// resolveTimeout bounds one question to the name servers.
const resolveTimeout = 5 * time.Second

// servers asks each server of the clusters file.
func servers(ctx context.Context, clusters *gluster.Clusters) []answers.Finding {
	var asked []string
	for _, v := range clusters.Volumes() {
		if cluster, err := clusters.Find(v); err == nil {
			asked = append(asked, cluster.Servers...)
		}
	}
	slices.Sort(asked)
	return each(slices.Compact(asked), func(server string) answers.Finding { return askServer(ctx, server) })
}

// each looks at all items at once, and keeps their order.
func each[T any](items []T, look func(T) answers.Finding) []answers.Finding {
	found := make([]answers.Finding, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { found[i] = look(item) })
	}
	all.Wait()
	return found
}

func askServer(ctx context.Context, server string) answers.Finding {
	const check = "server"
	if trouble := resolves(ctx, server); trouble != "" {
		return fault(check, server, trouble, "use its address in the clusters file: kubectl -n glusterfs-csi edit configmap glusterfs-csi-clusters")
	}
	switch trouble := glusterd.Trouble(ctx, server); {
	case trouble == "":
		return ok(check, server, "glusterd answers on port "+glusterd.Port)
	case strings.Contains(trouble, "refused"):
		f := fault(check, server, "nothing listens on port "+glusterd.Port+" (connection refused)", "systemctl start glusterd")
		f.Where = "on " + server
		return f
	default:
		return fault(check, server, "no answer of glusterd on port "+glusterd.Port+": "+trouble,
			"is it up, and does a firewall let port "+glusterd.Port+" and the bricks' (49152 and above) through? nc -zv "+server+" "+glusterd.Port)
	}
}

// resolves says why a name does not, "" if it does.
func resolves(ctx context.Context, host string) string {
	if net.ParseIP(host) != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if _, err := net.DefaultResolver.LookupHost(ctx, host); err != nil {
		return "its name does not resolve here: " + err.Error()
	}
	return ""
}

// glusterVolume looks at one as clients of this host see it.
func glusterVolume(ctx context.Context, cluster gluster.Cluster, v gluster.Volume) []answers.Finding {
	const check = "gluster-volume"
	volfile, err := glusterd.GetVolfile(ctx, cluster.Servers, v.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []answers.Finding{onServer(fault(check, v.String(), "its servers do not know it; the clusters file may name another, or it was deleted", "gluster volume list"))}
	case err != nil:
		return []answers.Finding{fault(check, v.String(), "no server tells of it: "+err.Error(), "see the findings of its servers")}
	}
	bricks := bricksOf(volfile)
	found := each(bricks, func(b brick) answers.Finding { return askBrick(ctx, v, b) })
	down := 0
	for _, f := range found {
		if f.Severity != answers.OK {
			down++
		}
	}
	switch {
	case len(bricks) == 0:
		return []answers.Finding{fault(check, v.String(), "its description has no bricks: is it a Gluster volume?", "")}
	case down == len(bricks):
		found = append(found, onServer(fault(check, v.String(), "it is stopped, or none of its bricks can be reached", "gluster volume start "+v.Name+" force")))
	case down == 0:
		found = append(found, ok(check, v.String(), fmt.Sprintf("all of its %d bricks answer", len(bricks))))
	}
	return slices.Concat(found, options(ctx, cluster, v, volfile, bricks))
}

// brick is one as the servers name it.
type brick struct{ host, path string }

func (b brick) String() string { return b.host + ":" + b.path }

func bricksOf(client glusterd.Volfile) []brick {
	var all []brick
	for _, t := range client {
		if t.Type == "protocol/client" {
			all = append(all, brick{t.Options["remote-host"], t.Options["remote-subvolume"]})
		}
	}
	return all
}

func askBrick(ctx context.Context, v gluster.Volume, b brick) answers.Finding {
	const check = "brick"
	if trouble := resolves(ctx, b.host); trouble != "" {
		return fault(check, b.String(), "clients connect to the name of its host, and "+trouble, "add "+b.host+" to the DNS or to /etc/hosts of this node")
	}
	switch trouble := glusterd.BrickTrouble(ctx, b.host, b.path); trouble {
	case "":
		return ok(check, b.String(), "it answers")
	case glusterd.NoProcess:
		return onServer(fault(check, b.String(), "its process does not run; the others stand in for it, if there are", "gluster volume start "+v.Name+" force"))
	default:
		return fault(check, b.String(), trouble, "is its process well, and its port open? gluster volume status "+v.Name)
	}
}
