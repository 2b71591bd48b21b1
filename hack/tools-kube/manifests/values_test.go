// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// of is what a value does: where the values in `with` are set, set to `to` it makes the chart render `want`, which it does not
// without, or, with a "!" before it, renders no more. What must be set along with it is in `also`.
type of struct{ to, with, want, also string }

const (
	allSnapshots = "snapshots: {enabled: true, crds: true, controller: {enabled: true}}"
	allMonitors  = "monitoring: {podMonitors: true, rules: true, dashboard: true}"
	digest       = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// exercised has each value of values.yaml.
var exercised = map[string]of{
	"global.imageRegistry":           {"mirror.example:5000/x/", allSnapshots, "image: mirror.example:5000/x/sig-storage/snapshot-controller:", ""},
	"global.imagePullSecrets":        {"[{name: of-all}]", allSnapshots, "imagePullSecrets:\n        - name: of-all", ""},
	"clusters":                       {"[{name: mars, servers: [10.0.0.1], volumes: [gv9], maxProvisioned: {gv9: 150%}}]", "", `maxProvisioned: {"gv9":"150%"}`, ""},
	"tlsSecrets":                     {"[gluster-tls]", "", "path: tls/gluster-tls/tls.key", ""},
	"namespace":                      {"elsewhere", "", "namespace: elsewhere", ""},
	"kubeletDir":                     {"/var/lib/k0s/kubelet", "", "mountPath: /var/lib/k0s/kubelet", ""},
	"storageClasses":                 {"[{name: fast, default: true, reclaimPolicy: Retain, volumeBindingMode: WaitForFirstConsumer, parameters: {quota: enforced, onClientDeath: restart}, mountOptions: [acl]}]", "", "onClientDeath: restart", ""},
	"volumeAttributesClasses":        {`[{name: of-web, parameters: {uid: "33", recursive: "true"}}]`, "", "kind: VolumeAttributesClass", ""},
	"snapshots.enabled":              {"true", "", "name: snapshotter", ""},
	"snapshots.crds":                 {"true", "", "kind: CustomResourceDefinition", ""},
	"snapshots.controller.enabled":   {"true", "", "name: snapshot-controller", ""},
	"snapshots.controller.image":     {"mirror.example/snapshots:v1", allSnapshots, "image: mirror.example/snapshots:v1", ""},
	"snapshots.controller.resources": {"{limits: {memory: 77Mi}}", allSnapshots, "memory: 77Mi", ""},
	"snapshots.classes":              {"[{name: away, default: true, deletionPolicy: Retain, parameters: {volume: gv7}}]", allSnapshots, "volume: gv7", ""},
	"image.repository":               {"mirror.example/driver", "", "image: mirror.example/driver:v", ""},
	"image.tag":                      {"v7.7.7", "", ":v7.7.7", ""},
	"image.digest":                   {digest, "", "glusterfs-csi@" + digest, ""},
	"image.pullPolicy":               {"Always", "", "imagePullPolicy: Always", ""},
	"imagePullSecrets":               {"[{name: regcred}]", "", "- name: regcred", ""},
	"httpAddress":                    {"0.0.0.0", "", "--http-endpoint=0.0.0.0:", ""},
	"logLevel":                       {"5", "", "--v=5", ""},
	"logFormat":                      {"json", "", "--log-format=json", ""},
	"resourceQuota.enabled":          {"true", "", "scopeName: PriorityClass", ""},
	"resourceQuota.pods":             {`"77"`, "resourceQuota: {enabled: true}", `pods: "77"`, ""},
	"uninstall.check":                {"false", "", "!helm.sh/hook: pre-delete", ""},
	"uninstall.keep":                 {"false", "clustersByHand: true\nclusters: []", "!helm.sh/resource-policy: keep", ""},
	"clustersByHand":                 {"true", "", "!clusters.yaml: |", "clusters: []"},

	"mounter.clientMemory.max":  {"512Mi", "", "--client-memory-max=512Mi", ""},
	"mounter.clientMemory.high": {"400Mi", "", "--client-memory-high=400Mi", ""},

	"controller.replicas":                           {"2", "", "--leader-election-namespace=glusterfs-csi", ""},
	"controller.podDisruptionBudget.enabled":        {"true", "", "kind: PodDisruptionBudget", ""},
	"controller.podDisruptionBudget.maxUnavailable": {"50%", "controller: {podDisruptionBudget: {enabled: true}}", "maxUnavailable: 50%", ""},
	"controller.trashRetention":                     {"77h", "", "--trash-retention=77h", ""},
	"controller.maxCopies":                          {"77", "", "--max-copies=77", ""},
	"controller.maxCopiesPerVolume":                 {"77", "", "--max-copies-per-volume=77", ""},
	"controller.events":                             {"false", "", "!name: glusterfs-csi-events", ""},
	"controller.kubernetesID":                       {"seven", "", "--kubernetes-id=seven", ""},
	"controller.removeStartupTaint":                 {"true", "", "name: glusterfs-csi-startup-taint", ""},
	"controller.resources":                          {"{limits: {memory: 77Mi}}", "", "memory: 77Mi", ""},
	"controller.provisioner.kubeAPIQPS":             {"7.5", "", "--kube-api-qps=7.5", ""},
	"controller.provisioner.kubeAPIBurst":           {"77", "", "--kube-api-burst=77", ""},
	"controller.provisioner.workerThreads":          {"77", "", "--worker-threads=77", ""},
	"node.maxUnavailable":                           {"10%", "", "maxUnavailable: 10%", ""},
	"node.resources":                                {"{limits: {memory: 77Mi}}", "", "memory: 77Mi", ""},
	"mounter.resources":                             {"{requests: {memory: 77Mi}}", "", "memory: 77Mi", ""},

	"monitoring.podMonitors":                    {"true", "", "kind: PodMonitor", ""},
	"monitoring.rules":                          {"true", "", "kind: PrometheusRule", ""},
	"monitoring.dashboard":                      {"true", "", `grafana_dashboard: "1"`, ""},
	"monitoring.interval":                       {"77s", allMonitors, "interval: 77s", ""},
	"monitoring.labels":                         {"{release: seven}", allMonitors, "release: seven", ""},
	"monitoring.thresholds.freeRatioLow":        {`"0.77"`, allMonitors, "0.77", ""},
	"monitoring.thresholds.freeRatioOut":        {`"0.77"`, allMonitors, "0.77", ""},
	"monitoring.thresholds.provisionedRatio":    {`"7.7"`, allMonitors, "> 7.7", ""},
	"monitoring.thresholds.clientSilentSeconds": {`"777"`, allMonitors, "> 777", ""},
	"monitoring.thresholds.clientMemoryBytes":   {`"7777777"`, allMonitors, "> 7777777", ""},
	"monitoring.thresholds.failedStarts":        {`"77"`, allMonitors, "> 77", ""},
	"monitoring.thresholds.trashAgeSeconds":     {`"777777"`, allMonitors, "> 777777", ""},
	"monitoring.thresholds.retries":             {`"77"`, allMonitors, "> 77", ""},
}

func init() { // the pods that are described by the same values, and the sidecars
	for _, component := range []string{"controller", "node", "mounter"} {
		maps.Copy(exercised, map[string]of{
			component + ".httpPort":                      {"17777", "", "containerPort: 17777", ""},
			component + ".labels":                        {"{team: storage}", "", "team: storage", ""},
			component + ".annotations":                   {"{team.example/mesh: none}", "", "team.example/mesh: none", ""},
			component + ".affinity":                      {"{podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: zone}]}}", "", "topologyKey: zone", ""},
			component + ".nodeSelector":                  {"{disk: ssd}", "", "disk: ssd", ""},
			component + ".tolerations":                   {"[{key: seven, operator: Exists}]", "", "key: seven", ""},
			component + ".priorityClassName":             {"seven", "", "priorityClassName: seven", ""},
			component + ".terminationGracePeriodSeconds": {"77", "", "terminationGracePeriodSeconds: 77", ""},
			component + ".extraArgs":                     {"[--vmodule=seven=7]", "", "- --vmodule=seven=7", ""},
			component + ".env":                           {"[{name: SEVEN, value: \"7\"}]", "", "name: SEVEN", ""},
		})
	}
	for _, sidecar := range []string{"provisioner", "resizer", "snapshotter"} {
		maps.Copy(exercised, map[string]of{
			"controller." + sidecar + ".image":     {"mirror.example/it@" + digest, allSnapshots, "image: mirror.example/it@" + digest, ""},
			"controller." + sidecar + ".timeout":   {"777s", allSnapshots, "--timeout=777s", ""},
			"controller." + sidecar + ".httpPort":  {"17777", allSnapshots + "\ncontroller: {replicas: 2}", "containerPort: 17777", ""},
			"controller." + sidecar + ".extraArgs": {"[--seven=7]", allSnapshots, "- --seven=7", ""},
			"controller." + sidecar + ".resources": {"{limits: {memory: 77Mi}}", allSnapshots, "memory: 77Mi", ""},
		})
	}
}

// TestEveryValueDoesSomething of values.yaml, which is what its row says; and whatever it makes is what the API knows.
func TestEveryValueDoesSomething(t *testing.T) {
	c := loaded(t)
	without := map[string]string{}
	left := maps.Clone(exercised)
	for _, path := range leaves("", c.chart.Values) {
		does, has := exercised[path]
		if !has {
			t.Errorf("no row exercises %s", path)
			continue
		}
		delete(left, path)
		want, absent := strings.CutPrefix(does.want, "!")
		before, is := without[does.with]
		if !is {
			before = c.with(t, does.with)
			without[does.with] = before
		}
		after := c.with(t, does.with, nested(path, does.to), does.also)
		if strings.Contains(before, want) != absent || strings.Contains(after, want) == absent {
			t.Errorf("%s set to %s: %q is there before: %t, after: %t", path, does.to, want, strings.Contains(before, want), strings.Contains(after, want))
		}
	}
	for path := range left {
		t.Errorf("there is no value %s", path)
	}
}

// TestTheMounterGoesWhereTheNodePluginDoes, unless it is told otherwise.
func TestTheMounterGoesWhereTheNodePluginDoes(t *testing.T) {
	c := loaded(t)
	for _, key := range []string{"nodeSelector", "tolerations", "affinity"} {
		does := exercised["node."+key]
		want := strings.Count(c.with(t, nested("node."+key, does.to)), does.want)
		own := strings.Count(c.with(t, nested("mounter."+key, does.to)), does.want)
		if want != 2 || own != 1 {
			t.Errorf("%s of the node plugin is on %d DaemonSets, the mounter's own on %d", key, want, own)
		}
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		word string
	}{
		"no cluster":                        {[]string{"--set=clusters=null"}, "clusters"},
		"a cluster without servers":         {[]string{"--set=clusters[0].name=pi,clusters[0].servers={},clusters[0].volumes={gv0}"}, "servers"},
		"a misspelt key":                    {[]string{"--set=kubletDir=/x"}, "kubletDir"},
		"a misspelt parameter":              {[]string{"--set=storageClasses[0].name=x", "--set-string=storageClasses[0].parameters.udi=1"}, "udi"},
		"a number for a parameter":          {[]string{"--set=storageClasses[0].name=x,storageClasses[0].parameters.uid=1001"}, "uid"},
		"a limit for the mounter":           {[]string{"--set=mounter.resources.limits.memory=1Gi"}, "limits"},
		"a misspelt parameter of snapshots": {[]string{withSnapshots, "--set=snapshots.classes[0].name=x,snapshots.classes[0].parameters.volum=gv1"}, "volum"},
		"a relative kubelet dir":            {[]string{"--set=kubeletDir=var/lib/kubelet"}, "kubeletDir"},
		"a misspelt key of a pod":           {[]string{"--set=mounter.nodeSelektor.disk=ssd"}, "nodeSelektor"},
		"a misspelt key of a sidecar":       {[]string{"--set=controller.resizer.imag=x"}, "imag"},
		"a label by which pods are found":   {[]string{"--set=node.labels.app\\.kubernetes\\.io/name=x"}, "app.kubernetes.io/name"},
		"clusters beside those by hand":     {[]string{"--set=clustersByHand=true"}, "clusters"},
		"TLS without a Secret":              {[]string{"--set=clusters[0].name=pi,clusters[0].servers={a},clusters[0].volumes={gv0},clusters[0].tls.management=true"}, "secretName"},
		"attributes before Kubernetes 1.34": {[]string{attributesClass, "--kube-version=1.33.9"}, "Kubernetes 1.34"},
		"half a digest":                     {[]string{"--set=image.digest=sha256:0123"}, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := template(chart, append([]string{"-f", pi}, test.args...)...)
			if err == nil || !strings.Contains(err.Error(), test.word) {
				t.Errorf("want an error that names %s, got %v", test.word, err)
			}
		})
	}
}

