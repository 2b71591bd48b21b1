// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// perDirectory is how many files a directory of a tree has.
const perDirectory = 100

// fill makes count small files below dir, in directories of 100.
func fill(dir string, count int) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for first := 0; first < count; first += perDirectory {
		sub := filepath.Join(dir, fmt.Sprintf("d%03d", first/perDirectory))
		if err := os.MkdirAll(sub, 0o755); err != nil {
			return err
		}
		for i := first; i < min(first+perDirectory, count); i++ {
			group.Go(func() error {
				return os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%05d", i)), []byte("a small file\n"), 0o644)
			})
		}
	}
	return group.Wait()
}
