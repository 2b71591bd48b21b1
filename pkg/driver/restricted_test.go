// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// restricting are the options of a Gluster volume that are said for it.
var restricting = []struct {
	option, reason string
	creates        codes.Code // what CreateVolume says of a volume of which nothing is there
	reads          bool       // whether a pod's files can be read all the same
}{
	{"features.read-only", "ReadOnly", codes.FailedPrecondition, true},
	{"features.worm", "Worm", codes.FailedPrecondition, true},
	{"server.root-squash", "RootSquash", codes.Unavailable, false}, // nobody can look whether something of it is there
}

func TestWhatAnOptionForbidsIsSaidForTheGlusterVolumeAndNotBegun(t *testing.T) {
	for _, test := range restricting {
		t.Run(test.reason, func(t *testing.T) {
			c, name := ownVolume(t, testcluster.VolumeOptions{})
			r := serve(t, clustersYAML(c.Servers(), name))
			v := r.create("uid", "1001")
			at := r.publish(v, "pod")
			file := filepath.Join(at, "file")
			if err := os.WriteFile(file, []byte("hi"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := c.SetOption(name, test.option, "on"); err != nil {
				t.Fatal(err)
			}
			says := []string{test.option + " of pi/" + name + " is on", "`gluster volume set " + name + " " + test.option + " off`"}
			r.hasStorageConditions("STORAGE_DEGRADED "+test.reason, says...)
			for _, condition := range r.volumeHealth(v.GetVolumeId(), at) {
				if condition.head != "DEGRADED "+test.reason {
					t.Errorf("the volume's condition is %+v", condition)
				}
			}
			_, err := r.tryCreate(request("pvc-refused"))
			code(t, err, test.creates, says...)
			code(t, r.delete(v), codes.FailedPrecondition, says...)
			_, err = r.expand(v.GetVolumeId(), 2<<30, 0)
			code(t, err, codes.FailedPrecondition, says...)
			never := &csi.Volume{VolumeId: "pi/" + name + "/pvc-refused", VolumeContext: map[string]string{pathKey: "pvc-refused"}}
			code(t, r.tryPublish(never, r.target("never")), codes.FailedPrecondition, says...)
			nothingAt(t, r.target("never"))
			if got, err := os.ReadFile(file); test.reads && (err != nil || string(got) != "hi") {
				t.Errorf("the file says %q, %v", got, err)
			}
			stored(t, c, name, "pvc-refused")

			if err := c.SetOption(name, test.option, "off"); err != nil {
				t.Fatal(err)
			}
			testcluster.Eventually(t, patience, func() error { _, err := r.tryCreate(request("pvc-refused")); return err })
			r.hasStorageConditions("")
			r.unpublish(v, at)
			if err := r.delete(v); err != nil {
				t.Error(err)
			}
			stored(t, c, name, nameOf(v), trashed(nameOf(v)))
			if n := strings.Count(r.log.String(), "An option of the Gluster volume forbids what the driver does"); n != 1 {
				t.Errorf("it is said %d times in the log", n)
			}
		})
	}
}

// What a driver knows of the options is some seconds old: what is begun meanwhile comes to its end when it may.
func TestWhatAnOptionHasStoppedHalfWayIsDoneByTheRepetition(t *testing.T) {
	const option = "features.worm"
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	r.create()
	if err := c.SetOption(name, option, "on"); err != nil {
		t.Fatal(err)
	}
	var err error
	testcluster.Eventually(t, patience, func() error {
		_, err = r.tryCreate(request("pvc-half"))
		if !strings.Contains(fmt.Sprint(err), option) {
			return fmt.Errorf("it is made, or the option is not named: %w", err)
		}
		return nil
	})
	begun := traces(t, c, name, "pvc-half")
	if got := status.Code(err); len(begun) > 0 && got != codes.Unavailable && got != codes.Aborted {
		t.Errorf("%q is there and the provisioner is told %v, after which it may forget the volume", begun, err)
	}
	_, err = r.tryCreate(request("pvc-half"))
	if got := status.Code(err); len(begun) > 0 && got != codes.Unavailable && got != codes.Aborted {
		t.Errorf("%q is there and the provisioner is told then %v, after which it may forget the volume", begun, err)
	}
	if err := c.SetOption(name, option, "off"); err != nil {
		t.Fatal(err)
	}
	var v *csi.Volume
	testcluster.Eventually(t, patience, func() (err error) {
		v, err = r.tryCreate(request("pvc-half"))
		return err
	})
	if err := r.delete(v); err != nil {
		t.Error(err)
	}
	stored(t, c, name, "pvc-half", trashed("pvc-half"))
}

// hasStorageConditions waits until storage health has just this one, or none, with a message that says all of the words.
func (r *rig) hasStorageConditions(head string, words ...string) {
	r.t.Helper()
	testcluster.Eventually(r.t, patience, func() error {
		all := r.storageHealth()
		if head == "" && len(all) == 0 {
			return nil
		}
		if len(all) != 1 || all[0].head != head {
			return fmt.Errorf("conditions %+v", all)
		}
		for _, word := range words {
			if !strings.Contains(all[0].message, word) {
				return errors.New("it does not say " + word + ": " + all[0].message)
			}
		}
		return nil
	})
}
