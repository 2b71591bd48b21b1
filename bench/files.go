// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
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

// fillLarge makes four files of so many MiB in dir.
func fillLarge(dir string, mib int) error {
	content := make([]byte, 1<<20)
	for i := range content {
		content[i] = byte(i * 7)
	}
	for i := range 4 {
		file, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		for range mib {
			if err == nil {
				_, err = file.Write(content)
			}
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}
