// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func (r *rig) stats(v *csi.Volume, path string) ([]*csi.VolumeUsage, error) {
	ctx, cancel := r.context()
	defer cancel()
	response, err := r.node.NodeGetVolumeStats(ctx, statsRequest(v, path))
	return response.GetUsage(), err
}

// TestStatsAreOfTheVolumeOrOfNothing has a pod that still has what its volume was.
func TestStatsAreOfTheVolumeOrOfNothing(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	raw, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(filepath.Join(raw.Path, "operators"), 0o755); err != nil {
		t.Fatal(err)
	}
	pathOf := func(v *csi.Volume) string { return filepath.Join(raw.Path, v.GetVolumeContext()[pathKey]) }
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for what, happens := range map[string]func(v *csi.Volume){
		"it was deleted":            func(v *csi.Volume) { code(t, r.delete(v), codes.OK) },
		"its directory was renamed": func(v *csi.Volume) { rename(pathOf(v), pathOf(v)+"-aside") },
		"its directory was removed": func(v *csi.Volume) { code(t, os.Remove(pathOf(v)), codes.OK) },
		"another directory has its place": func(v *csi.Volume) {
			rename(pathOf(v), pathOf(v)+"-other")
			code(t, os.Mkdir(pathOf(v), 0o755), codes.OK)
		},
	} {
		for kind, makeOne := range map[string]func() *csi.Volume{
			"a volume": func() *csi.Volume { return r.create() },
			"an operator's directory": func() *csi.Volume {
				v := static(name, newName())
				code(t, os.Mkdir(pathOf(v), 0o755), codes.OK)
				return v
			},
		} {
			t.Run(kind+": "+what, func(t *testing.T) {
				v := makeOne()
				pod := r.publish(v, newName())
				if _, err := r.stats(v, pod); err != nil {
					t.Fatalf("before: %v", err)
				}
				happens(v)
				if kind == "an operator's directory" && what == "it was deleted" {
					if _, err := r.stats(v, pod); err != nil { // deletion leaves it alone
						t.Errorf("an operator's directory: %v", err)
					}
				} else {
					testcluster.Eventually(t, patience, func() error { // the client believes a name for a second
						usage, err := r.stats(v, pod)
						if err == nil {
							return errors.New("its mount has the figures " + usage[0].String())
						}
						return nil
					})
				}
				r.unpublish(v, pod)
			})
		}
	}
	v, w := r.create(), r.create()
	podOfV, podOfW := r.publish(v, newName()), r.publish(w, newName())
	_, err = r.stats(v, podOfW)
	code(t, err, codes.NotFound, "is not what "+podOfW+" shows", "publish it again")
	_, err = r.stats(v, podOfV)
	code(t, err, codes.OK)
	whole := static(name, "/")
	podOfAll := r.publish(whole, newName())
	_, err = r.stats(whole, podOfAll)
	code(t, err, codes.OK)
	_, err = r.stats(v, podOfAll)
	code(t, err, codes.NotFound)
	r.unpublish(v, podOfV, podOfW, podOfAll)
}

func TestStatsOfALimitedDirectoryAreItsLimit(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	for _, command := range (quota.State{}).Commands(gluster.Volume{Cluster: testcluster.Name, Name: name}) {
		if _, err := c.Gluster(strings.Fields(command)[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	r := serve(t, clustersYAML(c.Servers(), name))
	v := r.create()
	pod := r.publish(v, newName())
	setter, err := c.Mount(t.Context(), name, gluster.Arguments(name, gluster.PrivilegedOptions())...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { code(t, setter.Close(), codes.OK) }()
	root, err := safepath.OpenRoot(setter.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir, err := quota.Open(root, v.GetVolumeContext()[pathKey])
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	const mib = 1 << 20
	for _, limit := range []int64{32 * mib, 64 * mib} {
		code(t, dir.SetLimit(quota.Choose(limit, quota.DefaultHeadroom)), codes.OK)
		code(t, os.WriteFile(filepath.Join(pod, "f"), make([]byte, 8*mib), 0o600), codes.OK)
		testcluster.Eventually(t, patience, func() error { // the bricks count after the write
			usage, err := r.stats(v, pod)
			if err == nil && (usage[0].GetTotal() != limit || usage[0].GetUsed() != 8*mib || usage[0].GetAvailable() != limit-8*mib) {
				err = errors.New("they are " + usage[0].String())
			}
			return err
		})
	}
	r.unpublish(v, pod)
	code(t, r.delete(v), codes.OK)
}
