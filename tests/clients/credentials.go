// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// LinkCredentials makes GlusterFS's fixed paths for this run's processes what the driver's image has there, until the test ends.
func LinkCredentials(t testing.TB) {
	t.Helper()
	root := t.TempDir()
	if err := credentials.MakeLinks(root); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(filepath.Join(root, credentials.FixedDirectory), credentials.FixedDirectory, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(credentials.FixedDirectory, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// WriteSecret makes the files of a Secret with a certificate and these CAs, each in one step.
func WriteSecret(t testing.TB, dir string, own testcluster.Certificate, cas ...[]byte) {
	t.Helper()
	err := os.MkdirAll(dir, 0o700)
	for file, content := range map[string][]byte{
		credentials.CertificateFile: own.PEM, credentials.KeyFile: own.Key, credentials.CAFile: bytes.Join(cas, nil),
	} {
		aside := filepath.Join(dir, file+".aside")
		err = errors.Join(err, os.WriteFile(aside, content, 0o400), os.Rename(aside, filepath.Join(dir, file)))
	}
	if err != nil {
		t.Fatal(err)
	}
}
