// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
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
	r, name, root := rigOfItsOwn(t)
	pathOf := func(v *csi.Volume) string { return filepath.Join(root, v.GetVolumeContext()[pathKey]) }
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
						if got := status.Code(err); got != codes.NotFound && got != codes.FailedPrecondition {
							t.Errorf("it is no figures, and %v", err)
						}
						return nil
					})
				}
				r.unpublish(v, pod)
			})
		}
	}
}

func TestStatsAreOfTheVolumeThatIsAskedFor(t *testing.T) {
	r, name, root := rigOfItsOwn(t)
	v, w := r.create(), r.create()
	podOfV, podOfW := r.publish(v, newName()), r.publish(w, newName())
	_, err := r.stats(v, podOfW)
	code(t, err, codes.NotFound, "is not what "+podOfW+" shows", "publish it again")
	_, err = r.stats(v, podOfV)
	code(t, err, codes.OK)
	whole := static(name, "/")
	podOfAll := r.publish(whole, newName())
	_, err = r.stats(whole, podOfAll)
	code(t, err, codes.OK)
	_, err = r.stats(v, podOfAll)
	code(t, err, codes.NotFound)
	for _, record := range []string{"{", `{"minReader":999}`} { // damaged, and a newer driver's
		keep := overwriteRecord(t, root, nameOf(v), record)
		testcluster.Eventually(t, patience, func() error { // the driver's client believes for a second what it knew
			ctx, cancel := r.context()
			defer cancel()
			_, err := r.volumes.Get(ctx, volume.ID{Volume: gluster.Volume{Cluster: testcluster.Name, Name: name}, ID: nameOf(v)})
			if !errors.Is(err, volume.ErrCorrupt) && !errors.Is(err, volume.ErrNewer) {
				return fmt.Errorf("the record is read: %w", err)
			}
			return nil
		})
		_, err = r.stats(v, podOfV)
		code(t, err, codes.OK)
		overwriteRecord(t, root, nameOf(v), keep)
	}
	r.unpublish(v, podOfV, podOfW, podOfAll)
}

// rigOfItsOwn is a driver for a Gluster volume that no other test uses, the volume's name, and its root by a client that
// the driver knows nothing of.
func rigOfItsOwn(t *testing.T) (r *rig, name, root string) {
	t.Helper()
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r = serve(t, clustersYAML(c.Servers(), name))
	raw, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := raw.Close(); err != nil {
			t.Error(err)
		}
	})
	return r, name, raw.Path
}

// overwriteRecord returns what the record was.
func overwriteRecord(t *testing.T, root, id, content string) (before string) {
	t.Helper()
	found := ""
	err := filepath.WalkDir(filepath.Join(root, ".glusterfs-csi", "volumes"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == id+".json" {
			found = path
		}
		return err
	})
	data, errRead := os.ReadFile(found)
	if err := errors.Join(err, errRead, os.WriteFile(found, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
	return string(data)
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
