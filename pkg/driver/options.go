// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/cgroup"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubelet"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// DefaultName is the driver's name unless a flag changes it.
const DefaultName = "glusterfs.csi.gluster.org"

// Mode says which services a process offers.
type Mode string

// The modes. Identity is part of each but Mounter, which serves no CSI: it owns the clients of a node plugin.
const (
	Controller Mode = "controller"
	Node       Mode = "node"
	All        Mode = "all"
	Mounter    Mode = "mounter"
)

func (m Mode) controller() bool { return m == Controller || m == All }
func (m Mode) node() bool       { return m == Node || m == All }

// Options is everything a driver is told when it starts.
type Options struct {
	Mode    Mode
	Name    string // the driver's name in CSI
	Version string // of the driver, for GetPluginInfo
	// Endpoint is where CSI is served: unix:///path or tcp://address:port. A mounter serves the node plugin there: unix:///path.
	Endpoint string
	// Mounter is the Endpoint of the mounter that owns the clients of this node plugin, which has the same StateDir.
	// "" where this process starts its clients itself.
	Mounter string
	// NodeID is this node's name in CSI: needed where Mode has the node service.
	NodeID string
	// ClustersFile is the path of the clusters file. It may appear later.
	ClustersFile string
	// StateDir is the root-only directory for clients' mount points and logs.
	StateDir string
	// KubeletDir is the root directory of this node's kubelet, with which the driver registers
	// itself there. "" where something else does, or there is no kubelet.
	KubeletDir string
	// HTTPEndpoint is the address:port of /healthz, /readyz and /metrics; "" for none.
	HTTPEndpoint string
	// TrashRetention is how long deleted volumes can be restored.
	TrashRetention time.Duration
	// QuotaHeadroom is how much of the end of a volume bricks ask about with each write, in bytes; 0 for the default.
	QuotaHeadroom int64
	// Events is the directory of the service account by which events are written, as Kubernetes mounts it; "" for none.
	Events string
	// KubernetesID says which Kubernetes cluster a controller works for. "" where KubernetesIDFrom is the directory of the
	// service account by which it asks, as Kubernetes mounts it, or where it is to know none.
	KubernetesID, KubernetesIDFrom string
	// ClaimsFrom is the directory of the service account by which a claim's class and labels are asked for when its volume is made, as
	// Kubernetes mounts it; "" where they are not to be recorded.
	ClaimsFrom string
	// StartupTaint is the directory of the service account by which the start-up taint is taken off nodes; "" for nobody
	// who does.
	StartupTaint string
	// RestartAfter is how long after the repair a container that keeps files of a dead client open is restarted, where its class says
	// so; 0 for the default.
	RestartAfter time.Duration
	// ClientMemory limits the memory of each client of a mounter.
	ClientMemory cgroup.Limits
	// MaxOperations is how many operations wait on GlusterFS at once; a mounter has none.
	MaxOperations int
	// MaxCopies and MaxCopiesVolume are how many snapshots and clones are copied at once: in all, and to one Gluster
	// volume. 0 for the defaults.
	MaxCopies, MaxCopiesVolume int
}

// CSI spec 1.13, GetPluginInfo: domain name notation, 63 characters at most.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$`)

// maxNodeID is CSI's limit in bytes.
const maxNodeID = 256

// Validate returns an error that names the first flag that cannot be used as it is.
func (o Options) Validate() error {
	switch {
	case !slices.Contains([]Mode{Controller, Node, All, Mounter}, o.Mode):
		return fmt.Errorf("mode %q is none of controller, node, all, mounter", o.Mode)
	case o.Mode != Mounter && !nameForm.MatchString(o.Name):
		return fmt.Errorf("--driver-name %q is not a name that CSI allows: letters, digits, dots and dashes, 63 at most", o.Name)
	case o.Mode.node() && o.NodeID == "":
		return errors.New("--node-id is missing: give the node's name, ${NODE_NAME} in the DaemonSet")
	case len(o.NodeID) > maxNodeID:
		return fmt.Errorf("--node-id has %d bytes, CSI allows %d", len(o.NodeID), maxNodeID)
	case !filepath.IsAbs(o.ClustersFile):
		return fmt.Errorf("--clusters %q is not an absolute path", o.ClustersFile)
	case !filepath.IsAbs(o.StateDir):
		return fmt.Errorf("--state-dir %q is not an absolute path", o.StateDir)
	case o.Events != "" && !filepath.IsAbs(o.Events):
		return fmt.Errorf("--events %q is not an absolute path", o.Events)
	case o.ClaimsFrom != "" && !filepath.IsAbs(o.ClaimsFrom):
		return fmt.Errorf("--claims-from %q is not an absolute path", o.ClaimsFrom)
	case o.StartupTaint != "" && !filepath.IsAbs(o.StartupTaint):
		return fmt.Errorf("--startup-taint %q is not an absolute path", o.StartupTaint)
	}
	return cmp.Or(o.validateKubernetes(), o.validateNumbers(), o.validateEndpoints())
}

