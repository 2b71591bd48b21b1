// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What cpio(5) says of the format newc, read back.
func TestTheInitialRAMDiskIsAsTheKernelReadsIt(t *testing.T) {
	dir := t.TempDir()
	program, module := filepath.Join(dir, "guest"), filepath.Join(dir, "virtio_blk.ko")
	for path, text := range map[string]string{program: "a program", module: "a module of 20 bytes"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(dir, "initrd")
	if err := writeInitrd(to, program, []string{module}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for text := string(data); text != ""; {
		number := func(i int) int {
			value, err := strconv.ParseInt(text[6+8*i:14+8*i], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(value)
		}
		aligned := func(n int) int { return (n + 3) / 4 * 4 }
		const header = 110
		mode, size, length := number(1), number(6), number(11)
		content := aligned(header + length)
		if !strings.HasPrefix(text, "070701") || text[header+length-1] != 0 {
			t.Fatalf("no entry begins with %q", text)
		}
		found = append(found, text[header:header+length-1]+" "+strconv.FormatInt(int64(mode), 8)+" "+text[content:content+size])
		text = text[aligned(content+size):]
	}
	want := "init 100755 a program|modules 40755 |modules/00-virtio_blk.ko 100755 a module of 20 bytes|TRAILER!!! 0 "
	if got := strings.Join(found, "|"); got != want {
		t.Errorf("it has\n%s\nnot\n%s", got, want)
	}
}
