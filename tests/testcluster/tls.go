// SPDX-License-Identifier: Apache-2.0

package testcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// TLS is what the servers of a cluster show to whoever connects, and by what they know him.
type TLS struct {
	Certificate

	CAs        []byte // PEM
	Management bool   // glusterd wants TLS of everybody: /var/lib/glusterd/secure-access. It counts at the start of a server
}

// sslDirectory is where GlusterFS of Debian looks for certificates, in every process. Each server has its own there.
const sslDirectory = "/usr/lib/ssl"

// SetTLS gives all servers these certificates. What they do with connections that there are is theirs: KillServer and StartServer
// make new ones.
func (c *Cluster) SetTLS(tls TLS) error {
	var errs []error
	for _, s := range c.servers {
		errs = append(errs, s.writeTLS(tls))
	}
	return errors.Join(errs...)
}

// writeTLS puts the files where the server's processes find them.
func (s *server) writeTLS(tls TLS) error {
	dir := filepath.Join(s.dir, "ssl")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"glusterfs.pem": tls.PEM, "glusterfs.key": tls.Key, "glusterfs.ca": tls.CAs} {
		aside := filepath.Join(dir, name+".new")
		if err := errors.Join(os.WriteFile(aside, content, 0o600), os.Rename(aside, filepath.Join(dir, name))); err != nil {
			return fmt.Errorf("certificates of server %s: %w", s.address, err)
		}
	}
	secure := filepath.Join(s.dir, "lib", "secure-access")
	if !tls.Management {
		if err := os.Remove(secure); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	return errors.Join(os.MkdirAll(filepath.Dir(secure), 0o755), os.WriteFile(secure, nil, 0o600))
}
