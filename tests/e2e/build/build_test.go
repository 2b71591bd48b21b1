// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTheStampHasTheVersion(t *testing.T) {
	p := Program{Stamp: []string{"a.version=VERSION", "a.major=MAJOR", "a.minor=MINOR"}}
	if got, want := p.linkerFlags("v1.37.2"), "-s -w -X a.version=v1.37.2 -X a.major=1 -X a.minor=37"; got != want {
		t.Errorf("flags %q, want %q", got, want)
	}
}

func TestEveryProgramIsInItsModulesList(t *testing.T) {
	for _, p := range slices.Concat(Cluster(), Upstream()) {
		module := filepath.Join("../modules", p.Module)
		if _, err := output(t.Context(), "go", "-C", module, "list", "-m", p.Origin); err != nil {
			t.Error(err)
		}
		tools, err := output(t.Context(), "go", "-C", module, "list", "-e", "-find", "tool")
		if err != nil {
			t.Fatal(err)
		}
		if !p.C && !p.Test && !slices.Contains(strings.Fields(tools), strings.TrimSuffix(p.Origin+"/"+p.Package, "/")) {
			t.Errorf("%s: %s/go.mod has no tool %s/%s, so go mod tidy forgets what it needs", p.Name, p.Module, p.Origin, p.Package)
		}
	}
}

func TestTheKeyIsOfAllThatAProgramIsMadeFrom(t *testing.T) {
	modules := t.TempDir()
	write := func(file, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(modules, "m"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(modules, "m", file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	key := func(p Program) string {
		t.Helper()
		key, err := p.key(t.Context(), modules)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	write("go.mod", "module m\n")
	write("go.sum", "")
	p := Program{Name: "p", Module: "m", Origin: "example.org/p"}
	first := key(p)
	if again := key(p); again != first {
		t.Error("the key of the same program is another one")
	}
	stamped := p
	stamped.Stamp = []string{"main.version=VERSION"}
	if key(stamped) == first {
		t.Error("the key does not depend on the stamp")
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		before := key(p)
		write(file, "module m // changed\n")
		if key(p) == before {
			t.Errorf("the key does not depend on %s", file)
		}
	}
}
