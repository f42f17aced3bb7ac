{{/* Traces: the standard variables, and the way to the collector. */}}

{{/*
The variables by name, as JSON: those that OpenTelemetry names, and nothing of the proxy's own.
Those of the pod come first, since only what stands before it can be named in a value.
*/}}
{{- define "signicat-proxy.otelEnv" -}}
{{- $otel := .Values.otel -}}
{{- $found := list -}}
{{- if $otel.endpoint -}}
{{- $known := list -}}
{{- range $name, $field := dict "k8s.namespace.name" "metadata.namespace" "k8s.node.name" "spec.nodeName" "k8s.pod.name" "metadata.name" "k8s.pod.uid" "metadata.uid" -}}
{{- $variable := $name | replace "." "_" | upper | printf "OTEL_RESOURCE_ATTRIBUTES_%s" -}}
{{- $found = append $found (dict "name" $variable "valueFrom" (dict "fieldRef" (dict "fieldPath" $field))) -}}
{{- $known = append $known (printf "%s=$(%s)" $name $variable) -}}
{{- end -}}
{{- $known = append $known (printf "k8s.container.name=%s" (eq .Values.mode "sidecar" | ternary .Values.sidecar.containerName "signicat-proxy")) -}}
{{- range $name, $value := $otel.resourceAttributes -}}
{{- /* What separates attributes is encoded; the kubelet would put a variable in place of $(NAME). */ -}}
{{- $known = append $known (printf "%s=%s" $name ($value | replace "%" "%25" | replace "," "%2C" | replace " " "%20" | replace "$(" "$$(")) -}}
{{- end -}}
{{- $found = append $found (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" (join "," $known)) -}}
{{- $found = append $found (dict "name" "OTEL_EXPORTER_OTLP_ENDPOINT" "value" ($otel.endpoint | replace "$(" "$$(")) -}}
{{- with $otel.headersSecret.name -}}
{{- $found = append $found (dict "name" "OTEL_EXPORTER_OTLP_HEADERS" "valueFrom" (dict "secretKeyRef" (dict "name" . "key" $otel.headersSecret.key))) -}}
{{- end -}}
{{- with $otel.sampler -}}
{{- $found = append $found (dict "name" "OTEL_TRACES_SAMPLER" "value" .) -}}
{{- end -}}
{{- if hasSuffix "traceidratio" $otel.sampler -}}
{{- $found = append $found (dict "name" "OTEL_TRACES_SAMPLER_ARG" "value" (toJson $otel.samplerArg)) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* Where a value is that gives a variable, by the variable's name, as JSON. */}}
{{- define "signicat-proxy.otelValues" -}}
{{- dict "OTEL_EXPORTER_OTLP_ENDPOINT" "otel.endpoint" "OTEL_EXPORTER_OTLP_HEADERS" "otel.headersSecret" "OTEL_TRACES_SAMPLER" "otel.sampler" "OTEL_TRACES_SAMPLER_ARG" "otel.samplerArg" "OTEL_RESOURCE_ATTRIBUTES" "otel.resourceAttributes" | toJson -}}
{{- end }}

{{/* The port of the collector that a NetworkPolicy sees. */}}
{{- define "signicat-proxy.otelPort" -}}
{{- $parts := urlParse .Values.otel.endpoint -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parts.host) | default (eq $parts.scheme "http" | ternary "80" "443") -}}
{{- .Values.otel.podPort | default $port -}}
{{- end }}

{{/* Not empty where Cilium's policy names the collector, and not the plain one. */}}
{{- define "signicat-proxy.otelByName" -}}
{{- and .Values.otel.endpoint .Values.networkPolicy.cilium.enabled (not .Values.networkPolicy.collector) | empty | ternary "" "yes" -}}
{{- end }}

{{- define "signicat-proxy.validateOtel" -}}
{{- $otel := .Values.otel -}}
{{- if not $otel.endpoint -}}
{{- range $name, $value := dict "headersSecret.name" $otel.headersSecret.name "sampler" $otel.sampler "resourceAttributes" $otel.resourceAttributes -}}
{{- if $value -}}
{{- fail (printf "otel.%s: is of no use without otel.endpoint, which switches traces on" $name) -}}
{{- end -}}
{{- end -}}
{{- if .Values.networkPolicy.collector -}}
{{- fail "networkPolicy.collector: is of no use without otel.endpoint, which switches traces on" -}}
{{- end -}}
{{- end -}}
{{- end }}
