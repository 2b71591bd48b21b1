{{/* What the pods of controller, node plugin and mounter have in common. Each is described by the same values: `pod` in values.schema.json.
     The argument is a dict: root, component, and values, which are those of the component. */}}

{{- define "glusterfs-csi.podMetadata" -}}
labels:
  {{- include "glusterfs-csi.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) .values.annotations (.annotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "glusterfs-csi.podSpec" -}}
automountServiceAccountToken: false
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.terminationGracePeriodSeconds }}
terminationGracePeriodSeconds: {{ . }}
{{- end }}
# As the node itself: the names of bricks resolve as they do there, the servers see an address that auth.allow
# knows, and a restart of the pod network cuts nothing.
hostNetwork: true
dnsPolicy: Default
{{ include "glusterfs-csi.scheduling" . }}
{{- include "glusterfs-csi.pullSecrets" .root }}
{{- end }}

{{/* Where pods go. The mounter goes where the node plugin does, unless its values say otherwise. */}}
{{- define "glusterfs-csi.scheduling" -}}
affinity:
  {{- toYaml (merge (deepCopy .values.affinity) (include "glusterfs-csi.affinity" . | fromYaml)) | nindent 2 }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
tolerations:
  # The driver starts where nodes have this taint, since it is the driver that is waited for.
  - {key: {{ include "glusterfs-csi.startupTaint" . }}, operator: Exists}
  {{- with .values.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "glusterfs-csi.pullSecrets" -}}
{{- with concat .Values.imagePullSecrets .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml (uniq .) | nindent 2 }}
{{- end }}
{{- end }}

{{/* The end of a driver's list of arguments. */}}
{{- define "glusterfs-csi.args" -}}
- --v={{ .root.Values.logLevel }}
- --log-format={{ .root.Values.logFormat }}
{{- with .values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A sidecar of the controller: root, name, values, args, the name of its port. Its service account's token is mounted. */}}
{{- define "glusterfs-csi.sidecar" -}}
- name: {{ .name }}
  image: {{ include "glusterfs-csi.imageFrom" (dict "root" .root "image" .values.image) }}
  imagePullPolicy: IfNotPresent
  args:
    - --csi-address=/run/glusterfs-csi/csi.sock
    - --timeout={{ .values.timeout }}
    - --retry-interval-max=30s # so that claims go on soon after an outage has ended
    {{- .args | nindent 4 }}
    {{- with .values.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if gt (int .root.Values.controller.replicas) 1 }}
    - --leader-election # by the node's name, as the pod has its network; the ports keep two off one node
    - --leader-election-namespace={{ .root.Values.namespace }}
    - --http-endpoint={{ .root.Values.httpAddress }}:{{ .values.httpPort }}
  ports:
    - {name: {{ .port }}, containerPort: {{ .values.httpPort }}}
  # Fails where the one that leads has not renewed its lease in time and goes on all the same: another one leads by then.
  livenessProbe:
    httpGet: {path: /healthz/leader-election, host: 127.0.0.1, port: {{ .port }}}
    periodSeconds: 20
    timeoutSeconds: 5
    {{- end }}
  securityContext:
    # The driver's socket is root's, so it is root without any of root's powers.
    runAsUser: 0
    allowPrivilegeEscalation: false
    readOnlyRootFilesystem: true
    capabilities: {drop: [ALL]}
    seccompProfile: {type: RuntimeDefault}
  resources:
    {{- toYaml .values.resources | nindent 4 }}
  volumeMounts:
    - {name: socket, mountPath: /run/glusterfs-csi}
    - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{- define "glusterfs-csi.provisionerArgs" -}}
- --extra-create-metadata # for ${pvc.name} and ${pvc.namespace} in a class's path
- --kube-api-qps={{ .Values.controller.provisioner.kubeAPIQPS }} # its own limit of requests to the API server bounds how many claims it binds a second
- --kube-api-burst={{ .Values.controller.provisioner.kubeAPIBurst }}
- --worker-threads={{ .Values.controller.provisioner.workerThreads }}
{{- end }}

{{- define "glusterfs-csi.snapshotterArgs" -}}
- --extra-create-metadata # for the VolumeSnapshot's name and namespace, which `kubectl glusterfs recover` makes it again by
- --feature-gates=CSIVolumeGroupSnapshot=false # the driver has none; else it waits a timeout long for their definitions
{{- end }}

{{/* The clusters file, and beside it the certificates that it names. A Secret that is not there yet comes by itself when it is made. */}}
{{- define "glusterfs-csi.clustersVolume" -}}
{{- $secrets := .Values.tlsSecrets }}
{{- range .Values.clusters }}{{ with .tls }}{{ $secrets = append $secrets .secretName }}{{ end }}{{ end -}}
- name: clusters
  projected:
    defaultMode: 0400
    sources:
      - configMap: {name: glusterfs-csi-clusters}
      {{- range $secret := uniq $secrets }}
      - secret:
          name: {{ $secret }}
          optional: true
          items:
            {{- range tuple "ca.crt" "tls.crt" "tls.key" }}
            - {key: {{ . }}, path: tls/{{ $secret }}/{{ . }}}
            {{- end }}
      {{- end }}
{{- end }}
