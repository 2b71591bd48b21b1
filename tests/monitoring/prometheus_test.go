// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package monitoring

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// prometheus is a real one.
type prometheus struct{ address string }

// startPrometheus runs one that asks these targets, by what their pods would be called, each second, until the test ends.
func startPrometheus(t *testing.T, rules string, targets map[string]string) prometheus {
	t.Helper()
	dir := t.TempDir()
	var static []object
	for mode, address := range targets {
		static = append(static, object{"targets": []string{address}, "labels": object{"pod": "glusterfs-csi-" + mode}})
	}
	text, err := json.Marshal(object{
		"global":         object{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files":     []string{rules},
		"scrape_configs": []object{{"job_name": "glusterfs-csi", "static_configs": static}},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := prometheus{freeAddress(t)}
	run(t, program(t, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address, "--log.level=warn")
	return p
}

// get asks Prometheus's API.
func (p prometheus) get(path string, parameters url.Values, into any) error {
	response, err := http.Get("http://" + p.address + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s of %v: %s", path, parameters, answer.Error)
	}
	return nil
}

// ask returns how many series a query has now.
func (p prometheus) ask(query string) (series int, err error) {
	var data struct{ Result []any }
	err = p.get("query", url.Values{"query": {query}}, &data)
	return len(data.Result), err
}

// firing are the names of the alerts that do.
func (p prometheus) firing() (map[string]bool, error) {
	var data struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	err := p.get("alerts", nil, &data)
	names := map[string]bool{}
	for _, a := range data.Alerts {
		if a.State == "firing" {
			names[a.Labels["alertname"]] = true
		}
	}
	return names, err
}