// inProcess renders the chart in this process, which is as helm does and takes a hundredth of the time.
type inProcess struct {
	chart *chartv2.Chart
	known map[string]bool // texts of objects
}

// TestImagesComeFromTheRegistryOfAll, whatever registry each names, or none.
func TestImagesComeFromTheRegistryOfAll(t *testing.T) {
	c := loaded(t)
	for image, want := range map[string]string{
		"registry.k8s.io/a/b:v1": "mirror/a/b:v1", "localhost/b": "mirror/b", "host:5000/b": "mirror/b", "a/b:v1": "mirror/a/b:v1", "b:v1": "mirror/b:v1", "b@" + digest: "mirror/b@" + digest,
	} {
		made := c.with(t, "global: {imageRegistry: mirror}", nested("controller.resizer.image", image))
		if !strings.Contains(made, "image: "+want+"\n") {
			t.Errorf("%s does not become %s", image, want)
		}
	}
}

// TestEveryPodHasTheCertificatesThatTheClustersFileNames, each once, where the driver looks for them.
func TestEveryPodHasTheCertificatesThatTheClustersFileNames(t *testing.T) {
	made := loaded(t).with(t, "clusters: [{name: a, servers: [a], volumes: [v], tls: {secretName: one, management: true}}, {name: b, servers: [b], volumes: [v], tls: {secretName: two}}]", "tlsSecrets: [two]")
	for _, want := range []string{"path: tls/one/ca.crt", "path: tls/one/tls.crt", "path: tls/one/tls.key", "path: tls/two/tls.key"} {
		if got := strings.Count(made, want); got != 3 { // controller, node plugin, mounter
			t.Errorf("%q is there %d times", want, got)
		}
	}
	if want := `tls: {"management":true,"secretName":"one"}`; !strings.Contains(made, want) {
		t.Errorf("%s is not in the clusters file:\n%s", want, made)
	}
}

