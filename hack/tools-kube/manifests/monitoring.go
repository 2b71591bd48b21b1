// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

// monitoring returns the content of every file below deploy/monitoring: what the chart renders with all its parts for
// Prometheus, and the dashboard.
func monitoring(chart string) (map[string]string, error) {
	dashboard, err := dashboardOf(chart)
	if err != nil {
		return nil, err
	}
	files := map[string]string{"dashboard.json": dashboard}
	all, err := render(chart, "pi-values.yaml", "monitoring-values.yaml")
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.file != "monitoring.yaml" || d.object.GetKind() == "ConfigMap" {
			continue
		}
		name := strings.ToLower(d.object.GetKind()) + ".yaml"
		if files[name] == "" {
			files[name] = generated
		} else {
			files[name] += "---\n"
		}
		files[name] += d.text
	}
	return files, nil
}

// dashboardFile is where the chart has what dashboardOf returns, for its ConfigMap.
func dashboardFile(chart string) string { return filepath.Join(chart, "monitoring/dashboard.json") }

// dashboardSource is what people write.
type dashboardSource struct {
	Title string `json:"title"`
	UID   string `json:"uid"`
	Rows  []struct {
		Title  string        `json:"title"`
		Panels []panelSource `json:"panels"`
	} `json:"rows"`
}

type panelSource struct {
	Title   string `json:"title"`
	Unit    string `json:"unit"`
	Queries []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legend"`
	} `json:"queries"`
}

// The grid that Grafana puts panels into: four of them in a row.
const (
	panelWidth  = 6
	panelHeight = 7
	gridWidth   = 24
)

// object is one of JSON, whose keys Go sorts.
type object = map[string]any

// dataSource is the one that the reader of the dashboard chooses.
var dataSource = object{"type": "prometheus", "uid": "${datasource}"}

// dashboardOf makes Grafana's JSON of the source.
func dashboardOf(chart string) (string, error) {
	text, err := os.ReadFile(filepath.Join(chart, "monitoring/dashboard.yaml"))
	if err != nil {
		return "", err
	}
	var source dashboardSource
	if err := yaml.UnmarshalStrict(text, &source); err != nil {
		return "", fmt.Errorf("the dashboard: %w", err)
	}
	var panels []object
	y := 0
	add := func(p object, at object) {
		p["id"], p["gridPos"] = len(panels)+1, at
		panels = append(panels, p)
	}
	for _, row := range source.Rows {
		add(object{"type": "row", "title": row.Title, "collapsed": false, "panels": []any{}}, object{"x": 0, "y": y, "w": gridWidth, "h": 1})
		y++
		for i, p := range row.Panels {
			x := i * panelWidth % gridWidth
			if i > 0 && x == 0 {
				y += panelHeight
			}
			add(p.panel(), object{"x": x, "y": y, "w": panelWidth, "h": panelHeight})
		}
		y += panelHeight
	}
	variable := object{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(object{
		"title": source.Title, "uid": source.UID, "schemaVersion": 39, "editable": true, "refresh": "30s",
		"time": object{"from": "now-6h", "to": "now"}, "timezone": "browser", "tags": []string{"glusterfs", "storage"},
		"templating": object{"list": []object{variable}}, "panels": panels,
	})
	return out.String(), err
}

func (p panelSource) panel() object {
	var targets []object
	for i, q := range p.Queries {
		targets = append(targets, object{
			"refId": string(rune('A' + i)), "datasource": dataSource, "expr": q.Expr, "legendFormat": q.Legend,
		})
	}
	unit := p.Unit
	if unit == "" {
		unit = "short"
	}
	return object{
		"type": "timeseries", "title": p.Title, "datasource": dataSource, "targets": targets,
		"fieldConfig": object{"defaults": object{"unit": unit, "min": 0}, "overrides": []any{}},
		"options":     object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi"}},
	}
}

// settleDashboard writes the chart's own copy of the dashboard, or says that it is another one.
func settleDashboard(chart string, check bool) error {
	made, err := dashboardOf(chart)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(dashboardFile(chart), []byte(made), 0o644)
	}
	have, err := os.ReadFile(dashboardFile(chart))
	if err == nil && string(have) != made {
		err = errors.New(dashboardFile(chart) + " is not what dashboard.yaml beside it makes: run `make manifests`")
	}
	return err
}
