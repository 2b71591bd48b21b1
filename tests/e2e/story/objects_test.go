// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// volume waits until the claim is bound, and returns its PersistentVolume.
func (n *namespace) volume(claim string) *corev1.PersistentVolume {
	n.Helper()
	var volume *corev1.PersistentVolume
	n.await(patience, fmt.Sprintf("claim %s/%s is bound", n.name, claim), func(ctx context.Context) error {
		c, err := n.api.CoreV1().PersistentVolumeClaims(n.name).Get(ctx, claim, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if c.Status.Phase != corev1.ClaimBound {
			return fmt.Errorf("it is %s; %s", c.Status.Phase, n.lastEvent(ctx, "PersistentVolumeClaim", claim))
		}
		volume, err = n.api.CoreV1().PersistentVolumes().Get(ctx, c.Spec.VolumeName, metav1.GetOptions{})
		return err
	})
	return volume
}

// path is where a volume's data is, below the root of gv0.
func path(volume *corev1.PersistentVolume) string { return volume.Spec.CSI.VolumeAttributes["path"] }

// ready waits until these pods are ready.
func (n *namespace) ready(pods ...string) time.Duration {
	n.Helper()
	return n.await(patience, fmt.Sprintf("pods %s in %s are ready", strings.Join(pods, ", "), n.name), func(ctx context.Context) error {
		for _, name := range pods {
			pod, err := n.api.CoreV1().Pods(n.name).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !isReady(pod) {
				return fmt.Errorf("%s is %s; %s", name, pod.Status.Phase, n.lastEvent(ctx, "Pod", name))
			}
		}
		return nil
	})
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

// pods lists those with a label app=… that are not being deleted.
func (n *namespace) pods(app string) []corev1.Pod {
	n.Helper()
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	list, err := n.api.CoreV1().Pods(n.name).List(ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	if err != nil {
		n.Fatal(err)
	}
	var pods []corev1.Pod
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			pods = append(pods, p)
		}
	}
	return pods
}

// deletePod deletes a pod and waits until it is gone.
func (n *namespace) deletePod(name string) {
	n.Helper()
	n.kubectl("-n", n.name, "delete", "pod", name, "--wait=false")
	n.gone("pod", name)
}

// gone waits until there is no such pod, claim or volume.
func (n *namespace) gone(kind, name string) {
	n.Helper()
	get := map[string]func(context.Context) error{
		"pod": func(ctx context.Context) error {
			_, err := n.api.CoreV1().Pods(n.name).Get(ctx, name, metav1.GetOptions{})
			return err
		},
		"claim": func(ctx context.Context) error {
			_, err := n.api.CoreV1().PersistentVolumeClaims(n.name).Get(ctx, name, metav1.GetOptions{})
			return err
		},
		"volume": func(ctx context.Context) error {
			_, err := n.api.CoreV1().PersistentVolumes().Get(ctx, name, metav1.GetOptions{})
			return err
		},
	}[kind]
	n.await(patience, kind+" "+name+" is gone", func(ctx context.Context) error {
		err := get(ctx)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err == nil:
			return errors.New("it is still there")
		}
		return err
	})
}

// sh runs a script in a pod as its user; it must succeed. It returns what was printed.
func (n *namespace) sh(pod, script string) string {
	n.Helper()
	output, err := n.try(pod, script)
	if err != nil {
		n.Fatal(err)
	}
	return output
}

func (n *namespace) try(pod, script string) (string, error) {
	return n.tryKubectl("-n", n.name, "exec", "--quiet", pod, "--", "sh", "-c", script)
}

// refuses fails unless the script fails in the pod and says this.
func (n *namespace) refuses(pod, script, says string) {
	n.Helper()
	output, err := n.try(pod, script)
	if err == nil || !strings.Contains(output, says) {
		n.Errorf("in pod %s/%s: %s: want it refused with %q, have %v %s", n.name, pod, script, says, err, output)
	}
}

// prints fails unless the script prints just this in the pod.
func (n *namespace) prints(pod, script, want string) {
	n.Helper()
	if have := n.sh(pod, script); have != want {
		n.Errorf("in pod %s/%s: %s: printed %q, not %q", n.name, pod, script, have, want)
	}
}

func (n *namespace) pod(name string) *corev1.Pod {
	n.Helper()
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	pod, err := n.api.CoreV1().Pods(n.name).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		n.Fatal(err)
	}
	return pod
}

func (n *namespace) isReady(pod string) bool {
	n.Helper()
	return isReady(n.pod(pod))
}

// replaced waits until another pod of the same name is ready.
func (n *namespace) replaced(name string, uid types.UID) {
	n.Helper()
	n.await(patience, "a new pod "+n.name+"/"+name+" is ready", func(ctx context.Context) error {
		pod, err := n.api.CoreV1().Pods(n.name).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if pod.UID == uid || !isReady(pod) {
			return fmt.Errorf("pod %s is %s; %s", pod.UID, pod.Status.Phase, n.lastEvent(ctx, "Pod", name))
		}
		return nil
	})
}
