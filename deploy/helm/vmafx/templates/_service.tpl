{{/* SPDX-License-Identifier: BSD-2-Clause-Patent */}}
{{/* A list as YAML; nothing for an empty one. */}}
{{- define "vmafx.list" -}}
{{- if . }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* dict root component values httpPort grpcPort */}}
{{- define "vmafx.service" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "vmafx.fullname" .root }}-{{ .component }}
  labels:
    {{- include "vmafx.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  selector:
    {{- include "vmafx.selector" (dict "root" .root "component" .component) | nindent 4 }}
  ports:
    - { name: http, port: {{ .httpPort }}, targetPort: http, protocol: TCP }
    {{- if .grpcPort }}
    - { name: grpc, port: {{ .grpcPort }}, targetPort: grpc, protocol: TCP }
    {{- end }}
{{- end }}

{{/* With cert-manager: where a component's two certificates come from. dict root component */}}
{{- define "vmafx.certManagerVolumes" -}}
{{- $root := .root -}}
{{- $name := include "vmafx.fullname" $root -}}
{{- if ne $root.Values.certificates.source "certManager" -}}
[]
{{- else if eq .component "node" -}}
- name: certificate-grpc
  {{- include "vmafx.csi" (dict "root" $root "attributes" (dict "csi.cert-manager.io/uri-sans" "vmafx://node/${POD_NAME}" "csi.cert-manager.io/key-usages" "digital signature,client auth")) | nindent 2 }}
- name: certificate-http
  {{- include "vmafx.csi" (dict "root" $root "attributes" (dict "csi.cert-manager.io/dns-names" (printf "%s-node" $name) "csi.cert-manager.io/key-usages" "digital signature,server auth")) | nindent 2 }}
{{- else if eq .component "mcp" -}}
- name: certificate-grpc
  secret: { secretName: {{ $name }}-mcp-client, defaultMode: 0440 }
- name: certificate-http
  secret: { secretName: {{ $name }}-mcp, defaultMode: 0440 }
{{- else -}}
- name: certificate-grpc
  secret: { secretName: {{ $name }}-{{ .component }}, defaultMode: 0440 }
- name: certificate-http
  secret: { secretName: {{ $name }}-{{ .component }}, defaultMode: 0440 }
{{- end -}}
{{- end }}

{{- define "vmafx.csi" -}}
csi:
  driver: csi.cert-manager.io
  readOnly: true
  volumeAttributes:
    csi.cert-manager.io/issuer-name: {{ .root.Values.certificates.issuer.name }}
    csi.cert-manager.io/issuer-kind: {{ .root.Values.certificates.issuer.kind }}
    csi.cert-manager.io/issuer-group: {{ .root.Values.certificates.issuer.group }}
    csi.cert-manager.io/duration: {{ mul 24 .root.Values.certificates.days }}h
    csi.cert-manager.io/key-encoding: PKCS8
    csi.cert-manager.io/fs-group: "10001"
    {{- toYaml .attributes | nindent 4 }}
{{- end }}
