// SPDX-License-Identifier: Apache-2.0

package mounter

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// What each side says of itself, in the header of every request and answer. A mounter is updated only where somebody deletes its
// pod, so the two may be of different versions for months.
const (
	versionHeader = "Glusterfs-Csi-Version"
	layoutHeader  = "Glusterfs-Csi-State-Layout"
)

// layoutUnsaid is that of versions that say nothing of themselves.
const layoutUnsaid = 1

// side is one of the two.
type side struct {
	version string // "" of one that does not say it
	layout  int    // of the state directory
}

func ourSide(version string) side { return side{version, statedir.Layout} }

func (s side) tell(header http.Header) {
	header.Set(versionHeader, s.version)
	header.Set(layoutHeader, strconv.Itoa(s.layout))
}

func sideOf(header http.Header) side {
	s := side{version: header.Get(versionHeader), layout: layoutUnsaid}
	if said := header.Get(layoutHeader); said != "" {
		s.layout, _ = strconv.Atoi(said) // no layout has the number 0
	}
	return s
}

// String is as people read it.
func (s side) String() string {
	version := "an older version, which does not say which"
	if s.version != "" {
		version = "version " + s.version
	}
	return fmt.Sprintf("%s (state directory layout %d)", version, s.layout)
}

// checkLayout returns ErrUnreachable where node plugin and mounter would not find each other's clients in the state directory.
// node is the node plugin's node in Kubernetes, "" where that is not known.
func checkLayout(mounter, plugin side, node string) error {
	if mounter.layout == plugin.layout {
		return nil
	}
	cure := deletePod(node)
	if mounter.layout > plugin.layout {
		cure = "the node plugin has to be updated: its DaemonSet is glusterfs-csi-node"
	}
	return fmt.Errorf("%w: the mounter of this host is %s and the node plugin %s, and they do not find each other's clients; %s; running clients go on",
		gluster.ErrUnreachable, mounter, plugin, cure)
}

// refusal is the error of a client option that this version knows and the mounter does not.
func refusal(refused error, mounter, plugin side, node string) error {
	return fmt.Errorf("%w: the mounter of this host is %s and the node plugin %s, and it does not know what is asked for; %s; it says: %v",
		gluster.ErrUnreachable, mounter, plugin, deletePod(node), refused) //nolint:errorlint // not its kind
}

// deletePod says how the mounter of a node is updated. -A, as the namespace is the operator's choice.
func deletePod(node string) string {
	command := "kubectl delete pod -A -l app.kubernetes.io/name=glusterfs-csi,app.kubernetes.io/component=mounter --field-selector spec.nodeName="
	if node == "" {
		node = "NODE"
	}
	return "delete the mounter's pod, which comes back with its new version, while files of the node's pods are out of reach for some seconds: " + command + node
}
