// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// publishOverTLS is publishAll on servers that want TLS: GlusterFS finds its certificates by what the image has in its fixed directory.
func (s *store) publishOverTLS(ctx context.Context, root string) (err error) {
	ca, err := testcluster.MakeCA("CA")
	if err != nil {
		return err
	}
	until := time.Now().Add(time.Hour)
	ofServers, serversErr := ca.Sign("server", until)
	ofNode, nodeErr := ca.Sign("node", until)
	if err := errors.Join(serversErr, nodeErr); err != nil {
		return err
	}
	cluster, err := testcluster.Start(ctx, testcluster.Options{TLS: &testcluster.TLS{Certificate: ofServers, CAs: ca.PEM, Management: true}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Close()) }()
	const name = "tls"
	secret := filepath.Join(cluster.Dir(), name, "shared", "tls", "gluster")
	err = errors.Join(cluster.StopVolume("gv0"), cluster.SetOption("gv0", "client.ssl", "on"), cluster.SetOption("gv0", "server.ssl", "on"), cluster.StartVolume("gv0"),
		os.MkdirAll(secret, 0o700),
		os.WriteFile(filepath.Join(secret, credentials.CertificateFile), ofNode.PEM, 0o600), os.WriteFile(filepath.Join(secret, credentials.KeyFile), ofNode.Key, 0o600),
		os.WriteFile(filepath.Join(secret, credentials.CAFile), ca.PEM, 0o600))
	if err != nil {
		return err
	}
	clusters := cluster.ClustersYAML() + "    tls: {secretName: gluster, management: true}\n"
	return s.publishAll(ctx, cluster, root, name, clusters, nil, []string{"rw"})
}
