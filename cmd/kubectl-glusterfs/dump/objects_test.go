// SPDX-License-Identifier: Apache-2.0

package dump

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// Every string that begins with "private" must be left out, everything that begins with "said" must be in it.
const cluster = `
- {apiVersion: v1, kind: Secret, metadata: {name: private-secret, namespace: driver}, data: {a: private}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: private, namespace: driver}, data: {clusters.yaml: private}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: glusterfs-csi-clusters, namespace: driver, annotations: {a: private}}, data: {clusters.yaml: said-clusters, other: private}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: said-class}, provisioner: d, parameters: {uid: said-uid, csi.storage.k8s.io/node-publish-secret-name: private}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: private}, provisioner: other, parameters: {a: private}}
- {apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: said-node}, spec: {drivers: [{name: d, nodeID: said-id}, {name: private}]}}
- {apiVersion: v1, kind: Node, metadata: {name: said-node, annotations: {a: private}}, status: {nodeInfo: {kernelVersion: said-kernel, machineID: private}, images: [{names: [private]}]}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: said-pv}, spec: {csi: {driver: d, volumeHandle: said-handle, volumeAttributes: {path: p/data}, nodePublishSecretRef: {name: private}}}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: private}, spec: {csi: {driver: other, volumeHandle: private}}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: said-old}, spec: {glusterfs: {path: said-path}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data, namespace: said-ns, labels: {a: private}}, spec: {volumeName: said-pv, storageClassName: said-class}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: private, namespace: x}, spec: {volumeName: private}}
- apiVersion: v1
  kind: Pod
  metadata: {name: said-user, namespace: said-ns, annotations: {a: private}}
  spec:
    nodeName: said-node
    containers: [{name: private, command: [private], env: [{name: A, value: private}]}]
    volumes: [{name: said-volume, persistentVolumeClaim: {claimName: data}}, {name: private, secret: {secretName: private}}]
  status: {phase: said-phase, containerStatuses: [{name: c, lastState: {terminated: {reason: said-reason, message: private}}}]}
- {apiVersion: v1, kind: Pod, metadata: {name: private, namespace: said-ns}, spec: {volumes: [{name: v, persistentVolumeClaim: {claimName: other}}]}}
- apiVersion: apps/v1
  kind: DaemonSet
  metadata: {name: said-daemonset, namespace: driver, labels: {app.kubernetes.io/name: glusterfs-csi}, annotations: {a: private}}
  spec:
    template:
      metadata: {annotations: {a: private}}
      spec:
        containers:
        - {name: driver, args: [said-args], env: [{name: A, value: private}], envFrom: [{secretRef: {name: private}}]}
        - {name: said-injected, args: [private], command: [private], lifecycle: {preStop: {exec: {command: [private]}}}}
        volumes: [{name: v, hostPath: {path: said-host-path}}, {name: w, secret: {secretName: private}}]
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: private, namespace: driver}}
- {apiVersion: v1, kind: Event, metadata: {name: a}, involvedObject: {kind: Pod, namespace: said-ns, name: said-user}, reason: FailedMount, message: said-message, lastTimestamp: "2026-11-26T12:00:00Z"}
- {apiVersion: v1, kind: Event, metadata: {name: b}, involvedObject: {kind: Pod, namespace: said-ns, name: said-user}, reason: Unhealthy, message: private, lastTimestamp: "2026-11-26T12:00:00Z"}
- {apiVersion: v1, kind: Event, metadata: {name: c}, involvedObject: {kind: PersistentVolumeClaim, namespace: said-ns, name: data}, reason: A, message: private-since-older, lastTimestamp: "2026-11-26T11:59:59Z"}
- {apiVersion: v1, kind: Event, metadata: {name: d}, involvedObject: {kind: Pod, namespace: x, name: y}, reason: FailedMount, message: private, lastTimestamp: "2026-11-26T12:00:00Z"}
- {apiVersion: v1, kind: Event, metadata: {name: e}, involvedObject: {kind: DaemonSet, namespace: driver, name: said-daemonset}, reason: B, message: said-own, lastTimestamp: "2026-11-26T12:00:00Z"}
`

// TestOfObjectsTheKnownFieldsAreKept and nothing else.
func TestOfObjectsTheKnownFieldsAreKept(t *testing.T) {
	o := Objects{Driver: "d", Namespace: "driver", Since: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	if err := yaml.Unmarshal([]byte(cluster), &o.All); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o.Kept())
	if err != nil {
		t.Fatal(err)
	}
	if at := strings.Index(string(text), "private"); at >= 0 {
		t.Errorf("… %s …", text[max(0, at-300):at+10])
	}
	words := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz-", r) }
	for word := range strings.FieldsFuncSeq(cluster, words) {
		if strings.HasPrefix(word, "said-") && !strings.Contains(string(text), `"`+word+`"`) {
			t.Errorf("%s is not kept", word)
		}
	}
	if paths := o.Paths(); len(paths) != 1 || paths[0] != "p/data" {
		t.Errorf("the paths of volumes are %q", paths)
	}
}
