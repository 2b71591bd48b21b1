// SPDX-License-Identifier: Apache-2.0

// Package inside runs commands of glusterfs-csi in the driver's own pods, as `kubectl exec` does: what is on Gluster
// volumes and on nodes is asked of those who see it, and this tool needs no credentials of its own.
package inside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// The components of the driver, as the label of its pods says.
const (
	Controller = "controller"
	Node       = "node"
	Mounter    = "mounter"
)

// program is its name in the image.
const program = "glusterfs-csi"

const (
	nameLabel      = "app.kubernetes.io/name=glusterfs-csi"
	componentLabel = "app.kubernetes.io/component"
)

// ErrNone says that there is no pod to ask.
var ErrNone = errors.New("no pod of the driver is ready")

// Pod is one of the driver's.
type Pod struct {
	Namespace, Name, Node string
	Component             string
	Container             string // the driver's own
	Containers            []string
	Args                  []string
	Image                 string
	Ready                 bool
	Restarts              int64
}

// Run runs a command in a container and returns what it printed. The error of one that failed is an *ExitError.
type Run func(ctx context.Context, in Pod, command []string) (stdout []byte, err error)

// ExitError is a command that ran and failed.
type ExitError struct {
	Code   int
	Stderr string
}

// Error is what the command itself has said.
func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Stderr
}

// Command is one of glusterfs-csi with the flags by which the pod's own process knows its cluster and its clients.
func (p Pod) Command(args ...string) []string {
	command := append([]string{program}, args...)
	for _, flag := range []string{"--clusters", "--state-dir"} {
		if value := p.Flag(flag); value != "" {
			command = append(command, flag+"="+value)
		}
	}
	return command
}

// Flag is the value that the pod's process has been given of a flag, or "".
func (p Pod) Flag(name string) string {
	for i, arg := range p.Args {
		if value, ok := strings.CutPrefix(arg, name+"="); ok {
			return value
		}
		if arg == name && i+1 < len(p.Args) {
			return p.Args[i+1]
		}
	}
	return ""
}

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// Pods lists the driver's pods in a namespace, by component and name.
func Pods(ctx context.Context, client dynamic.Interface, namespace string) ([]Pod, error) {
	list, err := client.Resource(pods).Namespace(namespace).List(ctx, metav1.ListOptions{LabelSelector: nameLabel})
	if err != nil {
		return nil, fmt.Errorf("list the driver's pods in namespace %s: %w", namespace, err)
	}
	var found []Pod
	for i := range list.Items {
		if p := parse(&list.Items[i]); p.Component != "" && p.Container != "" {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b Pod) int { return strings.Compare(a.Component+"/"+a.Name, b.Component+"/"+b.Name) })
	return found, nil
}

// ReadyController is a controller that can be asked, or ErrNone.
func ReadyController(all []Pod) (Pod, error) {
	for _, p := range all {
		if p.Component == Controller && p.Ready {
			return p, nil
		}
	}
	return Pod{}, fmt.Errorf("%w as its controller; see `kubectl glusterfs doctor`", ErrNone)
}

func parse(u *unstructured.Unstructured) Pod {
	p := Pod{Namespace: u.GetNamespace(), Name: u.GetName(), Component: u.GetLabels()[componentLabel]}
	p.Node, _, _ = unstructured.NestedString(u.Object, "spec", "nodeName")
	containers, _, _ := unstructured.NestedSlice(u.Object, "spec", "containers")
	for _, item := range containers {
		c, _ := item.(map[string]any)
		name, _ := c["name"].(string)
		p.Containers = append(p.Containers, name)
		if name != "driver" && name != Mounter {
			continue
		}
		p.Container = name
		p.Args, _, _ = unstructured.NestedStringSlice(c, "args")
		p.Image, _ = c["image"].(string)
	}
	statuses, _, _ := unstructured.NestedSlice(u.Object, "status", "containerStatuses")
	for _, item := range statuses {
		s, _ := item.(map[string]any)
		if s["name"] == p.Container {
			p.Ready, _ = s["ready"].(bool)
			p.Restarts, _ = s["restartCount"].(int64)
		}
	}
	p.Ready = p.Ready && u.GetDeletionTimestamp() == nil
	return p
}
