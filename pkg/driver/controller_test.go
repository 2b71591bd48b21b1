// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func getRequest(v *csi.Volume) *csi.ControllerGetVolumeRequest {
	return &csi.ControllerGetVolumeRequest{VolumeId: v.GetVolumeId()}
}

// pages reads a list in pages of this size.
func (r *rig) pages(size int32) (ids []string, pages int) {
	r.t.Helper()
	ctx, cancel := r.context()
	defer cancel()
	for token := ""; ; {
		response, err := r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: size, StartingToken: token})
		if err != nil {
			r.t.Fatal(err)
		}
		if size > 0 && len(response.GetEntries()) > int(size) {
			r.t.Errorf("%d entries on a page of %d", len(response.GetEntries()), size)
		}
		for _, entry := range response.GetEntries() {
			ids = append(ids, entry.GetVolume().GetVolumeId())
			if entry.GetVolume().GetCapacityBytes() != 1<<30 || entry.GetVolume().GetVolumeContext()[pathKey] == "" {
				r.t.Errorf("an entry is %v", entry)
			}
		}
		pages++
		if token = response.GetNextToken(); token == "" {
			return ids, pages
		}
	}
}

func TestVolumesAreListedInPagesAcrossGlusterVolumes(t *testing.T) {
	c, one := ownVolume(t, testcluster.VolumeOptions{})
	_, two := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), one, two))
	if ids, pages := r.pages(0); len(ids) != 0 || pages != 1 {
		t.Errorf("before there was any: %v in %d pages", ids, pages)
	}
	var want []string
	for i := range 7 {
		want = append(want, r.create("volume", []string{one, two}[i%2]).GetVolumeId())
	}
	slices.Sort(want)
	for _, of := range []string{one, two} { // in each the order is the driver's
		all, _ := r.pages(0)
		all = slices.DeleteFunc(all, func(id string) bool { return !strings.Contains(id, "/"+of+"/") })
		slices.Sort(all)
		if mine := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return !strings.Contains(id, "/"+of+"/") }); !slices.Equal(all, mine) {
			t.Errorf("on %s: %v, want %v", of, all, mine)
		}
	}
	want, _ = r.pages(0)
	for size, wantPages := range map[int32]int{0: 1, 1: 7, 2: 4, 3: 3, 4: 2, 7: 1, 100: 1} {
		ids, pages := r.pages(size)
		if !slices.Equal(ids, want) || pages != wantPages {
			t.Errorf("by %d: %v in %d pages, want %v in %d", size, ids, pages, want, wantPages)
		}
	}
	ctx, cancel := r.context()
	defer cancel()
	// A page's token stays good when the volume it names goes.
	first, err := r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: 3})
	if err != nil {
		t.Fatal(err)
	}
	code(t, r.delete(&csi.Volume{VolumeId: want[2]}), codes.OK)
	rest, err := r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{StartingToken: first.GetNextToken()})
	if err != nil || len(rest.GetEntries()) != 4 {
		t.Errorf("the rest is %v, %v", rest, err)
	}
	_, err = r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{StartingToken: "nonsense"})
	code(t, err, codes.Aborted, "list again from the start")
	_, err = r.controller.ListVolumes(ctx, &csi.ListVolumesRequest{MaxEntries: -1})
	code(t, err, codes.InvalidArgument, "negative")
}

