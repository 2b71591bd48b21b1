// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// DefaultName is the driver's name unless a flag changes it.
const DefaultName = "glusterfs.csi.gluster.org"

// Mode says which services a process offers.
type Mode string

// The modes. Identity is part of each.
const (
	Controller Mode = "controller"
	Node       Mode = "node"
	All        Mode = "all"
)

func (m Mode) controller() bool { return m == Controller || m == All }
func (m Mode) node() bool       { return m == Node || m == All }

// Options is everything a driver is told when it starts.
type Options struct {
	Mode    Mode
	Name    string // the driver's name in CSI
	Version string // of the driver, for GetPluginInfo
	// Endpoint is where CSI is served: unix:///path or tcp://address:port.
	Endpoint string
	// NodeID is this node's name in CSI: needed where Mode has the node service.
	NodeID string
	// ClustersFile is the path of the clusters file. It may appear later.
	ClustersFile string
	// StateDir is the root-only directory for clients' mount points and logs.
	StateDir string
	// TrashRetention is how long deleted volumes can be restored.
	TrashRetention time.Duration
}

// CSI spec 1.13, GetPluginInfo: domain name notation, 63 characters at most.
var nameForm = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9.-]{0,61}[a-zA-Z0-9])?$`)

// maxNodeID is CSI's limit in bytes.
const maxNodeID = 256

// Validate returns an error that names the first flag that cannot be used as it is.
func (o Options) Validate() error {
	switch {
	case !slices.Contains([]Mode{Controller, Node, All}, o.Mode):
		return fmt.Errorf("mode %q is none of controller, node, all", o.Mode)
	case !nameForm.MatchString(o.Name):
		return fmt.Errorf("--driver-name %q is not a name that CSI allows: letters, digits, dots and dashes, 63 at most", o.Name)
	case o.Mode.node() && o.NodeID == "":
		return errors.New("--node-id is missing: give the node's name, ${NODE_NAME} in the DaemonSet")
	case len(o.NodeID) > maxNodeID:
		return fmt.Errorf("--node-id has %d bytes, CSI allows %d", len(o.NodeID), maxNodeID)
	case !filepath.IsAbs(o.ClustersFile):
		return fmt.Errorf("--clusters %q is not an absolute path", o.ClustersFile)
	case !filepath.IsAbs(o.StateDir):
		return fmt.Errorf("--state-dir %q is not an absolute path", o.StateDir)
	case o.TrashRetention < 0:
		return fmt.Errorf("--trash-retention %s is negative", o.TrashRetention)
	}
	_, _, err := parseEndpoint(o.Endpoint)
	return err
}
