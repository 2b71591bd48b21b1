// SPDX-License-Identifier: Apache-2.0

//go:build !quick

// Package monitoring holds deploy/monitoring to the driver: each alert fires and resolves, and each query of alerts and
// dashboard has an answer where a real Prometheus scrapes the driver's processes on a real cluster.
package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const deployed = "../../deploy/monitoring/"

// program is one of Prometheus's, from PATH or from where hack/packages has unpacked it.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	path, err := filepath.Abs("../../bin/prometheus/usr/bin/" + name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("%s is missing: run `hack/packages monitoring`: %v", name, err)
	}
	return path
}

// alert is one of the PrometheusRule.
type alert struct {
	Alert, Expr string
	Annotations struct{ Summary, Run string }
}

type groups struct {
	Groups []struct{ Rules []alert } `json:"groups"`
}

// rules writes what deploy/monitoring has for Prometheus's operator as Prometheus itself takes it, and returns its alerts.
func rules(t *testing.T) (file string, alerts []alert) {
	t.Helper()
	text, err := os.ReadFile(deployed + "prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var object struct{ Spec json.RawMessage }
	var all groups
	if err := yaml.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(object.Spec, &all); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, object.Spec, 0o644); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	for _, g := range all.Groups {
		alerts = append(alerts, g.Rules...)
	}
	return file, alerts
}

// bound is what makes an alert of a question.
var bound = regexp.MustCompile(`^(.*\S) +(<|>|>=) +[0-9.]+$`)

// question is an alert's, without its bound.
func (a alert) question(t *testing.T) string {
	t.Helper()
	parts := bound.FindStringSubmatch(a.Expr)
	if parts == nil {
		t.Fatalf("%s is no question with a bound: %s", a.Alert, a.Expr)
	}
	return parts[1]
}