func TestAVolumeIsFoundAndValidated(t *testing.T) {
	r := onGV0(t)
	v := r.create("path", "found/${pv.name}")
	ctx, cancel := r.context()
	defer cancel()
	found, err := r.controller.ControllerGetVolume(ctx, getRequest(v))
	if err != nil || found.GetVolume().String() != v.String() || found.GetStatus() == nil {
		t.Errorf("%v, %v; want %v", found, err, v)
	}
	good := capability(manyWriters, "noexec", "acl")
	block := &csi.VolumeCapability{AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}, AccessMode: good.GetAccessMode()}
	for name, test := range map[string]struct {
		capabilities []*csi.VolumeCapability
		context      map[string]string
		says         string // "" is confirmed
	}{
		"as it is":          {[]*csi.VolumeCapability{good}, v.GetVolumeContext(), ""},
		"without a context": {[]*csi.VolumeCapability{good}, nil, ""},
		"every mode": {[]*csi.VolumeCapability{
			capability(csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER), capability(csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY),
		}, nil, ""},
		"another path":      {[]*csi.VolumeCapability{good}, map[string]string{pathKey: "else"}, `not "else"`},
		"a block":           {[]*csi.VolumeCapability{good, block}, nil, "volumeMode: Filesystem"},
		"an unknown option": {[]*csi.VolumeCapability{capability(manyWriters, "nonsense")}, nil, "nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			response, err := r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{
				VolumeId: v.GetVolumeId(), VolumeCapabilities: test.capabilities, VolumeContext: test.context,
			})
			if err != nil || (response.GetConfirmed() != nil) != (test.says == "") || !strings.Contains(response.GetMessage(), test.says) {
				t.Errorf("%v, %v", response, err)
			}
		})
	}
	_, err = r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeId: v.GetVolumeId()})
	code(t, err, codes.InvalidArgument, "capabilities are missing")
	code(t, r.delete(v), codes.OK)
	_, err = r.controller.ControllerGetVolume(ctx, getRequest(v))
	code(t, err, codes.NotFound, nameOf(v))
	_, err = r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{VolumeId: v.GetVolumeId(), VolumeCapabilities: []*csi.VolumeCapability{good}})
	code(t, err, codes.NotFound, nameOf(v))
}

func TestOnlyWhatWasComparedIsConfirmed(t *testing.T) {
	r := onGV0(t)
	v := r.create("path", "compared/${pv.name}", "uid", "1001", "mode", "0750", "onDelete", "delete")
	ctx, cancel := r.context()
	defer cancel()
	validate := func(parameters map[string]string) *csi.ValidateVolumeCapabilitiesResponse {
		response, err := r.controller.ValidateVolumeCapabilities(ctx, &csi.ValidateVolumeCapabilitiesRequest{
			VolumeId: v.GetVolumeId(), VolumeCapabilities: []*csi.VolumeCapability{capability(manyWriters)}, VolumeContext: v.GetVolumeContext(), Parameters: parameters,
		})
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	fits := map[string]string{"path": "compared/${pv.name}", "uid": "1001", "mode": "750", "onDelete": "delete", "cluster": testcluster.Name, "volume": "gv0"}
	if got := validate(fits).GetConfirmed().GetParameters(); !maps.Equal(got, fits) {
		t.Errorf("confirmed are %v, want %v", got, fits)
	}
	if got := validate(map[string]string{"uid": "1001", pvcNameKey: "any"}).GetConfirmed().GetParameters(); !maps.Equal(got, map[string]string{"uid": "1001"}) {
		t.Errorf("confirmed are %v: the claim's name was not compared", got)
	}
	for key, other := range map[string]string{"path": "else/${pv.name}", "uid": "1002", "gid": "5", "mode": "0700", "onDelete": "trash", "volume": "gv1", "consistency": "strict", "nonsense": "1"} {
		if response := validate(map[string]string{key: other}); response.GetConfirmed() != nil || !strings.Contains(response.GetMessage(), key) {
			t.Errorf("%s %s: %v", key, other, response)
		}
	}
}

func TestAVolumeLargerThanTheGlusterVolumeIsOutOfRange(t *testing.T) {
	c, small := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), small))
	huge := request(newName())
	huge.CapacityRange = &csi.CapacityRange{RequiredBytes: 1 << 60}
	_, err := r.tryCreate(huge)
	code(t, err, codes.OutOfRange, "in all", "add bricks")
	stored(t, c, small, huge.GetName())
	huge.CapacityRange.RequiredBytes = 1 << 20
	if _, err := r.tryCreate(huge); err != nil {
		t.Error(err)
	}
}

