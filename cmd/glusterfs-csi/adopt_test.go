// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
)

func TestADirectoryIsAdoptedAndReleased(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	if _, err := controller.ListVolumes(t.Context(), &csi.ListVolumesRequest{}); err != nil { // the client's start
		t.Fatal(err)
	}
	file := filepath.Join(p.root(), "legacy", "data", "file")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("data"), 0o600)); err != nil {
		t.Fatal(err)
	}
	p.fails(2, []string{"volume", "adopt", "pi/gv0/legacy"}, "--path")
	p.fails(2, []string{"volume", "adopt", "legacy", "--path", "legacy/data"}, "<cluster>/<gluster volume>/<id>")
	p.fails(2, []string{"volume", "adopt", "pi/gv0/legacy", "--path", "legacy/data", "--capacity", "2G"}, "100Gi")
	p.fails(1, []string{"volume", "adopt", "pi/gv0/legacy", "--path", "legacy/none"}, "not found")
	adopt := []string{"volume", "adopt", "pi/gv0/legacy", "--path", "legacy/data", "--capacity", "2Gi"}
	for range 2 {
		matches(t, p.must(adopt...), `^Adopted directory legacy/data of pi/gv0 as volume pi/gv0/legacy\.\n$`)
	}
	text := p.must(append(adopt, "-o", "yaml")...)
	for _, want := range []string{`volumeHandle: pi/gv0/legacy\n`, `path: legacy/data\n`, `storage: 2Gi\n`, `The data stays when the claim is deleted`} {
		matches(t, text, want)
	}
	matches(t, p.must("volume", "list"), `(?m)^pi/gv0/legacy +legacy/data +2Gi +no .* adopted `)

	v, err := controller.ControllerGetVolume(t.Context(), &csi.ControllerGetVolumeRequest{VolumeId: "pi/gv0/legacy"})
	if err != nil || v.GetVolume().GetCapacityBytes() != 2<<30 {
		t.Fatalf("%v, %v", v, err)
	}
	if _, err := controller.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "pi/gv0/legacy"}); err != nil {
		t.Fatal(err)
	}
	p.fails(1, []string{"volume", "release", "pi/gv0/legacy"}, "not found")
	p.must(adopt...)
	matches(t, p.must("volume", "release", "pi/gv0/legacy"), `^Released pi/gv0/legacy; its directory stays\.\n$`)
	if data, err := os.ReadFile(file); err != nil || string(data) != "data" {
		t.Errorf("%q, %v", data, err)
	}
}
