// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package monitoring

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// moments is what an alert's metric is over three hours: well, wrong, well again. Each value is repeated for an hour, one a
// minute.
type moments struct{ series, well, wrong string }

// per is a counter that increases by so many a minute.
const (
	still = "0+0x59"
	grows = "0+1x59"
)

func gauge(value string) string { return value + "x59" }

const ofGV0 = `cluster="pi", volume="gv0", instance="192.168.6.15:29710"`

var cases = map[string]moments{
	"GlusterFSCSIDown":                {`up{job="glusterfs-csi", instance="192.168.6.15:29708", pod="glusterfs-csi-node-x"}`, gauge("1"), gauge("0")},
	"GlusterFSCSINotRegistered":       {`glusterfs_csi_kubelet_registered{instance="192.168.6.15:29708", pod="glusterfs-csi-node-x"}`, gauge("1"), gauge("0")},
	"GlusterFSCSIClustersFileRefused": {`glusterfs_csi_clusters_reloads_total{result="error", instance="192.168.6.15:29709", pod="x"}`, still, grows},
	"GlusterFSCSIVolumeInaccessible":  {`glusterfs_csi_volume_health{` + ofGV0 + `}`, gauge("1"), gauge("2")},
	"GlusterFSCSIBrickDisconnected":   {`glusterfs_csi_brick_connected{` + ofGV0 + `, host="pi-worker2", brick="/data/brick1/gv0"}`, gauge("1"), gauge("0")},
	"GlusterFSCSIClientSilent":        {`glusterfs_csi_client_answer_age_seconds{` + ofGV0 + `, client="default"}`, gauge("10"), gauge("90")},
	"GlusterFSCSIClientDied":          {`glusterfs_csi_client_deaths_total{` + ofGV0 + `, reason="killed"}`, still, grows},
	"GlusterFSCSIClientStartsFail":    {`glusterfs_csi_client_starts_total{` + ofGV0 + `, result="failed"}`, still, grows},
	"GlusterFSCSIClientMemory":        {`glusterfs_csi_client_memory_bytes{` + ofGV0 + `, client="default"}`, gauge("5e7"), gauge("2e9")},
	"GlusterFSCSIMountsDead":          {`glusterfs_csi_mounts_dead{` + ofGV0 + `}`, gauge("0"), gauge("3")},
	"GlusterFSCSIContainerMountsDead": {`glusterfs_csi_container_mounts_dead{` + ofGV0 + `}`, gauge("0"), gauge("1")},
	"GlusterFSCSIDeadFiles":           {`glusterfs_csi_dead_files{` + ofGV0 + `, directory="/pvc-1", pod="x"}`, gauge("0"), gauge("2")},
	"GlusterFSCSISplitBrain":          {`glusterfs_csi_split_brain_files{` + ofGV0 + `}`, gauge("0"), gauge("2")},
	"GlusterFSCSISpaceLow":            {`glusterfs_csi_free_ratio{` + ofGV0 + `}`, gauge("0.5"), gauge("0.08")},
	"GlusterFSCSISpaceOut":            {`glusterfs_csi_free_ratio{` + ofGV0 + `}`, gauge("0.5"), gauge("0.04")},
	"GlusterFSCSIProvisionedTooMuch":  {`glusterfs_csi_provisioned_bytes{` + ofGV0 + `}`, gauge("1000"), gauge("1600")},
	"GlusterFSCSILimitsReached":       {`glusterfs_csi_limited_volumes{` + ofGV0 + `, fill="95% and more"}`, gauge("0"), gauge("2")},
	"GlusterFSCSIQuotaInexact":        {`glusterfs_csi_quota_state{` + ofGV0 + `, state="inexact"}`, gauge("0"), gauge("1")},
	"GlusterFSCSIVolumeProblems":      {`glusterfs_csi_volume_problems{` + ofGV0 + `, kind="MissingDirectory"}`, gauge("0"), gauge("1")},
	"GlusterFSCSIMaintenanceStuck":    {`glusterfs_csi_maintenance_rounds_total{` + ofGV0 + `, result="ok"}`, grows, still},
	"GlusterFSCSITrashOld":            {`glusterfs_csi_trash_oldest_age_seconds{` + ofGV0 + `}`, gauge("86400"), gauge("200000")},
	"GlusterFSCSIOperationsQueue":     {`glusterfs_csi_operations{` + ofGV0 + `, state="queued"}`, gauge("0"), gauge("4")},
	"GlusterFSCSIOperationsDeserted":  {`glusterfs_csi_deserted_operations{` + ofGV0 + `}`, gauge("0"), gauge("4")},
	"GlusterFSCSICallsFail":           {`glusterfs_csi_retries_total{grpc_method="CreateVolume", reason="bricks", instance="192.168.6.15:29709"}`, still, grows},
}

// object is one of JSON, which is YAML.
type object = map[string]any

// TestEveryAlertFiresAndResolves has promtool play each one's three hours.
func TestEveryAlertFiresAndResolves(t *testing.T) {
	file, alerts := rules(t)
	var tests []object
	known := map[string]bool{}
	for _, a := range alerts {
		known[a.Alert] = true
		m, has := cases[a.Alert]
		if !has {
			t.Errorf("no test makes %s fire", a.Alert)
			continue
		}
		values := strings.Join([]string{m.well, m.wrong, m.well}, " ")
		input := []object{{"series": m.series, "values": values}}
		if a.Alert == "GlusterFSCSIProvisionedTooMuch" {
			input = append(input, object{"series": "glusterfs_csi_size_bytes{" + ofGV0 + "}", "values": "1000x180"})
		}
		quiet := func(at string) object {
			return object{"expr": `count(ALERTS{alertname="` + a.Alert + `", alertstate="firing"}) or vector(0)`, "eval_time": at, "exp_samples": []object{{"labels": "{}", "value": 0}}}
		}
		fires := quiet("119m")
		fires["exp_samples"] = []object{{"labels": "{}", "value": 1}}
		tests = append(tests, object{
			"name": a.Alert, "interval": "1m", "input_series": input, "promql_expr_test": []object{quiet("59m"), fires, quiet("179m")},
		})
	}
	for name := range cases {
		if !known[name] {
			t.Errorf("there is no alert %s", name)
		}
	}
	text, err := json.Marshal(object{"rule_files": []string{file}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	testFile := filepath.Join(filepath.Dir(file), "tests.yaml")
	if err := os.WriteFile(testFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", file}, {"test", "rules", testFile}} {
		if output, err := exec.Command(program(t, "promtool"), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}

// TestEveryAlertSaysWhatToRun: an operator at night copies it.
func TestEveryAlertSaysWhatToRun(t *testing.T) {
	command := regexp.MustCompile(`\b(kubectl|gluster|df|dmesg|ps) `)
	_, alerts := rules(t)
	if len(alerts) == 0 {
		t.Fatal("there are no alerts")
	}
	var names []string
	for _, a := range alerts {
		if a.Annotations.Summary == "" || !command.MatchString(a.Annotations.Run) {
			t.Errorf("%s: %q, run %q", a.Alert, a.Annotations.Summary, a.Annotations.Run)
		}
		if strings.Contains(a.Expr+a.Annotations.Run+a.Annotations.Summary, "${") {
			t.Errorf("%s has a threshold that is no value of the chart: %s", a.Alert, a.Expr)
		}
		names = append(names, a.Alert)
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(alerts) {
		t.Errorf("two alerts have one name: %q", names)
	}
}
