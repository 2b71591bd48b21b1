// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const twoClusters = `
clusters:
  - name: pi
    servers: [192.168.6.15, 192.168.6.16]
    volumes: [gv0]
  - name: attic
    servers: [Big-One.example, "FD00::1", fd00:0::1, big-one.EXAMPLE]
    volumes: [b, a, b]
`

func parse(t *testing.T, text string) *Clusters {
	t.Helper()
	clusters, err := ParseClusters([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return clusters
}

func TestParseClusters(t *testing.T) {
	clusters := parse(t, twoClusters)
	cluster, err := clusters.Find(Volume{"attic", "a"})
	if err != nil {
		t.Fatal(err)
	}
	want := Cluster{Name: "attic", Servers: []string{"big-one.example", "fd00::1"}, Volumes: []string{"b", "a"}}
	if !reflect.DeepEqual(cluster, want) {
		t.Errorf("got %+v, want %+v: duplicates removed and order kept", cluster, want)
	}
	if got, want := clusters.Volumes(), []Volume{{"attic", "a"}, {"attic", "b"}, {"pi", "gv0"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("Volumes() = %v, want %v", got, want)
	}
}

func TestTheFilesOfASecretAreBesideTheClustersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clusters.yaml")
	const text = "clusters: [{name: pi, servers: [a], volumes: [v], tls: {secretName: gluster.pi, management: true}}, {name: plain, servers: [a], volumes: [v]}]"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clusters, err := WatchClusters(t.Context(), path, nil).Current()
	if err != nil {
		t.Fatal(err)
	}
	pi, err := clusters.Find(Volume{"pi", "v"})
	if want := filepath.Join(filepath.Dir(path), "tls", "gluster.pi"); err != nil || pi.TLS == nil || !pi.TLS.Management || pi.TLS.Directory() != want {
		t.Errorf("got %+v, %v, want the directory %s", pi.TLS, err, want)
	}
	if plain, err := clusters.Find(Volume{"plain", "v"}); err != nil || plain.TLS != nil {
		t.Errorf("got %+v, %v for a cluster without TLS", plain.TLS, err)
	}
}

func TestParseClustersRefuses(t *testing.T) {
	long := strings.Repeat("a", 31)
	for _, test := range []struct{ name, text, mention string }{
		{"an empty file", "", "no cluster"},
		{"no clusters", "clusters: []", "no cluster"},
		{"what is not YAML", "clusters: [", "yaml"},
		{"an unknown key", "clusters: [{name: pi, servers: [a], volumes: [v], port: 1}]", "port"},
		{"an unknown key at the top", "cluster: []", "cluster"},
		{"a repeated key", "clusters: [{name: pi, name: pi, servers: [a], volumes: [v]}]", "name"},
		{"a cluster named twice", "clusters: [{name: pi, servers: [a], volumes: [v]}, {name: pi, servers: [b], volumes: [w]}]", "twice"},
		{"no servers", "clusters: [{name: pi, volumes: [v]}]", "no servers"},
		{"no volumes", "clusters: [{name: pi, servers: [a]}]", "no volumes"},
		{"an empty server", `clusters: [{name: pi, servers: [a, ""], volumes: [v]}]`, "server"},
		{"a server with a port", `clusters: [{name: pi, servers: ["a:24007"], volumes: [v]}]`, "without port"},
		{"a server in brackets", `clusters: [{name: pi, servers: ["[fd00::1]"], volumes: [v]}]`, "brackets"},
		{"a link-local server", `clusters: [{name: pi, servers: ["fe80::1%eth0"], volumes: [v]}]`, "zone"},
		{"a mistyped address", "clusters: [{name: pi, servers: [192.168.6.256], volumes: [v]}]", "192.168.6.256"},
		{"a server that is an option", "clusters: [{name: pi, servers: [--volfile=x], volumes: [v]}]", "server"},
		{"a volume that climbs", "clusters: [{name: pi, servers: [a], volumes: [../v]}]", "../v"},
		{"a cluster in capitals", "clusters: [{name: Pi, servers: [a], volumes: [v]}]", "Pi"},
		{"a cluster that ends with a hyphen", "clusters: [{name: pi-, servers: [a], volumes: [v]}]", "pi-"},
		{"a cluster without a name", "clusters: [{servers: [a], volumes: [v]}]", "cluster"},
		{"a cluster's name of 32 bytes", "clusters: [{name: " + long + "b, servers: [a], volumes: [v]}]", "31"},
		{"TLS without a Secret", "clusters: [{name: pi, servers: [a], volumes: [v], tls: {management: true}}]", "secretName"},
		{"a Secret that climbs", "clusters: [{name: pi, servers: [a], volumes: [v], tls: {secretName: ../v}}]", "no name of a Secret"},
		{"an unknown key of TLS", "clusters: [{name: pi, servers: [a], volumes: [v], tls: {secretName: s, key: x}}]", "key"},
		{"names too long for a volume ID", "clusters: [{name: " + long + ", servers: [a], volumes: [" + long + "b]}]", "62"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseClusters([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.mention) {
				t.Errorf("got error %v, want one that mentions %q", err, test.mention)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	one, two := parse(t, "clusters: [{name: pi, servers: [a], volumes: [gv0]}]"), parse(t, twoClusters)
	for _, test := range []struct {
		name            string
		clusters        *Clusters
		cluster, volume string
		want            Volume
		err             error
		mention         string
	}{
		{"nothing named where there is one of each", one, "", "", Volume{"pi", "gv0"}, nil, ""},
		{"a cluster with one volume", two, "pi", "", Volume{"pi", "gv0"}, nil, ""},
		{"both named", two, "attic", "a", Volume{"attic", "a"}, nil, ""},
		{"no cluster where there are two", two, "", "", Volume{}, ErrAmbiguous, "attic, pi"},
		{"no volume where there are two", two, "attic", "", Volume{}, ErrAmbiguous, "b, a"},
		{"an unknown cluster", two, "cellar", "", Volume{}, ErrUnknownCluster, "attic, pi"},
		{"an unknown volume", two, "attic", "c", Volume{"attic", "c"}, ErrUnknownVolume, "b, a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.clusters.Choose(test.cluster, test.volume)
			if test.err == nil && (err != nil || got != test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
			if test.err != nil && (!errors.Is(err, test.err) || !strings.Contains(err.Error(), test.mention)) {
				t.Errorf("got error %v, want %v that mentions %q", err, test.err, test.mention)
			}
		})
	}
}

func FuzzParseClusters(f *testing.F) {
	for _, seed := range []string{"", twoClusters, "clusters: [{name: pi, servers: [a], volumes: [v]}]", "clusters: [{}]", "clusters: null", "{", "a: &a [*a]", "clusters:\n- name: 1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		clusters, err := ParseClusters(data)
		if err != nil {
			return
		}
		for _, v := range clusters.Volumes() {
			if err := v.Validate(); err != nil {
				t.Error(err)
			}
			if _, err := clusters.Find(v); err != nil {
				t.Error(err)
			}
		}
		// What was understood can be written and is understood alike.
		written, err := yaml.Marshal(map[string]any{"clusters": clusters.clusters})
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseClusters(written)
		if err != nil || !reflect.DeepEqual(again, clusters) {
			t.Errorf("%+v became %+v, %v", clusters, again, err)
		}
	})
}
