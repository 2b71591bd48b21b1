// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// ClustersText is a clusters file with these clusters, as docs/parameters.md shows it.
func ClustersText(clusters []Cluster) string {
	var b strings.Builder
	b.WriteString("clusters:\n")
	for _, c := range clusters {
		fmt.Fprintf(&b, "  - name: %s\n    servers: [%s]\n    volumes: [%s]\n", quoted(c.Name), quoted(c.Servers...), quoted(c.Volumes...))
		var bounds []string
		for _, v := range slices.Sorted(maps.Keys(c.MaxProvisioned)) {
			bounds = append(bounds, quoted(v)+": "+c.MaxProvisioned[v].String())
		}
		if len(bounds) > 0 {
			fmt.Fprintf(&b, "    maxProvisioned: {%s}\n", strings.Join(bounds, ", "))
		}
		if c.TLS != nil {
			fmt.Fprintf(&b, "    tls: {secretName: %s, management: %t}\n", quoted(c.TLS.SecretName), c.TLS.Management)
		}
	}
	return b.String()
}

// quoted writes a flow sequence's content. What YAML would not read as the same string is quoted: 1, null, fd00::1 and
// others.
func quoted(values ...string) string {
	var written []string
	for _, v := range values {
		var back any
		if err := yaml.Unmarshal([]byte("["+v+"]"), &back); err != nil || !reflect.DeepEqual(back, []any{v}) {
			v = fmt.Sprintf("%q", v)
		}
		written = append(written, v)
	}
	return strings.Join(written, ", ")
}
