// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// writeInitrd writes an initial RAM disk: the guest's program, and modules with names in the order in which it loads them.
func writeInitrd(to, program string, modules []string) error {
	var archive bytes.Buffer
	addFile := func(name, path string) error {
		text, err := os.ReadFile(path)
		if err == nil {
			addEntry(&archive, name, 0o100755, text)
		}
		return err
	}
	if err := addFile("init", program); err != nil {
		return err
	}
	addEntry(&archive, "modules", 0o40755, nil)
	for i, path := range modules {
		if err := addFile(fmt.Sprintf("modules/%02d-%s", i, filepath.Base(path)), path); err != nil {
			return err
		}
	}
	addEntry(&archive, "TRAILER!!!", 0, nil)
	return os.WriteFile(to, archive.Bytes(), 0o600)
}

// addEntry adds a file to an archive as cpio(5) calls newc: thirteen numbers in hexadecimal digits, the name, and the content, the last two
// up to a multiple of four bytes.
func addEntry(archive *bytes.Buffer, name string, mode int, content []byte) {
	const links = 1
	archive.WriteString("070701")
	for _, number := range []int{0, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
		fmt.Fprintf(archive, "%08X", number)
	}
	archive.WriteString(name + "\x00")
	pad(archive)
	archive.Write(content)
	pad(archive)
}

func pad(archive *bytes.Buffer) {
	for archive.Len()%4 != 0 {
		archive.WriteByte(0)
	}
}
