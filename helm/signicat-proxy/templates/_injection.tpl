{{/* The sidecar in pods that no chart of ours makes, as expressions of the API server (CEL). */}}

{{/*
A value as a literal. Each part of a table or a list is dyn(…), because a literal may otherwise
hold values of one type only.
*/}}
{{- define "signicat-proxy.cel" -}}
{{- $parts := list -}}
{{- if kindIs "map" . -}}
{{- range $key, $value := . -}}
{{- $parts = append $parts (printf "%s: dyn(%s)" (toJson $key) (include "signicat-proxy.cel" $value)) -}}
{{- end -}}
{{- printf "{%s}" (join ", " $parts) -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}
{{- $parts = append $parts (printf "dyn(%s)" (include "signicat-proxy.cel" .)) -}}
{{- end -}}
{{- printf "[%s]" (join ", " $parts) -}}
{{- else -}}
{{- toJson . -}}
{{- end -}}
{{- end }}

{{/*
Patches that put entries into a list of the pod, at its start or its end, and make the list where
there is none: of the list's name, the entries and the place, `0` or `-`.
*/}}
{{- define "signicat-proxy.celInsert" -}}
{{- $name := index . 0 -}}
{{- $place := index . 2 -}}
{{- $first := list -}}
{{- $into := list -}}
{{- range index . 1 -}}
{{- $value := include "signicat-proxy.cel" . -}}
{{- $first = append $first (printf "dyn(%s)" $value) -}}
{{- $into = append $into (printf "JSONPatch{op: \"add\", path: \"/spec/%s/%s\", value: %s}" $name $place $value) -}}
{{- end -}}
(has(object.spec.{{ $name }})
  ? [{{ join ", " $into }}]
  : [JSONPatch{op: "add", path: "/spec/{{ $name }}", value: [{{ join ", " $first }}]}])
{{- end }}

{{- define "signicat-proxy.validateInjection" -}}
{{- if .Values.sidecar.injection.enabled -}}
{{- if ne .Values.mode "sidecar" -}}
{{- fail "sidecar.injection.enabled: needs mode: sidecar" -}}
{{- end -}}
{{- if semverCompare "<1.36.0-0" .Capabilities.KubeVersion.Version -}}
{{- fail (printf "sidecar.injection.enabled: needs Kubernetes 1.36, which has MutatingAdmissionPolicy; this is %s" .Capabilities.KubeVersion.Version) -}}
{{- end -}}
{{- if not .Values.sidecar.injection.namespaceLabels -}}
{{- fail "sidecar.injection.namespaceLabels: name the namespaces in which pods can ask for the sidecar" -}}
{{- end -}}
{{- if include "signicat-proxy.hasFile" . -}}
{{- fail "sidecar.injection.enabled: needs one client without routes; their ConfigMap would be in one namespace only" -}}
{{- end -}}
{{- end -}}
{{- end }}
