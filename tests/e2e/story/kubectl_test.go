// SPDX-License-Identifier: Apache-2.0

package story

import (
	"strings"
	"time"
)

// kubectl runs a command that must succeed and returns what it printed. An error has that, too.
func (s *step) kubectl(args ...string) string {
	s.Helper()
	output, err := s.tryKubectl(args...)
	if err != nil {
		s.Fatal(err)
	}
	return output
}

func (s *step) tryKubectl(args ...string) (string, error) {
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	output, err := s.Kubectl(ctx, args...)
	return strings.TrimSpace(output), err
}

// applyText applies objects.
func (s *step) applyText(text string, args ...string) {
	s.Helper()
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	args = append(args, "apply", "-f", "-")
	if _, err := s.KubectlInput(ctx, text, args...); err != nil {
		s.Fatalf("%v\n%s", err, text)
	}
}

// rolledOut waits as docs/install.md tells operators to.
func (s *step) rolledOut(namespace, what string) {
	s.Helper()
	ctx, cancel := s.context(patience + callTimeout)
	defer cancel()
	if _, err := s.Kubectl(ctx, "-n", namespace, "rollout", "status", what, "--timeout="+patience.String()); err != nil {
		s.Fatal(err)
	}
}

// seconds is how the story prints times.
func seconds(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
