// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/glusterd"
)

// resolveTimeout bounds one question to the name servers.
const resolveTimeout = 5 * time.Second

// servers asks each server of the clusters file.
func servers(ctx context.Context, clusters *gluster.Clusters) []answers.Finding {
	pools := map[string]glusterd.Pool{} // by server
	for _, v := range clusters.Volumes() {
		if cluster, err := clusters.Find(v); err == nil {
			for _, server := range cluster.Servers {
				pools[server] = glusterd.PoolOf(cluster)
			}
		}
	}
	return each(slices.Sorted(maps.Keys(pools)), func(server string) answers.Finding { return askServer(ctx, pools[server], server) })
}

// noAnswer begins what is said of a server that is silent.
const noAnswer = "no answer of glusterd on port "

// isSilent says whether one of the servers that were asked is.
func isSilent(ofServers []answers.Finding) bool {
	return slices.ContainsFunc(ofServers, func(f answers.Finding) bool { return strings.HasPrefix(f.Message, noAnswer) })
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

func askServer(ctx context.Context, pool glusterd.Pool, server string) answers.Finding {
	const check = "server"
	if trouble := resolves(ctx, server); trouble != "" {
		return answers.Fault(check, server, trouble, "use its address in the clusters file: kubectl -n glusterfs-csi edit configmap glusterfs-csi-clusters")
	}
	trouble, tlsFault := pool.Trouble(ctx, server)
	switch {
	case tlsFault != "":
		return answers.Fault(check, server, "it and this node do not agree on TLS: "+trouble, tlsFault.Cure(credentials.Management, secretOf(pool), ""))
	case strings.Contains(trouble, credentials.ErrUnusable.Error()):
		return answers.Fault(check, server, trouble, "")
	case trouble == "":
		return answers.Well(check, server, "glusterd answers on port "+glusterd.Port)
	case strings.Contains(trouble, "refused"):
		f := answers.Fault(check, server, "nothing listens on port "+glusterd.Port+" (connection refused)", "systemctl start glusterd")
		f.Where = "on " + server
		return f
	default:
		said := noAnswer + glusterd.Port
		if !strings.HasPrefix(said, trouble) {
			said += ": " + trouble
		}
		return answers.Fault(check, server, said,
			"is its address right (ConfigMap glusterfs-csi-clusters), is it up, and does a firewall let port "+glusterd.Port+" and the bricks' (49152 and above) through? nc -zv "+server+" "+glusterd.Port)
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
	pool := glusterd.PoolOf(cluster)
	volfile, err := pool.GetVolfile(ctx, v.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []answers.Finding{onServer(answers.Fault(check, v.String(), "its servers do not know it; the clusters file may name another, or it was deleted", "gluster volume list"))}
	case err != nil:
		return []answers.Finding{answers.Fault(check, v.String(), "no server tells of it: "+err.Error(), "see the findings of its servers")}
	}
	bricks := volfile.Bricks()
	found := each(bricks, func(b glusterd.Brick) answers.Finding { return askBrick(ctx, pool, v, b) })
	down := 0
	for _, f := range found {
		if f.Severity != answers.OK {
			down++
		}
	}
	switch {
	case len(bricks) == 0:
		return []answers.Finding{answers.Fault(check, v.String(), "its description has no bricks: is it a Gluster volume?", "")}
	case down == len(bricks):
		found = append(found, onServer(answers.Fault(check, v.String(), "it is stopped, or none of its bricks can be reached", "gluster volume start "+v.Name+" force")))
	case down == 0:
		found = append(found, answers.Well(check, v.String(), fmt.Sprintf("all of its %d bricks answer", len(bricks))))
	}
	return slices.Concat(found, options(ctx, cluster, v, volfile, bricks))
}

func askBrick(ctx context.Context, pool glusterd.Pool, v gluster.Volume, b glusterd.Brick) answers.Finding {
	const check = "brick"
	if trouble := resolves(ctx, b.Host); trouble != "" {
		return answers.Fault(check, b.String(), "clients connect to the name of its host, and "+trouble, "add "+b.Host+" to the DNS or to /etc/hosts of this node")
	}
	trouble, tlsFault := pool.BrickTrouble(ctx, b)
	switch {
	case tlsFault != "":
		return answers.Fault(check, b.String(), "it and this node do not agree on TLS: "+trouble, tlsFault.Cure(credentials.IO, secretOf(pool), v.Name))
	case trouble == "":
		return answers.Well(check, b.String(), "it answers")
	case trouble == glusterd.NoProcess:
		return onServer(answers.Fault(check, b.String(), "its process does not run; the others stand in for it, if there are", "gluster volume start "+v.Name+" force"))
	default:
		return answers.Fault(check, b.String(), trouble, "is its process well, and its port open? gluster volume status "+v.Name)
	}
}

// secretOf is the name of the cluster's Secret, "" where it has none.
func secretOf(pool glusterd.Pool) string {
	if pool.TLS == nil {
		return ""
	}
	return pool.TLS.SecretName
}
