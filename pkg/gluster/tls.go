// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"path/filepath"
)

// TLS says by what the clients of a cluster speak TLS. Whether a brick is spoken to so is the Gluster volume's own option
// (client.ssl, server.ssl), which the servers tell each client.
type TLS struct {
	// SecretName is that of the Secret with tls.crt, tls.key and ca.crt, which the driver's pods have as files.
	SecretName string `json:"secretName"`
	// Management says that glusterd itself wants TLS (/var/lib/glusterd/secure-access on the servers).
	Management bool `json:"management,omitempty"`

	directory string // of the files
}

// secretsDirectory has a directory for each Secret, and is beside the clusters file.
const secretsDirectory = "tls"

// Directory is where the files of the Secret are; see ParseClustersAt.
func (t *TLS) Directory() string { return t.directory }

func (t *TLS) validate() error {
	switch {
	case t == nil:
		return nil
	case t.SecretName == "":
		return errors.New("tls without secretName: name the Secret that has tls.crt, tls.key and ca.crt")
	case len(t.SecretName) > maxHostName || !hostName.MatchString(t.SecretName):
		return fmt.Errorf("tls: secretName %q is no name of a Secret: it has lower-case letters, digits, hyphens and dots", t.SecretName)
	}
	return nil
}

// ParseClustersAt is ParseClusters for a file with this path, and knows where the files of each cluster's Secret are.
func ParseClustersAt(path string, data []byte) (*Clusters, error) {
	clusters, err := ParseClusters(data)
	if err != nil {
		return nil, err
	}
	for _, c := range clusters.clusters {
		if c.TLS != nil {
			c.TLS.directory = filepath.Join(filepath.Dir(path), secretsDirectory, c.TLS.SecretName)
		}
	}
	return clusters, nil
}
