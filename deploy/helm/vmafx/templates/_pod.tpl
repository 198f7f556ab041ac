{{/* SPDX-License-Identifier: BSD-2-Clause-Patent */}}
{{/*
The pod of a component. Takes a dict:

  root        $
  component   controller | node | server | mcp
  values      its part of the values
  env         what only it has, as YAML; settings with names of their own
  mounts, volumes   as YAML
  httpPort, grpcPort  (grpcPort 0: none)
  grace       seconds
  preStop     whether to wait for load balancers before SIGTERM
  issue       lines that make its certificates, for the shell
  media       whether it reads videos
*/}}

{{- define "vmafx.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "vmafx.labels" (dict "root" $root "component" .component) | nindent 4 }}
    {{- with .values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .component }}
    {{- if $root.Values.otelCollector.enabled }}
    checksum/otel-collector: {{ include "vmafx.collectorConfig" $root | sha256sum }}
    {{- end }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  serviceAccountName: {{ include "vmafx.fullname" $root }}
  automountServiceAccountToken: false
  # Else each Service would be a variable VMAFX_…_PORT.
  enableServiceLinks: false
  {{- if eq (toString .values.hostUsers) "false" }}
  hostUsers: false
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      {{- toYaml (default (dict "type" "RuntimeDefault") .values.seccompProfile) | nindent 6 }}
  terminationGracePeriodSeconds: {{ .grace }}
  {{- with .values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $sidecar := and $root.Values.otelCollector.enabled (include "vmafx.native" $root) }}
  {{- if or (include "vmafx.issues" $root) $sidecar }}
  initContainers:
    {{- if include "vmafx.issues" $root }}
    {{- include "vmafx.certificatesContainer" . | nindent 4 }}
    {{- end }}
    {{- if $sidecar }}
    {{- include "vmafx.collectorContainer" $root | nindent 4 }}
    {{- end }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "vmafx.image" (dict "image" $root.Values.image "default" $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: ["vmafx-{{ .component }}"]
      securityContext:
        {{- include "vmafx.containerSecurity" $root | nindent 8 }}
      env:
        {{- include "vmafx.commonEnv" . | nindent 8 }}
        {{- with .env }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- range $name, $value := .values.settings }}
        - name: {{ $name }}
          # Helm reads numbers as floating-point ones, and would write 1000000 as 1e+06.
          value: {{ if kindIs "float64" $value }}{{ printf "%.0f" $value | quote }}{{ else }}{{ $value | quote }}{{ end }}
        {{- end }}
        {{- with .values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - { name: http, containerPort: {{ .httpPort }}, protocol: TCP }
        {{- if .grpcPort }}
        - { name: grpc, containerPort: {{ .grpcPort }}, protocol: TCP }
        {{- end }}
      startupProbe:
        {{- include "vmafx.probe" (dict "root" $root "path" "/startupz") | nindent 8 }}
        periodSeconds: 2
        failureThreshold: 90
      livenessProbe:
        {{- include "vmafx.probe" (dict "root" $root "path" "/livez") | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        {{- include "vmafx.probe" (dict "root" $root "path" "/readyz") | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 3
      {{- if .preStop }}
      lifecycle:
        preStop:
          exec: { command: [sleep, "5"] }
      {{- end }}
      {{- $resources := deepCopy .values.resources }}
      {{- if and .values.gpus (gt (int (.values.gpus).count) 0) }}
      {{- $resources = merge $resources (dict "limits" (dict .values.gpus.resource (int .values.gpus.count))) }}
      {{- end }}
      {{- with $resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if include "vmafx.issues" $root }}
        - { name: certificates, mountPath: /certificates, readOnly: true }
        {{- else if eq $root.Values.certificates.source "certManager" }}
        - { name: certificate-grpc, mountPath: /certificates/grpc, readOnly: true }
        - { name: certificate-http, mountPath: /certificates/http, readOnly: true }
        {{- end }}
        {{- if and (include "vmafx.tls" $root) (include "vmafx.tokensSecret" $root) }}
        - { name: tokens, mountPath: /tokens, readOnly: true }
        {{- end }}
        {{- if .media }}
        {{- with $root.Values.models.volume }}
        - { name: models, mountPath: /models, readOnly: true }
        {{- end }}
        {{- with $root.Values.media.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- with .mounts }}
        {{- . | nindent 8 }}
        {{- end }}
    {{- if and $root.Values.otelCollector.enabled (not (include "vmafx.native" $root)) }}
    {{- include "vmafx.collectorContainer" $root | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir:
        {{- with .values.scratchSize }}
        sizeLimit: {{ . }}
        {{- else }}
        sizeLimit: 1Gi
        {{- end }}
    {{- if include "vmafx.issues" $root }}
    - name: certificates
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    # Only the container that issues sees these two.
    - name: authority
      secret: { secretName: {{ include "vmafx.authoritySecret" $root }}, defaultMode: 0440 }
    - name: issuing
      emptyDir: { medium: Memory, sizeLimit: 1Mi }
    {{- end }}
    {{- if and (include "vmafx.tls" $root) (include "vmafx.tokensSecret" $root) }}
    - name: tokens
      secret: { secretName: {{ include "vmafx.tokensSecret" $root }}, defaultMode: 0440, items: [{ key: tokens, path: tokens }] }
    {{- end }}
    {{- if $root.Values.otelCollector.enabled }}
    - name: otel-collector
      configMap: { name: {{ include "vmafx.fullname" $root }}-otel-collector }
    {{- end }}
    {{- if .media }}
    {{- with $root.Values.models.volume }}
    - name: models
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $root.Values.media.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- with .volumes }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "vmafx.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* dict root path */}}
{{- define "vmafx.probe" -}}
httpGet: { path: {{ .path }}, port: http, scheme: {{ if include "vmafx.tls" .root }}HTTPS{{ else }}HTTP{{ end }} }
{{- end }}

{{/* Who the pod is, where its telemetry goes, what it shows others and asks of them. */}}
{{- define "vmafx.commonEnv" -}}
{{- $root := .root -}}
{{- $telemetry := $root.Values.telemetry -}}
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: K8S_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: "k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(POD_NAMESPACE),k8s.node.name=$(K8S_NODE_NAME),k8s.pod.uid=$(POD_UID),k8s.container.name={{ .component }}
    {{- range $name, $value := $telemetry.resourceAttributes }},{{ $name }}={{ $value | toString | urlquery | replace "+" "%20" }}{{ end }}"
{{- if $root.Values.otelCollector.enabled }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: "http://localhost:4317" }
- { name: OTEL_EXPORTER_OTLP_PROTOCOL, value: grpc }
{{- else if $telemetry.endpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ $telemetry.endpoint | quote }} }
- { name: OTEL_EXPORTER_OTLP_PROTOCOL, value: {{ $telemetry.protocol }} }
{{- with $telemetry.headersSecret.name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $telemetry.headersSecret.key }} } }
{{- end }}
{{- else }}
- { name: OTEL_TRACES_EXPORTER, value: none }
- { name: OTEL_METRICS_EXPORTER, value: none }
- { name: OTEL_LOGS_EXPORTER, value: none }
{{- end }}
{{- with $telemetry.sampler }}
- { name: OTEL_TRACES_SAMPLER, value: {{ . }} }
- { name: OTEL_TRACES_SAMPLER_ARG, value: {{ $telemetry.samplerArgument | quote }} }
{{- end }}
- { name: VMAFX_LOG_LEVEL, value: {{ $telemetry.logLevel }} }
- { name: VMAFX_LOG_FORMAT, value: {{ $telemetry.logFormat }} }
- { name: TMPDIR, value: /tmp }
{{- if include "vmafx.tls" $root }}
- { name: VMAFX_TLS_CERT, value: /certificates/grpc/tls.crt }
- { name: VMAFX_TLS_KEY, value: /certificates/grpc/tls.key }
- { name: VMAFX_TLS_CA, value: /certificates/grpc/ca.crt }
- { name: VMAFX_HTTP_TLS_CERT, value: /certificates/http/tls.crt }
- { name: VMAFX_HTTP_TLS_KEY, value: /certificates/http/tls.key }
{{- if include "vmafx.tokensSecret" $root }}
- { name: VMAFX_TOKENS, value: /tokens/tokens }
{{- end }}
{{- else }}
- { name: VMAFX_INSECURE_LISTEN, value: "1" }
{{- end }}
{{- if $root.Values.openMetrics }}
- { name: VMAFX_OPEN_METRICS, value: "1" }
{{- end }}
{{- if and .media $root.Values.models.volume }}
- { name: VMAFX_MODEL_PATH, value: /models }
{{- end }}
{{- end }}

{{/* Issues what the pod needs, and ends; the authority's key goes no further than this container. */}}
{{- define "vmafx.certificatesContainer" -}}
{{- $root := .root -}}
- name: certificates
  image: {{ include "vmafx.image" (dict "image" $root.Values.image "default" $root.Chart.AppVersion) }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  command: [/bin/sh, -euc]
  args:
    - |
      umask 077
      install -m 0600 /authority/ca.key /issuing/ca.key
      install -m 0644 /authority/ca.crt /issuing/ca.crt
      # issue FOLDER KIND NAME OPTION…
      issue() {
          folder=/certificates/$1 kind=$2 name=$3
          shift 3
          vmafx certs "$kind" "$name" --directory /issuing --days {{ $root.Values.certificates.days }} --force "$@"
          mkdir -p "$folder"
          install -m 0600 "/issuing/$kind-$name.key" "$folder/tls.key"
          install -m 0644 "/issuing/$kind-$name.crt" "$folder/tls.crt"
          install -m 0644 /issuing/ca.crt "$folder/ca.crt"
      }
      {{- .issue | nindent 6 }}
      rm -f /issuing/*
  securityContext:
    {{- include "vmafx.containerSecurity" $root | nindent 4 }}
  env:
    - name: POD_NAME
      valueFrom: { fieldRef: { fieldPath: metadata.name } }
  resources:
    requests: { cpu: 50m, memory: 32Mi }
    limits: { memory: 128Mi }
  volumeMounts:
    - { name: authority, mountPath: /authority, readOnly: true }
    - { name: issuing, mountPath: /issuing }
    - { name: certificates, mountPath: /certificates }
{{- end }}

{{/* --host for each of a list of words */}}
{{- define "vmafx.hostOptions" -}}
{{- range splitList " " . }} --host {{ . }}{{ end -}}
{{- end }}

{{- define "vmafx.collectorContainer" -}}
- name: otel-collector
  image: {{ include "vmafx.image" (dict "image" .Values.otelCollector.image "default" "") }}
  imagePullPolicy: {{ .Values.otelCollector.image.pullPolicy }}
  args: ["--config=/etc/otel-collector/config.yaml"]
  {{- if include "vmafx.native" . }}
  restartPolicy: Always
  {{- end }}
  securityContext:
    {{- include "vmafx.containerSecurity" . | nindent 4 }}
  {{- with .Values.otelCollector.secretEnv }}
  env:
    {{- range . }}
    - name: {{ .name }}
      valueFrom: { secretKeyRef: { name: {{ .secretName }}, key: {{ .key }} } }
    {{- end }}
  {{- end }}
  ports:
    - { name: otlp, containerPort: 4317, protocol: TCP }
    - { name: otel-health, containerPort: 13133, protocol: TCP }
  startupProbe:
    httpGet: { path: /, port: otel-health }
    periodSeconds: 2
    failureThreshold: 30
  livenessProbe:
    httpGet: { path: /, port: otel-health }
    periodSeconds: 10
  {{- with .Values.otelCollector.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    - { name: otel-collector, mountPath: /etc/otel-collector, readOnly: true }
{{- end }}

{{- define "vmafx.collectorConfig" -}}
{{- $exporters := keys .Values.otelCollector.exporters | sortAlpha -}}
{{- $pipeline := dict "receivers" (list "otlp") "processors" (list "memory_limiter" "batch") "exporters" $exporters -}}
{{- $config := .Values.otelCollector.config -}}
{{- if not $config -}}
{{- if not $exporters }}{{ fail "otelCollector.exporters is empty: where should telemetry go?" }}{{ end -}}
{{- $config = dict
      "receivers" (dict "otlp" (dict "protocols" (dict "grpc" (dict "endpoint" "127.0.0.1:4317") "http" (dict "endpoint" "127.0.0.1:4318"))))
      "processors" (dict
        "memory_limiter" (dict "check_interval" "1s" "limit_percentage" 80 "spike_limit_percentage" 20)
        "batch" (dict "timeout" "1s"))
      "exporters" .Values.otelCollector.exporters
      "extensions" (dict "health_check" (dict "endpoint" "0.0.0.0:13133"))
      "service" (dict "extensions" (list "health_check") "pipelines" (dict "traces" $pipeline "metrics" $pipeline "logs" $pipeline)) -}}
{{- end -}}
{{- $text := toYaml $config -}}
{{- range splitList "\n" $text -}}
{{- if regexMatch "(?i)^\\s*(- )?[\"']?[a-z0-9_.-]*(authorization|api[-_]?key|token|password|secret)[\"']?\\s*:\\s*[\"']?[^\"'\\s$]" . -}}
{{- fail (printf "otelCollector: a secret belongs into a Secret: write ${env:NAME} and name it in otelCollector.secretEnv: %s" (regexFind "[A-Za-z0-9_.-]+" .)) -}}
{{- end -}}
{{- end -}}
{{ $text }}
{{- end }}
