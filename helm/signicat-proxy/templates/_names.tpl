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
app.kubernetes.io/name: {{ include "signicat-proxy.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* A version as the value of a label or as a tag: neither takes the + of a build. */}}
{{- define "signicat-proxy.versionLabel" -}}
{{- . | replace "+" "_" | trunc 63 | trimAll "-_." -}}
{{- end }}

{{- define "signicat-proxy.labels" -}}
{{ include "signicat-proxy.selectorLabels" . }}
app.kubernetes.io/version: {{ include "signicat-proxy.versionLabel" .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | include "signicat-proxy.versionLabel" }}
{{- end }}

{{- define "signicat-proxy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "signicat-proxy.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/*
A registry for the whole release stands in place of the repository's own one: the part before the
first slash, if it can only be a host (it has a dot or a port, or is localhost).
*/}}
{{- define "signicat-proxy.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default (include "signicat-proxy.versionLabel" .Chart.AppVersion) .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* Those of the chart and of the whole release, each a name or an object with one, as JSON. */}}
{{- define "signicat-proxy.pullSecrets" -}}
{{- $found := list -}}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.imagePullSecrets -}}
{{- $found = append $found (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- uniq $found | toJson -}}
{{- end }}

{{/* What selects the pods cannot be overridden. */}}
{{- define "signicat-proxy.podLabels" -}}
{{- $own := include "signicat-proxy.selectorLabels" . | fromYaml -}}
{{- include "signicat-proxy.overlay" (list .Values.commonLabels .Values.gateway.podLabels $own) | fromJson | toYaml -}}
{{- end }}

{{/* The checksum cannot be overridden: it starts new pods when settings have changed. */}}
{{- define "signicat-proxy.podAnnotations" -}}
{{- $own := dict "checksum/config" (include "signicat-proxy.checksum" .) -}}
{{- include "signicat-proxy.overlay" (list .Values.commonAnnotations .Values.gateway.podAnnotations $own) | fromJson | toYaml -}}
{{- end }}
