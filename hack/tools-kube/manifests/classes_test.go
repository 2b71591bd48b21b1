// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	storagev1 "k8s.io/api/storage/v1"
)

const attributesClass = "--set-string=volumeAttributesClasses[0].name=of-web,volumeAttributesClasses[0].parameters.uid=33"

// TestAttributesClassesAreOfTheAPIThatSidecarsSee: a v1beta1 would be there, and no claim would ever be changed to it.
func TestAttributesClassesAreOfTheAPIThatSidecarsSee(t *testing.T) {
	for _, version := range []string{"1.34.0", "1.34.0-rc.1", "1.37.2"} {
		find[*storagev1.VolumeAttributesClass](t, rendered(t, attributesClass, "--kube-version="+version))
	}
}
