// SPDX-License-Identifier: Apache-2.0

package client

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

func TestNoOptionsAskForThePrivilegedClient(t *testing.T) {
	h := &Host{}
	for _, option := range gluster.PrivilegedOptions() {
		if err := gluster.CheckOptions([]string{option}); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("a class may ask for %s: %v", option, err)
		}
	}
	for _, options := range [][]string{
		gluster.PrivilegedOptions(), {gluster.PrivilegedOptions()[0]}, {"client-pid=-5"}, {"acl", "client-pid=-5"},
	} {
		if _, err := gluster.NormalizeOptions(options); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("%q is let through: %v", options, err)
		}
		// This is what publishing and the mounter's socket call. It refuses before it looks at anything.
		if _, err := h.Ensure(t.Context(), gluster.Volume{}, options); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("Ensure takes %q: %v", options, err)
		}
	}
	if !gluster.IsPrivileged(gluster.PrivilegedOptions()) || gluster.IsPrivileged([]string{gluster.FreshNames, gluster.Strict}) {
		t.Error("the privileged client is taken for another, or another for it")
	}
	if got := gluster.Arguments("gv0", gluster.PrivilegedOptions()); !slices.Contains(got, "--client-pid=-5") {
		t.Errorf("it is started with %q", got)
	}
	for _, options := range [][]string{nil, {gluster.FreshNames}, {gluster.Strict}, {gluster.ReadOnly}} {
		if got := gluster.Arguments("gv0", options); slices.ContainsFunc(got, func(a string) bool { return strings.Contains(a, "client-pid") }) {
			t.Errorf("a client with the options %q is started with %q", options, got)
		}
	}
}

func TestNoOptionsAskForAClientThatSettlesASplitBrain(t *testing.T) {
	h := &Host{}
	for _, options := range [][]string{
		gluster.SettlingOptions(gluster.ByMtime), gluster.OneSideOptions([]string{"gv0-client-1"}), {gluster.OneSideOptions([]string{"gv0-client-1"})[0]},
	} {
		if _, err := h.Ensure(t.Context(), gluster.Volume{}, options); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("Ensure takes %q: %v", options, err)
		}
		if err := gluster.CheckOptions(options); !errors.Is(err, gluster.ErrOption) {
			t.Errorf("a class may ask for %q: %v", options, err)
		}
	}
	got := gluster.Arguments("gv0", gluster.OneSideOptions([]string{"gv0-client-1", "gv0-client-3"}))
	for _, want := range []string{"--read-only", "--xlator-option=gv0-client-1.remote-port=1", "--xlator-option=gv0-client-3.remote-host=127.0.0.1"} {
		if !slices.Contains(got, want) {
			t.Errorf("one side is started with %q, which lacks %s", got, want)
		}
	}
	for by, want := range map[gluster.Choice]bool{gluster.ByNobody: false, gluster.ByData: false, gluster.ByMtime: true} {
		got := gluster.Arguments("gv0", gluster.SettlingOptions(by))
		if has := slices.ContainsFunc(got, func(a string) bool { return strings.Contains(a, "favorite-child-policy") }); has != want {
			t.Errorf("one that settles by %s is started with %q", by, got)
		}
	}
}

// mayEnsurePrivileged are the files that may call EnsurePrivileged: those of the controller's work. Nothing in them
// binds.
var mayEnsurePrivileged = []string{"pkg/volume/manager/limit.go"}

func TestOnlyTheControllersWorkHasThePrivilegedClient(t *testing.T) {
	for _, root := range []string{"../../../pkg", "../../../cmd"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				selector, ok := node.(*ast.SelectorExpr)
				name, _ := filepath.Rel("../../..", path)
				switch {
				case !ok:
				case selector.Sel.Name == "EnsurePrivileged" && !slices.Contains(mayEnsurePrivileged, name):
					t.Errorf("%s calls EnsurePrivileged", name)
				case (selector.Sel.Name == "EnsureOneSide" || selector.Sel.Name == "EnsureSettling") && name != "pkg/volume/manager/splitbrain.go":
					t.Errorf("%s calls %s", name, selector.Sel.Name)
				case selector.Sel.Name == "PrivilegedOptions" && name != "pkg/gluster/client/ensure.go":
					t.Errorf("%s calls PrivilegedOptions", name)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
