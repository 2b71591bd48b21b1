// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One client that is too big is ended by its own limit, started again and repaired; the other one of the node notices nothing.
func TestAClientThatIsTooBigCostsItselfAlone(t *testing.T) {
	n := newNode(t)
	n.startMounter("mounter", newImage(t, "10.3-1"), "--client-memory-max", "512Mi")
	big, other := n.publish("big"), n.publish("small", "acl")
	if big.pid == other.pid {
		t.Fatal("both have one client")
	}
	group := n.clients()[big.pid].Group
	if group == "" || group == n.clients()[other.pid].Group {
		t.Fatalf("clients have no groups of their own: %+v", n.clients())
	}
	limit, usage := "memory.limit_in_bytes", "memory.usage_in_bytes"
	if _, v2 := n.pods.memory(t); v2 {
		limit, usage = "memory.max", "memory.current"
	}
	n.limitToWhatItHas(group, limit, usage)
	for i := 0; gone(big.pid) != nil; i++ {
		if _, err := big.Do("write", filepath.Join(big.target, fmt.Sprint("file-", i))); err != nil {
			t.Logf("file %d: %v", i, err)
		}
	}
	big.goesOn()
	other.isUndisturbed()
	all := n.clients()
	if _, runs := all[other.pid]; !runs || len(all) != 2 {
		t.Errorf("the clients are %+v, and process %d was not to end", all, other.pid)
	}
	if _, errors := big.counts(); errors == 0 {
		t.Error("the client that was too big has ended without anybody's notice")
	}
}

// With version 2 a client that has more than its high memory is slowed down by the kernel, and does not end: when it may have more again, its pod goes on
// without an error. Version 1 has no such limit, and a client has none there.
func TestAClientWithMoreThanItsHighMemoryIsSlowedDownAlone(t *testing.T) {
	n := newNode(t)
	n.startMounter("mounter", newImage(t, "10.3-1"), "--client-memory-high", "512Mi")
	big, other := n.publish("big"), n.publish("small", "acl")
	group := n.clients()[big.pid].Group
	dir, v2 := n.pods.memory(t)
	if !v2 {
		const none = 1 << 62 // and more
		if set := readNumber(t, filepath.Join(dir, group, "memory.limit_in_bytes")); set < none {
			t.Errorf("with version 1 its limit is %d", set)
		}
		big.isUndisturbed()
		return
	}
	n.limitToWhatItHas(group, "memory.high", "memory.current")
	for i := 0; n.memoryEvents(group)["high"] == 0; i++ {
		big.do("write", filepath.Join(big.target, fmt.Sprint("file-", i)))
	}
	other.isUndisturbed()
	if err := os.WriteFile(filepath.Join(dir, group, "memory.high"), []byte("max"), 0); err != nil {
		t.Fatal(err)
	}
	big.isUndisturbed()
	if _, runs := n.clients()[big.pid]; !runs || n.memoryEvents(group)["oom_kill"] > 0 {
		t.Errorf("it has ended: %+v, %v", n.clients(), n.memoryEvents(group))
	}
}

// limitToWhatItHas lowers a limit of a client, which must be what the mounter was told, so that it outgrows it soon.
func (n *node) limitToWhatItHas(group, limit, usage string) {
	n.t.Helper()
	const told, more = 512 << 20, 256 << 10
	hierarchy, _ := n.pods.memory(n.t)
	limit = filepath.Join(hierarchy, group, limit)
	if set := readNumber(n.t, limit); set != told {
		n.t.Errorf("%s is %d", limit, set)
	}
	used := readNumber(n.t, filepath.Join(hierarchy, group, usage))
	if err := os.WriteFile(limit, fmt.Append(nil, used+more), 0); err != nil {
		n.t.Fatal(err)
	}
}

// memoryEvents are what version 2 counts of a group.
func (n *node) memoryEvents(group string) map[string]int {
	n.t.Helper()
	hierarchy, _ := n.pods.memory(n.t)
	text, err := os.ReadFile(filepath.Join(hierarchy, group, "memory.events"))
	if err != nil {
		n.t.Fatal(err)
	}
	events := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var name string
		var count int
		if _, err := fmt.Sscan(line, &name, &count); err != nil {
			n.t.Fatalf("%q: %v", line, err)
		}
		events[name] = count
	}
	return events
}

func readNumber(t *testing.T, path string) (number int64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		_, err = fmt.Sscan(string(text), &number)
	}
	if err != nil {
		t.Fatal(err)
	}
	return number
}
