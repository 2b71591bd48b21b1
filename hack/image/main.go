// SPDX-License-Identifier: Apache-2.0

// Command image builds the container image for amd64 and arm64 from the Dockerfile, on a machine without Docker and without an
// image registry, and tests what it built. It must be root on an amd64 Debian.
//
//	go run ./hack/image build    bin/image/glusterfs-csi-{amd64,arm64}.tar (archives for docker load and ctr import), their SBOMs, and
//	                             glusterfs-csi.tar, an OCI layout of both; sizes and contents printed
//	go run ./hack/image test     what they say of themselves is true; the amd64 image mounts a real gv0 with every client option; the
//	                             arm64 one runs under qemu-user
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"sigs.k8s.io/yaml"
)

var architectures = []string{"amd64", "arm64"}

// maxSize is how many bytes an image may have, unpacked: a Raspberry Pi has an SD card.
const maxSize = 80 << 20

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context) error {
	version := flag.String("version", "devel", "version of the driver")
	output := flag.String("output", "bin/image", "directory of the archives")
	flag.Parse()
	switch flag.Arg(0) {
	case "build":
		name, err := name("deploy/helm/glusterfs-csi")
		if err != nil {
			return err
		}
		return inStore(func(s *store) error { return s.build(ctx, *version, name, *output) })
	case "test":
		return inStore(func(s *store) error {
			return errors.Join(s.testInventory(ctx, *output), s.testAMD64(ctx, archive(*output, "amd64")), s.testARM64(ctx, archive(*output, "arm64")))
		})
	}
	return fmt.Errorf("%q is neither build nor test", flag.Arg(0))
}

// name is the image's in the archives: the one that the chart has its pods run.
func name(chart string) (string, error) {
	var values struct{ Image struct{ Repository string } }
	var about struct{ AppVersion string }
	for file, into := range map[string]any{"values.yaml": &values, "Chart.yaml": &about} {
		text, err := os.ReadFile(filepath.Join(chart, file))
		if err != nil {
			return "", err
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	}
	if values.Image.Repository == "" || about.AppVersion == "" {
		return "", fmt.Errorf("%s does not say image.repository and appVersion", chart)
	}
	return values.Image.Repository + ":" + about.AppVersion, nil
}

func archive(dir, architecture string) string {
	return filepath.Join(dir, "glusterfs-csi-"+architecture+".tar")
}