func TestCapacityIsWhatIsFree(t *testing.T) {
	c, small := ownVolume(t, testcluster.VolumeOptions{BrickSize: 64 << 20})
	r := serve(t, clustersYAML(c.Servers(), "gv0", small))
	ctx, cancel := r.context()
	defer cancel()
	response, err := r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: map[string]string{"volume": small}})
	if err != nil || response.GetAvailableCapacity() < 32<<20 || response.GetAvailableCapacity() > 64<<20 {
		t.Errorf("%v, %v; want less than 64 MiB", response, err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(c.BrickPath("gv0", 0), &st); err != nil {
		t.Fatal(err)
	}
	response, err = r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: map[string]string{"volume": "gv0"}})
	if free := int64(st.Bavail) * st.Bsize; err != nil || response.GetAvailableCapacity() < free/2 || response.GetAvailableCapacity() > 2*free {
		t.Errorf("%v, %v; the brick's file system has %d", response, err, free)
	}
	_, err = r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{})
	code(t, err, codes.FailedPrecondition, "name one of", "gv0", small)
	_, err = r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: map[string]string{"volum": small}})
	code(t, err, codes.InvalidArgument, `did you mean "volume"`)
	block := &csi.VolumeCapability{AccessType: &csi.VolumeCapability_Block{}, AccessMode: capability(manyWriters).GetAccessMode()}
	response, err = r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: map[string]string{"volume": small}, VolumeCapabilities: []*csi.VolumeCapability{block}})
	if err != nil || response.GetAvailableCapacity() != 0 {
		t.Errorf("for blocks: %v, %v", response, err)
	}
}

func TestOnDeleteDecidesWhatBecomesOfTheData(t *testing.T) {
	r := onGV0(t)
	for onDelete, left := range map[string]func(name string) []string{
		"trash":  func(name string) []string { return []string{trashed(name)} },
		"retain": func(name string) []string { return []string{name} },
		"delete": func(name string) []string { return []string{trashed(name)} }, // until the reaper comes round
	} {
		t.Run(onDelete, func(t *testing.T) {
			v := r.create("onDelete", onDelete)
			code(t, r.delete(v), codes.OK)
			stored(t, healthy(t), "gv0", nameOf(v), left(nameOf(v))...)
			code(t, r.delete(v), codes.OK)
		})
	}
}

func TestEachModeServesItsServicesOnly(t *testing.T) {
	for mode, has := range map[Mode]struct{ controller, node bool }{Controller: {true, false}, Node: {false, true}, All: {true, true}} {
		t.Run(string(mode), func(t *testing.T) {
			r := serve(t, clustersYAML(healthy(t).Servers(), "gv0"), func(o *Options) {
				o.Mode = mode
				if mode == Controller {
					o.NodeID = ""
				}
			})
			ctx, cancel := r.context()
			defer cancel()
			served := func(yes bool) codes.Code {
				if yes {
					return codes.OK
				}
				return codes.Unimplemented
			}
			_, err := r.controller.ControllerGetCapabilities(ctx, &csi.ControllerGetCapabilitiesRequest{})
			code(t, err, served(has.controller))
			_, err = r.node.NodeGetCapabilities(ctx, &csi.NodeGetCapabilitiesRequest{})
			code(t, err, served(has.node))
			plugin, err := r.identity.GetPluginInfo(ctx, &csi.GetPluginInfoRequest{})
			if err != nil || plugin.GetName() != DefaultName || plugin.GetVendorVersion() != "test" {
				t.Errorf("%v, %v", plugin, err)
			}
			capabilities, err := r.identity.GetPluginCapabilities(ctx, &csi.GetPluginCapabilitiesRequest{})
			want := 0 // the controller itself, and expansion of what is in use
			if has.controller {
				want = 2
			}
			if err != nil || len(capabilities.GetCapabilities()) != want {
				t.Errorf("%v, %v", capabilities, err)
			}
			if has.node {
				info, err := r.node.NodeGetInfo(ctx, &csi.NodeGetInfoRequest{})
				if err != nil || info.GetNodeId() != "pi-worker1" || info.GetAccessibleTopology() != nil {
					t.Errorf("%v, %v", info, err)
				}
			}
			if err := r.isReady(); err != nil {
				t.Error(err)
			}
		})
	}
}
