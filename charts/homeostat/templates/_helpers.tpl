{{/* Names and labels. The release's name stands in front unless it is the chart's own. */}}
{{- define "homeostat.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "homeostat.selector" -}}
app.kubernetes.io/name: homeostat
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "homeostat.labels" -}}
{{ include "homeostat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: homeostat
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "homeostat.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "homeostat.authority" -}}
{{ include "homeostat.fullname" . }}-authority
{{- end }}

{{- define "homeostat.executors" -}}
{{ include "homeostat.fullname" . }}-executors
{{- end }}

{{/* What the operator may do where it looks after environments. */}}
{{- define "homeostat.rules" -}}
# Reads the intent. Patches metadata only to hold objects by its finalizer; what a user wrote it never writes.
- apiGroups: [homeostat.dev]
  resources: [environments, targets, executors, resources]
  verbs: [get, list, watch, patch]
# Says what became of it.
- apiGroups: [homeostat.dev]
  resources: [environments/status, targets/status, executors/status, resources/status]
  verbs: [patch]
# Makes executor pods, sees how they are, and deletes them when they are idle. It has no right to enter one.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
# Tells what happened.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
