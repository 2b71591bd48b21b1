// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
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

// TestClaimsOfEveryClassMayGrow, of the chart's, the manifests' and the examples'.
func TestClaimsOfEveryClassMayGrow(t *testing.T) {
	var texts []string
	for _, d := range rendered(t, "--set=storageClasses[0].name=a,storageClasses[1].name=b") {
		texts = append(texts, d.text)
	}
	for _, pattern := range []string{"examples/*.yaml", "kubernetes/*/*.yaml", "kubernetes/*/*/*.yaml"} {
		files, err := filepath.Glob("../../../deploy/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, strings.Split(string(data), "\n---\n")...)
		}
	}
	classes := 0
	for _, text := range texts {
		if !strings.Contains(text, "\nkind: StorageClass\n") {
			continue
		}
		classes++
		if class, ok := decode(t, text).(*storagev1.StorageClass); !ok || class.AllowVolumeExpansion == nil || !*class.AllowVolumeExpansion {
			t.Errorf("claims of this class cannot be expanded:\n%s", text)
		}
	}
	if classes < 4 {
		t.Errorf("only %d classes were found", classes)
	}
}
