// SPDX-License-Identifier: Apache-2.0

package story

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	chart       = "../../../deploy/helm/glusterfs-csi"
	toolsModule = "../../../hack/tools-kube"
	releaseName = "glusterfs-csi"
	// helmTimeout is above what --wait and the hooks of one command may take.
	helmTimeout = 2*patience + callTimeout
)

// helmRelease is the chart with the values of an operator.
type helmRelease struct {
	s       *step
	program string
	values  string // a file
}

// helmRelease writes the values file of docs/install.md, with this cluster's servers.
func (s *step) helmRelease() helmRelease {
	s.Helper()
	program, err := exec.Command("go", "-C", toolsModule, "tool", "-n", "helm").Output()
	if err != nil {
		s.Fatalf("build helm: %v", err)
	}
	values := filepath.Join(s.TempDir(), "my-values.yaml")
	if err := os.WriteFile(values, []byte(s.clustersFile()), 0o600); err != nil {
		s.Fatal(err)
	}
	return helmRelease{s, strings.TrimSpace(string(program)), values}
}

// in is the same release in a part of the step.
func (h helmRelease) in(part *step) helmRelease { return helmRelease{part, h.program, h.values} }

// run runs a helm command on the release. Where there was one before, it is to wait in the way that it calls legacy: its own takes a
// DaemonSet that waits to be replaced by hand for one that is never ready.
func (h helmRelease) run(verb string, args ...string) {
	h.s.Helper()
	began := time.Now()
	output, err := h.try(verb, args...)
	if err != nil {
		h.s.Fatalf("helm %s %q: %v\n%s", verb, args, err, output)
	}
	h.s.Logf("helm %s: %s\n%s", verb, seconds(time.Since(began)), output)
}

// refused runs a helm command that must fail and say this.
func (h helmRelease) refused(says, verb string, args ...string) {
	h.s.Helper()
	output, err := h.try(verb, args...)
	if err == nil || !strings.Contains(string(output), says) {
		h.s.Fatalf("helm %s %q: %v; it does not say %s:\n%s", verb, args, err, says, output)
	}
	h.s.Logf("helm %s: %v\n%s", verb, err, output)
}

func (h helmRelease) try(verb string, args ...string) ([]byte, error) {
	h.s.Helper()
	line := []string{verb, releaseName}
	if verb == "install" || verb == "upgrade" {
		line = append(line, chart, "-f", h.values)
	}
	line = append(line, args...)
	ctx, cancel := h.s.context(helmTimeout)
	defer cancel()
	return h.s.Local(ctx, h.program, line...).CombinedOutput()
}
