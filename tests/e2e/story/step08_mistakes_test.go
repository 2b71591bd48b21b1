// SPDX-License-Identifier: Apache-2.0

package story

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// wrongClass is a StorageClass that cannot work, and what the events of its claim say.
type wrongClass struct {
	name       string
	parameters string
	options    string
	mode       string
	says       []string
}

var wrongClasses = []wrongClass{
	{name: "misspelt", parameters: `{uuid: "1001"}`, says: []string{`StorageClass parameter "uuid" is unknown`, `did you mean "uid"`}},
	{name: "no-number", parameters: `{gid: "staff"}`, says: []string{`StorageClass parameter gid`, `"staff" is not a number from 0 to`}},
	{name: "no-mode", parameters: `{mode: "0999"}`, says: []string{`StorageClass parameter mode`, `"0999" is not an octal mode`}},
	{name: "outside", parameters: `{path: "../${pv.name}"}`, says: []string{`StorageClass parameter path`, `".." is not a name for a file`}},
	{name: "no-variable", parameters: `{path: "${pvc.uid}"}`, says: []string{`${pvc.uid} is unknown; there are ${pv.name}, ${pvc.name} and ${pvc.namespace}`}},
	{name: "no-option", options: `[backup-volfile-servers=pi-worker2]`, says: []string{`backup-volfile-servers`, `each server in the clusters file is a backup of the others`}},
	{name: "no-volume", parameters: `{volume: gv9}`, says: []string{`unknown Gluster volume "gv9"`, `the clusters file allows in cluster "pi": gv0`}},
	{name: "no-cluster", parameters: `{cluster: nowhere}`, says: []string{`unknown cluster "nowhere": the clusters file has: `, `pi`}},
	{name: "block", mode: "Block", says: []string{`volumeMode: Block is not offered`, `use volumeMode: Filesystem`}},
}

// wrongVolume is a static PersistentVolume that cannot work, and what the events of its pod say.
type wrongVolume struct {
	name       string
	handle     string
	attributes string
	says       []string
}

var wrongVolumes = []wrongVolume{
	{name: "pv-no-cluster", handle: "nowhere/gv0/data", attributes: `{path: data}`, says: []string{`unknown cluster "nowhere"`, `the clusters file has: `}},
	{name: "pv-no-directory", handle: "pi/gv0/data", attributes: `{path: not/there}`, says: []string{`not/there`}},
	{name: "pv-misspelt", handle: "pi/gv0/data", attributes: `{pat: data}`, says: []string{`volume attribute "pat" is unknown: did you mean "path"`}},
	{name: "pv-no-handle", handle: "data", attributes: `{path: data}`, says: []string{`<cluster>/<gluster volume>/<`}},
}

// mistakes is what operators get wrong, and what the events tell them.
func mistakes(s *step) {
	n := s.namespace("story-08")
	for _, c := range wrongClasses {
		n.makeWrong(c)
	}
	for _, v := range wrongVolumes {
		n.template("08-static.yaml", "NAME", v.name, "HANDLE", v.handle, "ATTRIBUTES", v.attributes)
	}
	s.part("classes", func(s *step) {
		for _, c := range wrongClasses {
			n.in(s).says("PersistentVolumeClaim", c.name, c.says...)
		}
	})
	s.part("volumes", func(s *step) {
		for _, v := range wrongVolumes {
			n.in(s).says("Pod", v.name, v.says...)
		}
	})
	s.part("unreachable_cluster", func(s *step) { unreachable(n.in(s)) })
}

func (n *namespace) makeWrong(c wrongClass) {
	n.Helper()
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	n.template("08-class.yaml", "NAME", c.name, "PARAMETERS", or(c.parameters, "{}"), "OPTIONS", or(c.options, "[]"), "MODE", or(c.mode, "Filesystem"))
}

// unreachable adds a cluster whose only server is an address at which nobody is. Claims and pods that need it say so;
// the others go on.
func unreachable(n *namespace) {
	nobody := n.unusedAddress()
	edited := n.clustersFile() + fmt.Sprintf("  - name: away\n    servers: [%s]\n    volumes: [gv0]\n", nobody)
	n.Cleanup(func() {
		n.editClusters(n.clustersFile())
		n.volume("which") // until then the class that names no cluster is of no use to anybody
	})
	n.editClusters(edited)
	n.makeWrong(wrongClass{name: "away", parameters: `{cluster: away}`})
	n.template("08-static.yaml", "NAME", "pv-away", "HANDLE", "away/gv0/data", "ATTRIBUTES", `{path: data}`)
	n.makeWrong(wrongClass{name: "near", parameters: `{cluster: pi}`})
	n.volume("near")
	cure := []string{"away/gv0", "cannot be reached", nobody, "make sure that glusterd runs on these servers", "TCP port 24007"}
	n.says("PersistentVolumeClaim", "away", cure...)
	n.says("Pod", "pv-away", cure...)
	n.makeWrong(wrongClass{name: "which", says: nil})
	n.says("PersistentVolumeClaim", "which", "name one of the clusters: away, pi")
}

// unusedAddress is one of the servers' network that no server has.
func (s *step) unusedAddress() string {
	s.Helper()
	address, err := netip.ParseAddr(s.Nodes()[len(s.Nodes())-1].IP)
	if err != nil {
		s.Fatal(err)
	}
	return address.Next().Next().Next().String()
}

// editClusters is `kubectl edit configmap glusterfs-csi-clusters`. Kubelet looks for changes of a ConfigMap from time to time, and at once
// where its pod has changed: so the driver's pods are given another annotation.
func (s *step) editClusters(content string) {
	s.Helper()
	patch, err := json.Marshal(corev1.ConfigMap{Data: map[string]string{"clusters.yaml": content}})
	if err != nil {
		s.Fatal(err)
	}
	s.kubectl("-n", driverNamespace, "patch", "configmap", "glusterfs-csi-clusters", "-p", string(patch))
	s.kubectl("-n", driverNamespace, "annotate", "pods", "--all", "--overwrite", fmt.Sprintf("story/edited=%d", time.Now().UnixNano()))
}
