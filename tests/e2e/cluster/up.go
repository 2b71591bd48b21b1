// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

const (
	// upTimeout bounds everything that Up does, on a busy machine.
	upTimeout   = 10 * time.Minute
	lockTimeout = time.Minute
)

// Up starts the cluster, or what does not run of it, with these image archives on both nodes. It needs root, and the programs that
// package build makes. What an Up that was killed had begun, it removes first. It calls progress whenever a part is up.
func Up(ctx context.Context, archives []string, progress func(part string)) (*Cluster, error) {
	ctx, cancel := context.WithTimeout(ctx, upTimeout)
	defer cancel()
	unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c := plan()
	if !isComplete() {
		if err := c.tearDown(ctx); err != nil {
			return nil, err
		}
		if err := c.begin(); err != nil {
			return nil, err
		}
	}
	if err := c.start(ctx, archives, progress); err != nil {
		return nil, err
	}
	return c, os.WriteFile(completeFile(), nil, 0o600)
}

// completeFile says that Up has reached its end once.
func completeFile() string { return cache.Path("run", "complete") }

func isComplete() bool {
	_, err := os.Stat(completeFile())
	return err == nil
}

// lock keeps others from starting and ending the cluster at the same time. It waits a while for one that does.
func lock(ctx context.Context) (unlock func(), err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("a cluster needs root")
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	var listener net.Listener
	err = poll(ctx, "another process that starts or ends the cluster", func() (err error) {
		listener, err = net.Listen("unix", "@"+cache.Path())
		return err
	})
	return func() { _ = listener.Close() }, err
}

// begin makes what a new cluster needs before its machines start.
func (c *Cluster) begin() error {
	if err := os.RemoveAll(cache.Path("log")); err != nil {
		return err
	}
	if err := os.MkdirAll(cache.Path("run"), 0o755); err != nil {
		return err
	}
	return errors.Join(saveSettings(), c.makeCertificates(cache.Path("run", "pki")))
}

func (c *Cluster) start(ctx context.Context, archives []string, progress func(string)) error {
	if err := c.startMachines(ctx); err != nil {
		return err
	}
	progress("node")
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := c.startServers(ctx); err != nil {
			return err
		}
		progress(Volume)
		return nil
	})
	group.Go(func() error {
		if err := c.startKubernetes(ctx); err != nil {
			return err
		}
		progress("Kubernetes")
		return nil
	})
	group.Go(func() error {
		if err := c.importImages(ctx, archives); err != nil {
			return err
		}
		progress("images")
		return nil
	})
	return group.Wait()
}

// startMachines starts the LAN and the nodes, without anything that runs there but containerd.
func (c *Cluster) startMachines(ctx context.Context) error {
	if err := c.lan.start(ctx, c.hosts()); err != nil {
		return err
	}
	if err := c.lan.layCables(); err != nil {
		return err
	}
	return c.onNodes(ctx, func(ctx context.Context, n *Node) error {
		if err := n.powerOn(ctx); err != nil {
			return err
		}
		return n.startContainerd(ctx)
	})
}

func (c *Cluster) startServers(ctx context.Context) error {
	err := c.onNodes(ctx, func(ctx context.Context, n *Node) error { return n.glusterd().start(ctx) })
	if err != nil {
		return err
	}
	return c.makeVolume(ctx)
}

// startKubernetes returns when all nodes are ready, and pods can be made.
func (c *Cluster) startKubernetes(ctx context.Context) error {
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	if err := allowKubeProxy(ctx, client); err != nil {
		return err
	}
	err = c.onNodes(ctx, func(ctx context.Context, n *Node) error {
		if err := n.startKubelet(ctx); err != nil {
			return err
		}
		return poll(ctx, n.Name+" to be ready", func() error { return isReady(ctx, client, n.Name) })
	})
	if err != nil {
		return err
	}
	return poll(ctx, "the service account of pods", func() error {
		_, err := client.CoreV1().ServiceAccounts(corev1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (c *Cluster) onNodes(ctx context.Context, do func(context.Context, *Node) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error { return do(ctx, n) })
	}
	return group.Wait()
}

// allowKubeProxy lets kube-proxy read services. The role is Kubernetes' own.
func allowKubeProxy(ctx context.Context, client kubernetes.Interface) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "e2e-kube-proxy"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "system:kube-proxy"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:node-proxier"},
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func isReady(ctx context.Context, client kubernetes.Interface, node string) error {
	n, err := client.CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return nil
		}
		return fmt.Errorf("%s: %s", condition.Reason, condition.Message)
	}
	return errors.New("kubelet has not said anything yet")
}
