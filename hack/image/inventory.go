// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/hack/spdx"
)

// testInventory holds what the images say of themselves, as scanners read it, against what is in them.
func (s *store) testInventory(ctx context.Context, directory string) error {
	var errs []error
	for _, architecture := range architectures {
		errs = append(errs, s.unpacked(ctx, "docker-archive:"+archive(directory, architecture), func(root string) error {
			packages, err := dpkgKnows(ctx, root, architecture)
			if err != nil {
				return err
			}
			modules, err := sbomHas(root, packages)
			if err == nil {
				err = isDebian(root)
			}
			fmt.Printf("%s: %d packages by dpkg and in the SBOM, with %d Go modules\n", archive(directory, architecture), len(packages), modules)
			return err
		}))
	}
	return errors.Join(append(errs, s.testIndex(ctx, filepath.Join(directory, "glusterfs-csi.tar")))...)
}

// testIndex fetches the image of each architecture from the archive of both, as a machine of that architecture does.
func (s *store) testIndex(ctx context.Context, file string) error {
	for _, architecture := range architectures {
		id, err := s.buildah(ctx, "pull", "--quiet", "--arch", architecture, "oci-archive:"+file)
		if err != nil {
			return err
		}
		got, err := s.buildah(ctx, "inspect", "--type", "image", "--format", "{{.OCIv1.Architecture}}", id)
		if err != nil {
			return err
		}
		if got != architecture {
			return fmt.Errorf("%s has an image for %s where that for %s is asked for", file, got, architecture)
		}
		fmt.Printf("%s: linux/%s is %s\n", file, architecture, id)
	}
	return nil
}

// dpkgKnows asks Debian's own tool which packages the image has, with their versions, and whether their files are as they were packed.
func dpkgKnows(ctx context.Context, root, architecture string) (map[string]string, error) {
	said, err := output(ctx, "dpkg-query", "--root", root, "--show", "--showformat", "${db:Status-Status} ${Architecture} ${Package} ${Version} ${source:Package}\n")
	if err != nil {
		return nil, err
	}
	packages := map[string]string{}
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[0] != "installed" || fields[1] != architecture && fields[1] != "all" {
			return nil, fmt.Errorf("dpkg-query says %q", line)
		}
		packages[fields[2]] = fields[3]
	}
	for name, command := range map[string][]string{
		"usr/sbin/glusterfs": {"dpkg-query", "--root", root, "--search", "/usr/sbin/glusterfs"},
		"files":              {"dpkg", "--root", root, "--verify"},
	} {
		said, err := output(ctx, command[0], command[1:]...)
		if err != nil {
			return nil, err
		}
		if name == "files" && said != "" || name != "files" && !strings.HasPrefix(said, "glusterfs-client") {
			return nil, fmt.Errorf("%s says %q", strings.Join(command, " "), said)
		}
	}
	contents, err := os.ReadFile(filepath.Join(root, share, "contents.txt"))
	if err != nil {
		return nil, err
	}
	listed, _, _ := strings.Cut(string(contents), "Files,")
	if n := strings.Count(listed, "\n  "); n != len(packages) {
		return nil, fmt.Errorf("dpkg knows %d packages, contents.txt %d", len(packages), n)
	}
	return packages, nil
}

// sbomHas fails unless the SBOM is valid and has just these packages, the driver, and modules, which it counts.
func sbomHas(root string, packages map[string]string) (modules int, err error) {
	text, err := os.ReadFile(filepath.Join(root, share, "sbom.spdx.json"))
	if err != nil {
		return 0, err
	}
	document, err := spdx.Decode(text)
	if err != nil {
		return 0, err
	}
	debian := 0
	for _, p := range document.Packages[1:] {
		switch locator := p.References[0].Locator; {
		case strings.HasPrefix(locator, "pkg:golang/"):
			modules++
		case packages[p.Name] != p.Version:
			return 0, fmt.Errorf("the SBOM has %s %s, dpkg %q", p.Name, p.Version, packages[p.Name])
		default:
			debian++
		}
	}
	if debian != len(packages) || document.Find("google.golang.org/grpc") == nil || document.Find("stdlib") == nil {
		return 0, fmt.Errorf("the SBOM has %d of %d packages, and %d modules", debian, len(packages), modules)
	}
	return modules, nil
}

// isDebian fails unless the image says of which distribution its packages are.
func isDebian(root string) error {
	for file, want := range map[string]string{"etc/os-release": "ID=debian\n", "etc/debian_version": "12."} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			return err
		}
		if !strings.Contains(string(text), want) {
			return fmt.Errorf("%s has no %q:\n%s", file, want, text)
		}
	}
	return nil
}
