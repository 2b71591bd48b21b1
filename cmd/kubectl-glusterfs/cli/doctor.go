// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/doctor"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/live"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/report"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// examination is one run of `doctor`.
type examination struct {
	command

	pre     string
	timeout time.Duration
}

func doctorCommand(base command) *cobra.Command {
	e := &examination{command: base}
	c := &cobra.Command{
		Use:   "doctor [--pre DIR]",
		Short: "Look for what does not work, and say how it is cured",
		Long: `Look at the driver, its objects, claims and pods, at each node through the
driver's own pods, and at the Gluster volumes through its controller: what is
wrong, and the command that cures it. Nothing is changed. With --pre, look at
manifests alone, before the installation.

Exit codes: 0 all is well; 1 it could not look; 2 wrong usage; 3 the worst is !;
4 the worst is ✘.`,
		Example: `  kubectl glusterfs doctor
  kubectl glusterfs doctor -o wide            # what is well, one by one
  kubectl glusterfs doctor --pre deploy/kubernetes/base`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(c *cobra.Command, _ []string) error { return e.run(c.Context()) },
	}
	addOutput(c, &e.format)
	c.Flags().StringVar(&e.pre, "pre", "", "look at the files in `DIR`, or at one file, and at\nno cluster")
	c.Flags().DurationVar(&e.timeout, "timeout", 3*time.Minute, "how long to look, as `TIME`")
	_ = c.MarkFlagDirname("pre")
	return c
}

func (e *examination) run(ctx context.Context) error {
	if err := checkFormat(e.format); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	look := e.live
	if e.pre != "" {
		look = e.files
	}
	found, err := look(ctx)
	if err != nil {
		return err
	}
	if err := e.print(found); err != nil {
		return err
	}
	worst := error(nil)
	for _, f := range found {
		switch f.Severity {
		case answers.Error:
			return errUnwell
		case answers.Warning:
			worst = errWarned
		case answers.OK:
		}
	}
	return worst
}

// files looks at manifests.
func (e *examination) files(context.Context) ([]answers.Finding, error) {
	objects, unread, err := readFiles(e.pre)
	if err != nil {
		return nil, err
	}
	o := &doctor.Objects{Driver: migrate.DriverName, Before: true}
	var found []answers.Finding
	for _, f := range unread {
		if strings.Contains(f.Message, "Kustomization") { // kubectl's own
			continue
		}
		found = append(found, answers.Finding{Check: "files", Severity: answers.Warning, About: f.About, Message: f.Message, Cure: f.Cure})
	}
	if len(objects) == 0 && len(found) > 0 { // what it lacks says nothing
		return nil, errors.Join(e.print(found), errors.New("no object could be read: of a chart, what `helm template` prints is looked at, --pre /dev/stdin"))
	}
	for _, object := range objects {
		o.Add(object.Content)
	}
	return append(found, o.Check()...), nil
}

// live looks at a cluster: its objects first, and then through the driver's pods.
func (e *examination) live(ctx context.Context) ([]answers.Finding, error) {
	r, err := e.connection.reach(e.env)
	if err != nil {
		return nil, err
	}
	all, found, err := live.ForDoctor(ctx, r.client)
	if err != nil {
		return nil, err
	}
	o := &doctor.Objects{}
	for _, object := range all {
		o.Add(object)
	}
	if o.Namespace != "" {
		if r.pods, err = inside.Pods(ctx, r.client, o.Namespace); err != nil {
			return nil, err
		}
	}
	o.Driver = r.driverName()
	found = append(found, o.Check()...)
	found = append(found, doctor.Inside(ctx, r.run, r.pods)...)
	if _, err := inside.ReadyController(r.pods); err != nil {
		return found, nil //nolint:nilerr // it is a finding already
	}
	output, err := r.ask(ctx, "volume", "list", "-o", "json")
	var volumes []answers.Volume
	if err == nil {
		err = json.Unmarshal(output, &volumes)
	}
	var after []unstructured.Unstructured
	if err == nil {
		after, err = objects.List(ctx, r.client, objects.Volumes, metav1.ListOptions{})
	}
	if err != nil { // a list that is not whole would make orphans of what it lacks
		return append(found, answers.Finding{Check: "orphans", Severity: answers.Warning, About: "volumes", Message: fmt.Sprintf("they cannot all be listed: %v", err)}), nil
	}
	return append(found, o.Orphans(volumes, after)...), nil
}

func (e *examination) print(found []answers.Finding) error {
	if isDone, err := encodeList(&e.command, "Examination", found); isDone {
		return err
	}
	if e.format == "name" {
		for _, f := range found {
			if f.Severity != answers.OK {
				fmt.Fprintln(e.env.Out, f.Check+"/"+f.About)
			}
		}
		return nil
	}
	report.Examination(e.env.Out, found, e.style())
	return nil
}
