// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// share is where the image says what it has.
const share = "usr/share/glusterfs-csi"

// The images that the Dockerfile builds on. Both are needed for the machine that builds alone.
const (
	debianImage = "docker.io/library/debian:bookworm-slim"
	goImage     = "docker.io/library/golang:1.26-bookworm"
)

// build makes both images by the Dockerfile as it is, and writes them to a directory.
func (s *store) build(ctx context.Context, version, name, directory string) error {
	began := time.Now()
	if err := s.baseImages(ctx); err != nil {
		return fmt.Errorf("make the base images: %w", err)
	}
	// The build sees this machine's module cache, and none of its certificates.
	if _, err := output(ctx, "go", "mod", "download"); err != nil {
		return err
	}
	fmt.Printf("base images made in %v\n", time.Since(began).Round(time.Second))
	created := committed(ctx)
	for _, architecture := range architectures {
		if err := s.buildOne(ctx, architecture, version, name, directory, created); err != nil {
			return err
		}
	}
	return s.writeIndex(ctx, name, created, filepath.Join(directory, "glusterfs-csi.tar"))
}

// committed is the time of the source, which the image has instead of the time of its build: so two builds are equal.
func committed(ctx context.Context) time.Time {
	said, err := output(ctx, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return time.Unix(0, 0) // not a checkout
	}
	seconds, err := strconv.ParseInt(said, 10, 64)
	if err != nil {
		return time.Unix(0, 0)
	}
	return time.Unix(seconds, 0)
}

// tag is an image's name in the store.
func tag(architecture string) string { return "localhost/glusterfs-csi:" + architecture }

func (s *store) buildOne(ctx context.Context, architecture, version, name, directory string, created time.Time) error {
	began := time.Now()
	modules, err := output(ctx, "go", "env", "GOMODCACHE")
	if err != nil {
		return err
	}
	cache, err := output(ctx, "go", "env", "GOCACHE")
	if err != nil {
		return err
	}
	revision, err := output(ctx, "git", "rev-parse", "HEAD")
	if err != nil {
		revision = "unknown" // not a checkout
	}
	image, seconds := tag(architecture), strconv.FormatInt(created.Unix(), 10)
	if _, err := s.buildah(ctx, "bud", "--quiet", "--pull-never", "--isolation", "chroot", "--network", "host",
		"--platform", "linux/"+architecture, "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH, "--build-arg", "TARGETARCH="+architecture,
		"--build-arg", "VERSION="+version, "--build-arg", "REVISION="+revision,
		"--timestamp", seconds, "--build-arg", "SOURCE_DATE_EPOCH="+seconds,
		// What was downloaded and compiled already is not again.
		"--volume", modules+":/go/pkg/mod", "--volume", cache+":/root/.cache/go-build",
		"--tag", image, "."); err != nil {
		return err
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	file := archive(directory, architecture)
	if err := os.RemoveAll(file); err != nil { // an archive that is there is added to
		return err
	}
	if _, err := s.buildah(ctx, "push", "--quiet", image, "docker-archive:"+file+":"+name); err != nil {
		return err
	}
	return s.unpacked(ctx, image, func(root string) error {
		size, files, err := measure(root)
		if err != nil {
			return err
		}
		contents, err := os.ReadFile(filepath.Join(root, share, "contents.txt"))
		if err != nil {
			return err
		}
		sbom, err := os.ReadFile(filepath.Join(root, share, "sbom.spdx.json"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(directory, "glusterfs-csi-"+architecture+".spdx.json"), sbom, 0o644); err != nil {
			return err
		}
		fmt.Printf("\n%s: %s in %d files, built in %v\n%s", file, mebibytes(size), files, time.Since(began).Round(time.Second), contents)
		if size > maxSize {
			return fmt.Errorf("%s has %s, more than %s", file, mebibytes(size), mebibytes(maxSize))
		}
		return nil
	})
}

// measure sums up the regular files below root.
func measure(root string) (size int64, files int, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		size, files = size+info.Size(), files+1
		return nil
	})
	return size, files, err
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// baseImages stand in for Docker Hub's, under their names: a minimal Debian, and the same with this machine's Go.
func (s *store) baseImages(ctx context.Context) error {
	debian, err := debianArchive(ctx)
	if err != nil {
		return err
	}
	goroot, err := output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return err
	}
	err = s.commit(ctx, "scratch", debianImage, func(root string) error {
		_, err := output(ctx, "tar", "-xf", debian, "-C", root)
		return err
	}, "--cmd", "/bin/sh")
	if err != nil {
		return err
	}
	return s.commit(ctx, debianImage, goImage, func(root string) error {
		_, err := output(ctx, "cp", "-a", goroot, filepath.Join(root, "usr/local/go"))
		return err
	}, "--env", "GOPATH=/go", "--env", "GOTOOLCHAIN=local", "--env", "PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}

// debianArchive is a tar of a minimal Debian, made once: it takes a minute. Remove the file to have a newer one.
func debianArchive(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(cache, "glusterfs-csi", "debian-bookworm-"+runtime.GOARCH+".tar")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	aside := strings.TrimSuffix(file, ".tar") + ".new.tar" // mmdebstrap goes by the suffix
	if _, err := output(ctx, "mmdebstrap", "--variant=minbase", "--architectures="+runtime.GOARCH, "bookworm", aside); err != nil {
		return "", err
	}
	return file, os.Rename(aside, file)
}
