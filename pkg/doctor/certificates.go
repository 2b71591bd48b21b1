// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// expiresSoon is how long before its end a certificate is spoken of: cert-manager renews one that is valid for 90 days 30 days before.
const expiresSoon = 14 * 24 * time.Hour

// certificates looks at those that this host shows to servers, one for each Secret.
func certificates(clusters *gluster.Clusters, now time.Time) []answers.Finding {
	var found []answers.Finding
	seen := map[string]bool{}
	for _, v := range clusters.Volumes() {
		cluster, err := clusters.Find(v)
		if err != nil || cluster.TLS == nil || seen[cluster.TLS.SecretName] {
			continue
		}
		seen[cluster.TLS.SecretName] = true
		found = append(found, certificate(cluster.TLS, now))
	}
	return found
}

func certificate(t *gluster.TLS, now time.Time) answers.Finding {
	const check = "certificate"
	about, renew := "secret "+t.SecretName, "renew it: the driver takes the new one by itself"
	set, err := credentials.Read(t.Directory(), t.SecretName)
	if err != nil {
		return answers.Fault(check, about, err.Error(), "kubectl -n glusterfs-csi get secret "+t.SecretName)
	}
	end := set.Expires().UTC().Format(time.DateOnly)
	switch left := set.Expires().Sub(now); {
	case left <= 0:
		return answers.Fault(check, about, "its certificate has expired on "+end, renew)
	case left < expiresSoon:
		return answers.Warned(check, about, "its certificate expires on "+end, renew)
	}
	return answers.Well(check, about, "its certificate is valid until "+end)
}
