{{/* SPDX-License-Identifier: BSD-2-Clause-Patent */}}
{{/* Names, labels, images. */}}

{{- define "vmafx.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* dict root component */}}
{{- define "vmafx.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "vmafx.labels" -}}
{{ include "vmafx.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* dict image default */}}
{{- define "vmafx.image" -}}
{{- if .image.digest -}}
{{ printf "%s@%s" .image.repository .image.digest }}
{{- else -}}
{{ printf "%s:%s" .image.repository (default .default .image.tag) }}
{{- end -}}
{{- end }}

{{/* Is there TLS? "true", or nothing. */}}
{{- define "vmafx.tls" -}}
{{- if ne .Values.certificates.source "none" }}true{{ end -}}
{{- end }}

{{/* Do pods issue certificates to themselves, from an authority in a Secret? */}}
{{- define "vmafx.issues" -}}
{{- if has .Values.certificates.source (list "job" "secret") }}true{{ end -}}
{{- end }}

{{- define "vmafx.authoritySecret" -}}
{{- if eq .Values.certificates.source "secret" -}}
{{ required "certificates.source=secret needs certificates.authoritySecret: a Secret with ca.crt and ca.key" .Values.certificates.authoritySecret }}
{{- else -}}
{{ include "vmafx.fullname" . }}-authority
{{- end -}}
{{- end }}

{{/* A Secret that has ca.crt. */}}
{{- define "vmafx.caSecret" -}}
{{- if include "vmafx.issues" . -}}
{{ include "vmafx.authoritySecret" . }}
{{- else -}}
{{ include "vmafx.fullname" . }}-ca
{{- end -}}
{{- end }}

{{- define "vmafx.tokensSecret" -}}
{{- if .Values.tokens.secret -}}
{{ .Values.tokens.secret }}
{{- else if eq .Values.certificates.source "job" -}}
{{ include "vmafx.fullname" . }}-tokens
{{- end -}}
{{- end }}

{{/* Every name that a service of this chart is reached by: dict root component hosts */}}
{{- define "vmafx.hosts" -}}
{{- $name := printf "%s-%s" (include "vmafx.fullname" .root) .component -}}
{{- $namespace := .root.Release.Namespace -}}
{{- concat (list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace)
      (printf "%s.%s.svc.%s" $name $namespace .root.Values.clusterDomain) "localhost") .hosts | join " " -}}
{{- end }}

{{/* host:port of the controller, for a component that may name another: dict root values */}}
{{- define "vmafx.controllerAddress" -}}
{{- if .values.controller -}}
{{ .values.controller }}
{{- else if .root.Values.controller.enabled -}}
{{ include "vmafx.fullname" .root }}-controller:7801
{{- else -}}
{{ fail "controller.enabled=false: say where the controller is, in nodes.controller and mcp.controller" }}
{{- end -}}
{{- end }}

{{/* Are side-cars wanted that Kubernetes knows as such, and does it? */}}
{{- define "vmafx.native" -}}
{{- if and .Values.otelCollector.native (semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version) }}true{{ end -}}
{{- end }}
