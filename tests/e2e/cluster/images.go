// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// importTimeout bounds the import of one image, on a busy machine.
const importTimeout = 3 * time.Minute

// importImages puts the images of all archives into containerd's store on every node, except those that it got before.
func (c *Cluster) importImages(ctx context.Context, archives []string) error {
	return c.onNodes(ctx, func(ctx context.Context, n *Node) error {
		for _, archive := range archives {
			if err := n.importImage(ctx, archive); err != nil {
				return fmt.Errorf("import %s on %s: %w", archive, n.Name, err)
			}
		}
		return nil
	})
}

func (n *Node) importImage(ctx context.Context, archive string) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	digest := sha256.New()
	if _, err := io.Copy(digest, file); err != nil {
		return err
	}
	imported := filepath.Join(n.machine.dir(), "imported", hex.EncodeToString(digest.Sum(nil)))
	if _, err := os.Stat(imported); err == nil {
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	cmd := n.Command(ctx, Programs+"/ctr", "--address", containerdSocket, "--namespace", "k8s.io", "images", "import", "-")
	cmd.Stdin = file
	if _, err := run(cmd); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(imported), 0o755); err != nil {
		return err
	}
	return os.WriteFile(imported, nil, 0o600)
}