// validateKubernetes is Validate for whose the volumes are.
func (o Options) validateKubernetes() error {
	switch {
	case o.KubernetesID == "" && o.KubernetesIDFrom == "":
	case !o.Mode.controller():
		return fmt.Errorf("--kubernetes-id and --kubernetes-id-from are for a controller, and this is %s", o.Mode)
	case o.KubernetesID != "" && o.KubernetesIDFrom != "":
		return errors.New("--kubernetes-id and --kubernetes-id-from say the same thing: give one of them")
	case o.KubernetesID != "":
		if err := volume.CheckKubernetes(o.KubernetesID); err != nil {
			return fmt.Errorf("--kubernetes-id %w", err)
		}
	case !filepath.IsAbs(o.KubernetesIDFrom):
		return fmt.Errorf("--kubernetes-id-from %q is not an absolute path", o.KubernetesIDFrom)
	}
	return nil
}

// validateNumbers is Validate for times, sizes and counts.
func (o Options) validateNumbers() error {
	switch {
	case o.TrashRetention < 0:
		return fmt.Errorf("--trash-retention %s is negative", o.TrashRetention)
	case o.QuotaHeadroom < 0:
		return fmt.Errorf("--quota-headroom %d is negative", o.QuotaHeadroom)
	case o.RestartAfter < 0:
		return fmt.Errorf("--restart-after %s is negative", o.RestartAfter)
	case o.ClientMemory.High < 0 || o.ClientMemory.Max < 0:
		return errors.New("--client-memory-high or --client-memory-max is negative")
	case o.ClientMemory.Max > 0 && o.ClientMemory.High > o.ClientMemory.Max:
		return errors.New("--client-memory-high is more than --client-memory-max")
	case o.Mode != Mounter && o.MaxOperations < 1:
		return fmt.Errorf("--max-operations %d is less than 1", o.MaxOperations)
	case o.MaxCopies < 0 || o.MaxCopiesVolume < 0 || (o.MaxCopies == 0) != (o.MaxCopiesVolume == 0):
		return fmt.Errorf("--max-copies %d or --max-copies-per-volume %d is less than 1", o.MaxCopies, o.MaxCopiesVolume)
	}
	return nil
}

// validateEndpoints is Validate for what others reach the driver by.
func (o Options) validateEndpoints() error {
	if o.HTTPEndpoint != "" {
		_, port, err := net.SplitHostPort(o.HTTPEndpoint)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("--http-endpoint %q is not address:port: %w", o.HTTPEndpoint, err)
		}
	}
	network, _, err := parseEndpoint(o.Endpoint)
	if err == nil && o.Mode == Mounter && network != "unix" {
		err = fmt.Errorf("--endpoint %q is not unix:///path: a mounter serves its own host alone", o.Endpoint)
	}
	if err == nil && o.Mounter != "" {
		err = o.validateMounter()
	}
	switch {
	case err != nil || o.KubeletDir == "":
		return err
	case !filepath.IsAbs(o.KubeletDir):
		return fmt.Errorf("--kubelet-dir %q is not an absolute path", o.KubeletDir)
	case network != "unix":
		return fmt.Errorf("--kubelet-dir needs a unix socket, and --endpoint is %q", o.Endpoint)
	}
	return nil
}

func (o Options) validateMounter() error {
	if network, _, err := parseEndpoint(o.Mounter); err != nil || network != "unix" {
		return fmt.Errorf("--mounter %q is not unix:///path", o.Mounter)
	}
	if o.Mode != Node {
		return fmt.Errorf("--mounter is for the mode %s, and this is %s", Node, o.Mode)
	}
	return nil
}

// registration is what kubelet is told, if it is to be told anything.
func (o Options) registration() (kubelet.Registration, bool) {
	_, path, err := parseEndpoint(o.Endpoint)
	r := kubelet.Registration{Driver: o.Name, Endpoint: path, KubeletDir: o.KubeletDir}
	return r, err == nil && o.Mode.node() && o.KubeletDir != ""
}
