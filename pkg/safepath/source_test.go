// SPDX-License-Identifier: Apache-2.0

package safepath

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// relativePaths are the calls that take a path from a descriptor, and which of their arguments it is. In a path of
// more than one component, each of them follows the links of all but the last.
var relativePaths = map[string][]int{
	"Openat": {1}, "Openat2": {1}, "OpenTree": {1}, "NameToHandleAt": {1}, "MoveMount": {1, 3}, "MountSetattr": {1},
	"Fstatat": {1}, "Statx": {1}, "Faccessat": {1}, "Faccessat2": {1}, "Readlinkat": {1}, "Fchownat": {1}, "Fchmodat": {1}, "UtimesNanoAt": {1},
	"Mkdirat": {1}, "Mknodat": {1}, "Unlinkat": {1}, "Renameat": {1, 3}, "Renameat2": {1, 3}, "Linkat": {1, 3}, "Symlinkat": {2},
}

// trusted are the functions that may hand the kernel a relative path, by file and function, and why no tenant has a
// say in it.
var trusted = map[string]string{
	"namespace.go: userNamespace": "a file of /proc",
	"visitor.go: run":             "a file of /proc",
	"connections.go: Connection":  "a number in the kernel's list of connections",
	"proc.go: isOfPath":           "the first byte of what a link of /proc says",
	"proc.go: open":               "files of /proc",
	"proc.go: follow":             "a link of /proc to what a process has open, which the kernel follows without a path",
	"reader.go: activeName":       "the client's own .meta, which has no files of tenants",
	"reader.go: parseFile":        "the client's own .meta, which has no files of tenants",
	"memory.go: writeTo":          "three fixed names in a file system in memory that is mounted nowhere",
	"memory.go: isOurs":           "one of those names",
}

// dotted are the functions that name ".." to refuse it, or to print it.
var dotted = map[string]bool{
	"parse.go: isComponent": true, "source.go: cleanDirectory": true, // refuse it
	"root.go: package level": true, // a link of a client's own root
	"twonames.go: cureOf":    true, // the content of a link, in a command for a brick's server
}

// TestNoOtherPackageHasTheKernelResolveAPath is for the rule of the package comment. What is below a tenant's tree is
// opened by this package, one component at a time; elsewhere descriptors are used as they are (an empty path, or
// "."), or absolute paths, which are the driver's own.
func TestNoOtherPackageHasTheKernelResolveAPath(t *testing.T) {
	seen := map[string]bool{}
	for _, root := range []string{"../../pkg", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() && entry.Name() == "safepath" {
				return cmp.Or(err, fs.SkipDir)
			}
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			return checkFile(path, func(function, found string) {
				key := filepath.Base(path) + ": " + function
				seen[key] = true
				if trusted[key] == "" && !dotted[key] {
					t.Errorf("%s: %s: walk it with safepath", filepath.Join(filepath.Dir(path), key), found)
				}
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for key := range maps.Keys(trusted) {
		if !seen[key] {
			t.Errorf("%s has no relative path any more: take it off the list", key)
		}
	}
}

// TestTheCheckOfPathsFindsThem tries the test above on what it is to find.
func TestTheCheckOfPathsFindsThem(t *testing.T) {
	const source = `package x
func bad(fd int, rel string) {
	unix.Openat(fd, rel, 0, 0)
	unix.Fstatat(fd, "a/b", nil, 0)
	os.OpenInRoot("/x", rel)
	use("../x")
}
func good(fd int, rel string) {
	unix.Openat(fd, ".", 0, 0)
	unix.Statx(fd, "", 0, 0, nil)
	unix.Openat(unix.AT_FDCWD, rel, 0, 0)
	use("a..b")
}`
	found := map[string]int{}
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	checkSyntax(file, func(function, _ string) { found[function]++ })
	if want := map[string]int{"bad": 4}; !maps.Equal(found, want) {
		t.Errorf("found %v, want %v", found, want)
	}
}

func checkFile(path string, report func(function, found string)) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err == nil {
		checkSyntax(file, report)
	}
	return err
}

func checkSyntax(file *ast.File, report func(function, found string)) {
	for _, declaration := range file.Decls {
		function := "package level"
		if f, ok := declaration.(*ast.FuncDecl); ok {
			function = f.Name.Name
		}
		ast.Inspect(declaration, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.CallExpr:
				if found := relativePath(node); found != "" {
					report(function, found)
				}
			case *ast.BasicLit:
				if text, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING && slices.Contains(strings.Split(text, "/"), "..") {
					report(function, "a path with ..")
				}
			}
			return true
		})
	}
}

// relativePath says what is wrong with a call, or "".
func relativePath(call *ast.CallExpr) string {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	from, ok := selector.X.(*ast.Ident)
	if !ok {
		return ""
	}
	if from.Name == "os" && (selector.Sel.Name == "OpenRoot" || selector.Sel.Name == "OpenInRoot") {
		return "os." + selector.Sel.Name + ", which follows links"
	}
	if from.Name != "unix" && from.Name != "syscall" {
		return ""
	}
	for _, i := range relativePaths[selector.Sel.Name] {
		if len(call.Args) <= i || isCurrent(call.Args[i-1]) {
			continue
		}
		if literal, ok := call.Args[i].(*ast.BasicLit); !ok || literal.Value != `""` && literal.Value != `"."` {
			return fmt.Sprintf("%s of a relative path", selector.Sel.Name)
		}
	}
	return ""
}

// isCurrent says whether a path goes from the working directory, as that of open(2) does.
func isCurrent(directory ast.Expr) bool {
	selector, ok := directory.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == "AT_FDCWD"
}
