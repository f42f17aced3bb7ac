{{/* The gateway's pod; a sidecar's is the application's. */}}

{{/* As it stands in the Deployment: with what values lay over it at the end. */}}
{{- define "signicat-proxy.pod" -}}
{{- $own := include "signicat-proxy.ownPod" . | fromYaml -}}
{{- include "signicat-proxy.overlay" (list $own .Values.gateway.podSpec) | fromJson | toYaml -}}
{{- end }}

{{/*
`enableServiceLinks`: a Service named signicat-proxy would put variables into the environment that
look like settings of the proxy, and the proxy would warn about them.
*/}}
{{- define "signicat-proxy.ownPod" -}}
serviceAccountName: {{ include "signicat-proxy.serviceAccountName" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.gateway.terminationGracePeriodSeconds }}
{{- with .Values.gateway.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "signicat-proxy.pullSecrets" . | fromJsonArray }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.gateway.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - {{ include "signicat-proxy.container" . | nindent 4 | trim }}
  {{- with .Values.gateway.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumes:
  {{- include "signicat-proxy.sidecarVolumes" . | nindent 2 }}
{{- with .Values.gateway.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ include "signicat-proxy.spread" (dict "root" $ "constraint" .) | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- range $key := list "affinity" "dnsConfig" "hostAliases" "nodeSelector" "priorityClassName" "tolerations" }}
{{- with get $.Values.gateway $key }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A constraint spreads the pods of one version, unless it says which itself. */}}
{{- define "signicat-proxy.spread" -}}
{{- $selector := dict "matchLabels" (include "signicat-proxy.selectorLabels" .root | fromYaml) -}}
{{- $defaults := dict "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway" -}}
{{- if not (hasKey .constraint "labelSelector") -}}
{{- $defaults = merge $defaults (dict "labelSelector" $selector "matchLabelKeys" (list "pod-template-hash")) -}}
{{- end -}}
{{- include "signicat-proxy.overlay" (list $defaults .constraint) | fromJson | toYaml -}}
{{- end }}

{{/* The gateway's container as one that runs `check` and ends. */}}
{{- define "signicat-proxy.testContainer" -}}
{{- $own := include "signicat-proxy.ownContainer" . | fromYaml -}}
{{- $left := omit $own "ports" "startupProbe" "readinessProbe" "livenessProbe" "lifecycle" "resources" -}}
{{- $changed := dict "name" "check" "args" (list "check") -}}
{{- $_ := set $changed "resources" (include "signicat-proxy.resources" .Values.helmTest.resources | fromYaml) -}}
{{- merge $changed $left | toYaml -}}
{{- end }}
