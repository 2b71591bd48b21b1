// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// storyLabel is on what belongs to no namespace, with the namespace to which it belongs here.
const storyLabel = "story"

// namespace is one that a step has to itself.
type namespace struct {
	*step
	name string
}

// namespace makes one with nothing in it. It is gone when the step has ended.
func (s *step) namespace(name string) *namespace {
	s.Helper()
	n := s.claimNamespace(name)
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	if _, err := s.api.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		s.Fatal(err)
	}
	return n
}

// claimNamespace is for a namespace that is made by a manifest: there is none of that name now, and none when
// the step has ended.
func (s *step) claimNamespace(name string) *namespace {
	s.Helper()
	n := &namespace{step: s, name: name}
	n.remove()
	s.Cleanup(func() {
		if s.Failed() {
			n.explain()
		}
		n.remove()
	})
	return n
}

// remove deletes the namespace and waits until it and its volumes are gone: nothing may be stuck Terminating.
// Pods are told to hurry, since a container's first process ignores SIGTERM unless it says otherwise. Claims go at once, too: those that
// are there when the namespace controller looks, five seconds later, it looks for again after eight more.
func (n *namespace) remove() {
	n.Helper()
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	err := n.api.CoreV1().Namespaces().Delete(ctx, n.name, metav1.DeleteOptions{})
	if err == nil {
		err = n.api.CoreV1().PersistentVolumeClaims(n.name).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		n.Fatal(err)
	}
	n.await(patience, "namespace "+n.name+" is gone", func(ctx context.Context) error {
		grace := int64(1)
		_ = n.api.CoreV1().Pods(n.name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &grace}, metav1.ListOptions{})
		ns, err := n.api.CoreV1().Namespaces().Get(ctx, n.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it is %s: %v", ns.Status.Phase, ns.Status.Conditions)
		}
		return err
	})
	for _, kind := range []string{"storageclasses", "persistentvolumes"} {
		n.kubectl("delete", kind, "-l", storyLabel+"="+n.name)
	}
	n.await(patience, "volumes of namespace "+n.name+" are gone", func(ctx context.Context) error {
		volumes, err := n.api.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, v := range volumes.Items {
			if v.Spec.ClaimRef != nil && v.Spec.ClaimRef.Namespace == n.name && v.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
				return fmt.Errorf("%s is %s: %s", v.Name, v.Status.Phase, v.Status.Message)
			}
		}
		return nil
	})
}

// in is the same namespace in a part of the step.
func (n *namespace) in(part *step) *namespace { return &namespace{step: part, name: n.name} }

// apply applies a file of testdata in this namespace.
func (n *namespace) apply(file string) {
	n.Helper()
	n.template(file)
}

// template is apply, with words of the file replaced: the first by the second, and so on.
func (n *namespace) template(file string, replace ...string) {
	n.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		n.Fatal(err)
	}
	n.applyText(strings.NewReplacer(replace...).Replace(string(text)), "-n", n.name)
}

// explain logs what an operator would look at.
func (n *namespace) explain() {
	for _, args := range [][]string{
		{"-n", n.name, "get", "pods,persistentvolumeclaims", "-o", "wide"},
		{"-n", n.name, "get", "events", "--sort-by=.lastTimestamp", "-o", "custom-columns=KIND:.involvedObject.kind,NAME:.involvedObject.name,REASON:.reason,COUNT:.count,MESSAGE:.message"},
		{"get", "persistentvolumes"},
		{"-n", driverNamespace, "get", "pods", "-o", "wide"},
	} {
		output, err := n.tryKubectl(args...)
		lines := strings.Split(output, "\n")
		if extra := len(lines) - 60; extra > 0 {
			lines = append([]string{fmt.Sprintf("… %d lines", extra)}, lines[extra:]...)
		}
		n.Logf("kubectl %s\n%s %v", strings.Join(args, " "), strings.Join(lines, "\n"), errors.Join(err))
	}
}
