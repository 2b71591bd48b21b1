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
	found := slices.Concat(h.fuse(), kernel(), sourcePorts("/proc"), h.kubelet(), h.mounts(ctx), h.stale(), h.holders())
	clusters, finding := h.clusters()
	found = append(found, finding)
	if clusters == nil {
		return found
	}
	found = append(found, servers(ctx, clusters)...)
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

func ok(check, about, message string) answers.Finding {
	return answers.Finding{Check: check, Severity: answers.OK, About: about, Message: message}
}

func warning(check, about, message, cure string) answers.Finding {
	return answers.Finding{Check: check, Severity: answers.Warning, About: about, Message: message, Cure: cure}
}

func fault(check, about, message, cure string) answers.Finding {
	return answers.Finding{Check: check, Severity: answers.Error, About: about, Message: message, Cure: cure}
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
		return nil, fault(check, h.ClustersFile, "it cannot be read: "+err.Error(), edit)
	}
	clusters, err := gluster.ParseClusters(text)
	if err != nil {
		return nil, fault(check, h.ClustersFile, err.Error()+". Processes that read a good one before go on with that", edit)
	}
	return clusters, ok(check, h.ClustersFile, "it is valid")
}
