// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// boundedTo is a driver on a Gluster volume of its own, with a bound for what its volumes have together.
func boundedTo(t *testing.T, bound string) (r *rig, name, file string) {
	t.Helper()
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	file = clustersYAML(c.Servers(), name) + fmt.Sprintf("  maxProvisioned: {%s: %s}\n", name, bound)
	return serve(t, file), name, file
}

func (r *rig) capacity(volume string) int64 {
	r.t.Helper()
	ctx, cancel := r.context()
	defer cancel()
	response, err := r.controller.GetCapacity(ctx, &csi.GetCapacityRequest{Parameters: map[string]string{"volume": volume}})
	if err != nil {
		r.t.Error(err)
	}
	return response.GetAvailableCapacity()
}

func TestWhatIsProvisionedIsBounded(t *testing.T) {
	r, name, file := boundedTo(t, "3Gi")
	if got := r.capacity(name); got != 3<<30 {
		t.Errorf("nothing is provisioned, and %d bytes may be", got)
	}
	first, second := r.createSized(1<<30), r.createSized(1<<30)
	beyond := sized(newName(), 2<<30)
	_, err := r.tryCreate(beyond)
	code(t, err, codes.ResourceExhausted, "2147483648 bytes", "1073741824 left", "3221225472 bytes", "maxProvisioned 3221225472")
	if got := r.capacity(name); got != 1<<30 {
		t.Errorf("%d bytes may be provisioned, want 1 GiB", got)
	}
	_, err = r.expand(first.GetVolumeId(), 3<<30, 0)
	code(t, err, codes.ResourceExhausted, "maxProvisioned")
	_, err = r.expand(first.GetVolumeId(), 2<<30, 0)
	code(t, err, codes.OK)
	again := sized(nameOf(second), 1<<30)
	_, err = r.tryCreate(again) // which is there
	code(t, err, codes.OK)
	_, err = r.tryCreate(sized(newName(), 1))
	code(t, err, codes.ResourceExhausted, "0 left")
	_, err = r.expand(first.GetVolumeId()+"-not", 4<<30, 0)
	code(t, err, codes.NotFound)

	// The next process knows what is there. Then nothing is left for what was already counted, which stays what it is.
	r.stop()
	r = serveIn(t, r.dir)
	_, err = r.tryCreate(beyond)
	code(t, err, codes.ResourceExhausted, "3221225472 of 3221225472")
	_, err = r.tryCreate(again)
	code(t, err, codes.OK)
	code(t, r.delete(first), codes.OK)
	_, err = r.tryCreate(beyond) // what is in the trash is not provisioned
	code(t, err, codes.OK)

	r.setClusters(strings.Replace(file, "3Gi", "100%", 1))
	testcluster.Eventually(t, patience, func() error {
		_, err := r.tryCreate(again)
		if err == nil && r.capacity(name) <= 3<<30 {
			err = fmt.Errorf("%d bytes may be provisioned", r.capacity(name))
		}
		return err
	})
}

func TestOfManyThatAreMadeAtOnceOneGetsTheRest(t *testing.T) {
	r, _, _ := boundedTo(t, "2Gi")
	r.createSized(1 << 30)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		request := sized(newName(), 1<<30)
		all.Go(func() { _, errs[i] = r.tryCreate(request) })
	}
	all.Wait()
	made := 0
	for _, err := range errs {
		switch status.Code(err) {
		case codes.OK:
			made++
		case codes.ResourceExhausted:
		default:
			t.Error(err)
		}
	}
	if made != 1 {
		t.Errorf("%d volumes of 1 GiB were made where one fits", made)
	}
}

func TestAFailedCreationGivesItsBytesBack(t *testing.T) {
	r, name, _ := boundedTo(t, "2Gi")
	first := r.createSized(1 << 30)
	below := sized(newName(), 1<<30)
	below.Parameters = map[string]string{"path": nameOf(first) + "/below"}
	_, err := r.tryCreate(below)
	code(t, err, codes.FailedPrecondition, "within each other")
	if got := r.capacity(name); got != 1<<30 {
		t.Errorf("%d bytes may be provisioned, want 1 GiB", got)
	}
	r.createSized(1 << 30)
}
