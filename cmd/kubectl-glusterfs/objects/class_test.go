// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

func TestTheClassOfAVolume(t *testing.T) {
	const driver = "glusterfs.csi.gluster.org"
	class := func(name, provisioner, uid, policy string, isDefault bool) unstructured.Unstructured {
		u := unstructured.Unstructured{Object: map[string]any{"provisioner": provisioner, "parameters": map[string]any{"uid": uid}}}
		u.SetName(name)
		if policy != "" {
			u.Object["reclaimPolicy"] = policy
		}
		if isDefault {
			u.SetAnnotations(map[string]string{isDefaultClass: "true"})
		}
		return u
	}
	classes := []unstructured.Unstructured{
		class("foreign", "example.com/nfs", "1001", "", true), class("first", driver, "1001", "Retain", false),
		class("usual", driver, "1001", "", true), class("other", driver, "7", "Delete", false),
	}
	made := func(name string) *answers.MadeFor {
		return &answers.MadeFor{Parameters: map[string]string{"uid": "1001"}, Class: name}
	}
	for name, test := range map[string]struct {
		m          *answers.MadeFor
		said, want string
		policy     string
		isNoted    bool
		missing    string
	}{
		"the one that the record names":      {made("first"), "", "first", "Retain", false, ""},
		"whatever that says now":             {made("other"), "", "other", "Delete", false, ""},
		"not one of another driver":          {made("foreign"), "", "", "Retain", false, "foreign"},
		"not one that is alike in its place": {made("gone"), "", "", "Retain", false, "gone"},
		"of those alike the default one":     {made(""), "", "usual", "Delete", true, ""},
		"none that is alike":                 {&answers.MadeFor{Parameters: map[string]string{"uid": "8"}}, "", "", "Retain", true, ""},
		"of an unknown claim":                {nil, "", "", "Retain", true, ""},
		"the one that is said":               {made("first"), "other", "other", "Delete", false, ""},
		"one that is said and is not there":  {made("first"), "none", "", "Retain", false, "none"},
	} {
		got := ClassFor(classes, driver, test.m, test.said)
		if got.Name != test.want || got.Policy != test.policy || (got.Note != "") != test.isNoted || got.Missing != test.missing {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
