// SPDX-License-Identifier: Apache-2.0

// Package doctor looks, on one host, at what the driver needs there: the clusters file, servers and bricks as this host
// reaches them, the options of the Gluster volumes, the kernel, mounts. It changes nothing, starts no client, and asks the
// servers what they tell anybody; each question has its own short deadline, so servers that are silent cost seconds.
package doctor

import (
	"context"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// OnServer is where commands of GlusterFS's own are run.
const OnServer = "on one of its servers"

// Host is where to look.
type Host struct {
	ClustersFile string
	StateDir     string
	KubeletDir   string // "": this is not a node
}

// Check returns what there is to say, good or bad, in an order that stays.
func (h Host) Check(ctx context.Context) []answers.Finding {
	clusters, finding := h.clusters()
	var ofServers []answers.Finding
	if clusters != nil {
		ofServers = servers(ctx, clusters)
	}
	found := slices.Concat(h.fuse(), kernel(), sourcePorts("/proc"), h.kubelet(), h.mounts(ctx, isSilent(ofServers)), h.apart(), h.stale(), h.holders(), h.split())
	found = append(found, finding)
	if clusters == nil {
		return found
	}
	found = append(append(found, certificates(clusters, time.Now())...), ofServers...)
	volumes := clusters.Volumes()
	of := make([][]answers.Finding, len(volumes))
	var all sync.WaitGroup
	for i, v := range volumes {
		all.Go(func() {
			if cluster, err := clusters.Find(v); err == nil {
				of[i] = glusterVolume(ctx, cluster, v)
			}
		})
	}
	all.Wait()
	return append(found, slices.Concat(of...)...)
}

// onServer says that a cure is run there.
func onServer(f answers.Finding) answers.Finding {
	f.Where = OnServer
	return f
}

func (h Host) clusters() (*gluster.Clusters, answers.Finding) {
	const check = "clusters-file"
	const edit = "kubectl -n glusterfs-csi edit configmap glusterfs-csi-clusters"
	text, err := os.ReadFile(h.ClustersFile)
	if err != nil {
		return nil, answers.Fault(check, h.ClustersFile, "it cannot be read: "+err.Error(), edit)
	}
	clusters, err := gluster.ParseClustersAt(h.ClustersFile, text)
	if err != nil {
		return nil, answers.Fault(check, h.ClustersFile, err.Error()+". Processes that read a good one before go on with that", edit)
	}
	return clusters, answers.Well(check, h.ClustersFile, "it is valid")
}
