{{/* What every object has: its metadata, and how tables of values are laid over one another. */}}

{{/*
One table of a list of them, as JSON: a later one wins, tables are merged, null removes, a list is
replaced as a whole (a JSON merge patch, RFC 7396). `merge` of Helm keeps what null should remove.
*/}}
{{- define "signicat-proxy.overlay" -}}
{{- $result := dict -}}
{{- range . -}}
{{- range $key, $value := . -}}
{{- if kindIs "invalid" $value -}}
{{- $_ := unset $result $key -}}
{{- else if kindIs "map" $value -}}
{{- $below := get $result $key -}}
{{- $tables := kindIs "map" $below | ternary (list $below $value) (list $value) -}}
{{- $_ := set $result $key (include "signicat-proxy.overlay" $tables | fromJson) -}}
{{- else -}}
{{- $_ := set $result $key $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $result -}}
{{- end }}

{{- define "signicat-proxy.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end }}

{{/* A preference: left out where Kubernetes does not know it yet, or not by default. */}}
{{- define "signicat-proxy.trafficDistribution" -}}
{{- with .Values.service.trafficDistribution -}}
{{- $since := eq . "PreferClose" | ternary ">=1.31.0-0" ">=1.34.0-0" -}}
{{- if semverCompare $since $.Capabilities.KubeVersion.Version -}}
{{- . -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Name, namespace, labels and annotations of an object. `root` is the chart's context, `of` the
table of values with the object's own `labels` and `annotations`. `suffix`, `labels` and
`annotations` are the chart's, as are `name` and `namespace` where they differ; what the chart gives
cannot be overridden.
*/}}
{{- define "signicat-proxy.metadata" -}}
{{- $of := default dict .of -}}
{{- $own := include "signicat-proxy.labels" .root | fromYaml -}}
name: {{ printf "%s%s" (default (include "signicat-proxy.fullname" .root) .name) (default "" .suffix) | quote }}
namespace: {{ default (include "signicat-proxy.namespace" .root) .namespace | quote }}
labels:
  {{- include "signicat-proxy.overlay" (list .root.Values.commonLabels $of.labels $own .labels) | fromJson | toYaml | nindent 2 }}
{{- with include "signicat-proxy.overlay" (list .root.Values.commonAnnotations $of.annotations .annotations) | fromJson }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The families of a Service, where values name them. */}}
{{- define "signicat-proxy.families" -}}
{{- range $key, $value := pick .Values.service "ipFamilyPolicy" "ipFamilies" }}
{{- with $value }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}
