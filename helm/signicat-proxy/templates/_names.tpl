{{/* Names and labels. */}}

{{- define "signicat-proxy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Room is left for the longest suffix, so that no two names are cut to one. */}}
{{- define "signicat-proxy.fullname" -}}
{{- $name := include "signicat-proxy.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "signicat-proxy.selectorLabels" -}}
app.kubernetes.io/name: {{ include "signicat-proxy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "signicat-proxy.labels" -}}
{{ include "signicat-proxy.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "signicat-proxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "signicat-proxy.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "signicat-proxy.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* What selects the pods cannot be overridden. */}}
{{- define "signicat-proxy.podLabels" -}}
{{- $own := include "signicat-proxy.selectorLabels" . | fromYaml -}}
{{- merge $own .Values.gateway.podLabels | toYaml -}}
{{- end }}

{{/* The checksum cannot be overridden: it starts new pods when settings have changed. */}}
{{- define "signicat-proxy.podAnnotations" -}}
{{- $own := dict "checksum/config" (include "signicat-proxy.checksum" .) -}}
{{- merge $own .Values.gateway.podAnnotations | toYaml -}}
{{- end }}
