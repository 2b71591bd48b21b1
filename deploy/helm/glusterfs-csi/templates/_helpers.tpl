{{/* The driver's name in CSI. */}}
{{- define "glusterfs-csi.driver" -}}glusterfs.csi.gluster.org{{- end }}

{{/* The taint with which nodes may be registered, for the controller to take off when they can mount volumes. */}}
{{- define "glusterfs-csi.startupTaint" -}}{{ include "glusterfs-csi.driver" . }}/agent-not-ready{{- end }}

{{/* Labels that selectors use: they can never change. The argument is the component. */}}
{{- define "glusterfs-csi.selector" -}}
app.kubernetes.io/name: glusterfs-csi
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "glusterfs-csi.labels" -}}
app.kubernetes.io/name: glusterfs-csi
app.kubernetes.io/version: {{ .Chart.AppVersion }}
{{- end }}

{{- define "glusterfs-csi.image" -}}
{{- $version := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) }}
{{- with .Values.image.digest }}{{ $version = printf "@%s" . }}{{ end }}
{{- include "glusterfs-csi.imageFrom" (dict "root" . "image" (print .Values.image.repository $version)) }}
{{- end }}

{{/* An image, from global.imageRegistry in place of its own registry. The first part of a name is one where it has a dot or a port. */}}
{{- define "glusterfs-csi.imageFrom" -}}
{{- $registry := .root.Values.global.imageRegistry | trimSuffix "/" }}
{{- $first := regexFind "^[^/]+/" .image }}
{{- $rest := ternary (trimPrefix $first .image) .image (regexMatch "[.:]|^localhost/" $first) }}
{{- ternary (printf "%s/%s" $registry $rest) .image (ne $registry "") }}
{{- end }}

{{/* Where the image runs: Linux on the two architectures that it is built for. */}}
{{- define "glusterfs-csi.affinity" -}}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      - matchExpressions:
          - {key: kubernetes.io/os, operator: In, values: [linux]}
          - {key: kubernetes.io/arch, operator: In, values: [amd64, arm64]}
{{- end }}

{{/* What stays when the release goes, since pods may still have volumes: the mounter, and what it needs. */}}
{{- define "glusterfs-csi.keep" -}}
{{- if .Values.uninstall.keep }}
  annotations:
    helm.sh/resource-policy: keep
{{- end }}
{{- end }}

{{/* Where the mounter serves the node plugin: in the state directory, which the two share. */}}
{{- define "glusterfs-csi.mounter" -}}unix:///var/lib/glusterfs-csi/mounter.sock{{- end }}

{{/* The driver's probes: liveness is that the process serves CSI. It never depends on GlusterFS, and is slow to judge, as a Pi may be
     busy. Ready is when the clusters file has been loaded. Kubelet asks by 127.0.0.1, as all pods of the driver have the node's own network. */}}
{{- define "glusterfs-csi.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, host: 127.0.0.1, port: http}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  {{- include "glusterfs-csi.readiness" . | nindent 2 }}
{{- end }}

{{- define "glusterfs-csi.readiness" -}}
httpGet: {path: /readyz, host: 127.0.0.1, port: http}
periodSeconds: 10
timeoutSeconds: 5
{{- end }}
