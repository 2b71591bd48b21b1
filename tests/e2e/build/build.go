// SPDX-License-Identifier: Apache-2.0

// Package build makes the programs of a Kubernetes cluster from the Go module proxy.
//
// Each has a key: a digest of all that it is made from, which is the files of the module, the package, the flags and the version of
// Go. A program that has the right one is not made again.
package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

// Timeout bounds the build of one program, on a busy machine with nothing in its caches.
const Timeout = 45 * time.Minute

// environment is beside this process's: neither a workspace nor a user's own flags change the result.
var environment = []string{"GOWORK=off", "GOFLAGS=-buildvcs=false"}

// Ensure makes the programs that are missing or out of date, one after the other, and prints for each how long that took. modules is
// the directory of the modules that they are made from.
func Ensure(ctx context.Context, modules string, programs []Program) error {
	if err := os.MkdirAll(cache.Path("bin"), 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		if err := p.ensure(ctx, modules); err != nil {
			return fmt.Errorf("build %s: %w", p.Name, err)
		}
	}
	return nil
}

// Path is where Ensure puts a program.
func Path(name string) string { return cache.Path("bin", name) }

func keyPath(name string) string { return cache.Path("bin", "."+name+".key") }

func (p Program) ensure(ctx context.Context, modules string) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	unlock, err := lock(Path(p.Name) + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	began := time.Now()
	key, err := p.key(ctx, modules)
	if err != nil {
		return err
	}
	had, err := os.ReadFile(keyPath(p.Name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(Path(p.Name)); err == nil && string(had) == key {
		return nil
	}
	aside := Path(p.Name) + ".new"
	if err := p.compile(ctx, filepath.Join(modules, p.Module), aside); err != nil {
		return err
	}
	// The key comes last: without it, the program counts for nothing.
	if err := errors.Join(os.RemoveAll(keyPath(p.Name)), os.Rename(aside, Path(p.Name)), os.WriteFile(keyPath(p.Name), []byte(key), 0o644)); err != nil {
		return err
	}
	info, err := os.Stat(Path(p.Name))
	if err != nil {
		return err
	}
	fmt.Printf("%-26s built in %6.1f s, %5.1f MiB\n", p.Name, time.Since(began).Seconds(), float64(info.Size())/(1<<20))
	return nil
}

// lock waits for whoever else makes the same program, e.g. tests that run beside these.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// key is the digest of all that the program is made from.
func (p Program) key(ctx context.Context, modules string) (string, error) {
	version, err := output(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%s\n%+v\n%s\n", version, p, environment)
	files, err := os.ReadDir(filepath.Join(modules, p.Module))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(modules, p.Module, file.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(digest, "%s %d\n%s", file.Name(), len(content), content)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

func (p Program) compile(ctx context.Context, module, file string) error {
	if p.C {
		downloaded, err := output(ctx, "go", "-C", module, "mod", "download", "-json", p.Origin)
		if err != nil {
			return err
		}
		var origin struct{ Dir string }
		if err := json.Unmarshal([]byte(downloaded), &origin); err != nil {
			return err
		}
		_, err = output(ctx, "gcc", "-Os", "-static", "-o", file, filepath.Join(origin.Dir, p.Package))
		return err
	}
	version, err := output(ctx, "go", "-C", module, "list", "-m", "-f", "{{.Version}}", p.Origin)
	if err != nil {
		return err
	}
	cgo := "CGO_ENABLED=0"
	if p.Cgo {
		cgo = "CGO_ENABLED=1"
	}
	line := []string{cgo, "go", "-C", module, "build"}
	of := path.Join(p.Origin, p.Package)
	if p.Test {
		line, of = []string{cgo, "go", "-C", module, "test", "-c"}, "."
	}
	_, err = output(ctx, "env", append(line, "-trimpath", "-tags", p.Tags, "-ldflags", p.linkerFlags(version), "-o", file, of)...)
	return err
}

// linkerFlags leave out what only debuggers read, and fill in the stamp.
func (p Program) linkerFlags(version string) string {
	numbers := strings.Split(strings.TrimPrefix(version, "v"), ".")
	fill := strings.NewReplacer("VERSION", version, "MAJOR", numbers[0], "MINOR", numbers[min(1, len(numbers)-1)])
	flags := "-s -w"
	for _, assignment := range p.Stamp {
		flags += " -X " + fill.Replace(assignment)
	}
	return flags
}

// output runs a program, and has what it says in the error.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its compilers then
	cmd.WaitDelay = 10 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
