// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package tls

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// What docs/production.md has people make is what the driver takes, and of one CA.
func TestTheCertificatesOfTheProductionPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/production.md")
	do(t, err)
	_, after, found := strings.Cut(string(page), "```sh\n# certificates\n")
	commands, _, closed := strings.Cut(after, "```")
	if !found || !closed {
		t.Fatal("the page has no commands for certificates")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", commands)
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	for _, name := range []string{"server", "node"} {
		of := filepath.Join(t.TempDir(), name)
		do(t, os.Mkdir(of, 0o700))
		for from, to := range map[string]string{name + ".crt": credentials.CertificateFile, name + ".key": credentials.KeyFile, "ca.crt": credentials.CAFile} {
			do(t, os.Link(filepath.Join(dir, from), filepath.Join(of, to)))
		}
		set, err := credentials.Read(of, "gluster-tls")
		do(t, err)
		if set.Expires().Before(soon()) {
			t.Errorf("that of the %s expires at %v", name, set.Expires())
		}
		verified := exec.CommandContext(ctx, "openssl", "verify", "-CAfile", filepath.Join(of, credentials.CAFile), filepath.Join(of, credentials.CertificateFile))
		if said, err := verified.CombinedOutput(); err != nil {
			t.Errorf("that of the %s is not of the CA: %v\n%s", name, err, said)
		}
	}
}