// TestTheQuotaIsOfThePrioritiesThatPodsHave, whichever they are.
func TestTheQuotaIsOfThePrioritiesThatPodsHave(t *testing.T) {
	made := loaded(t).with(t, "resourceQuota: {enabled: true}", "node: {priorityClassName: mine}")
	if want := "values:\n          - system-cluster-critical\n          - mine\n          - system-node-critical\n"; !strings.Contains(made, want) {
		t.Errorf("%q is not in\n%s", want, made)
	}
}

func loaded(t *testing.T) inProcess {
	t.Helper()
	c, err := loader.LoadDir(chart)
	if err != nil {
		t.Fatal(err)
	}
	return inProcess{c, map[string]bool{}}
}

// with is what the chart makes of the values of pi-values.yaml and these, by the schema; each object is decoded.
func (p inProcess) with(t *testing.T, texts ...string) string {
	t.Helper()
	values := map[string]any{}
	first, err := os.ReadFile(filepath.Join(chart, "ci/pi-values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{string(first)}, texts...) {
		var more map[string]any
		if err := yaml.Unmarshal([]byte(text), &more); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		values = util.CoalesceTables(more, values)
	}
	version, err := common.ParseKubeVersion("1.37.2") // the default in a test is before every version that the chart is for
	if err != nil {
		t.Fatal(err)
	}
	cluster := common.DefaultCapabilities.Copy()
	cluster.KubeVersion = *version
	all, err := util.ToRenderValues(p.chart, values, common.ReleaseOptions{Name: "glusterfs-csi", Namespace: "default"}, cluster)
	if err != nil {
		t.Fatalf("%s: %v", texts, err)
	}
	files, err := engine.Render(p.chart, all)
	if err != nil {
		t.Fatalf("%s: %v", texts, err)
	}
	var made strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			for text := range strings.SplitSeq("\n"+files[name], "\n---\n") {
				p.isKnown(t, text)
			}
			made.WriteString(files[name] + "\n")
		}
	}
	return made.String()
}

// isKnown fails unless the API knows an object; those of Prometheus' operator have no types here.
func (p inProcess) isKnown(t *testing.T, text string) {
	t.Helper()
	if p.known[text] {
		return
	}
	p.known[text] = true
	var object map[string]any
	if err := yaml.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(object) > 0 && object["apiVersion"] != "monitoring.coreos.com/v1" {
		decode(t, text)
	}
}

// leaves are the paths of the values, as `helm --set` names them: lists, and what Kubernetes' own types are, is one value each.
func leaves(prefix string, values map[string]any) []string {
	var found []string
	for key, value := range values {
		below, isMap := value.(map[string]any)
		if isMap && len(below) > 0 && key != "resources" {
			found = append(found, leaves(prefix+key+".", below)...)
			continue
		}
		found = append(found, prefix+key)
	}
	return found
}

// nested is the YAML of one value.
func nested(path, value string) string {
	keys := strings.Split(path, ".")
	return strings.Join(keys, ": {") + ": " + value + strings.Repeat("}", len(keys)-1)
}
