{{/* How the gateway is scaled. */}}

{{/* The targets of the HorizontalPodAutoscaler, as JSON. */}}
{{- define "signicat-proxy.scaleMetrics" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $found := list -}}
{{- with $scaling.targetCPUPercent -}}
{{- $cpu := dict "name" "cpu" "target" (dict "type" "Utilization" "averageUtilization" .) -}}
{{- if $scaling.containerResource -}}
{{- $cpu = dict "type" "ContainerResource" "containerResource" (set $cpu "container" "signicat-proxy") -}}
{{- else -}}
{{- $cpu = dict "type" "Resource" "resource" $cpu -}}
{{- end -}}
{{- $found = append $found $cpu -}}
{{- end -}}
{{- if $scaling.saturation.enabled -}}
{{- $target := dict "type" "AverageValue" "averageValue" (printf "%dm" (mul 10 $scaling.saturation.targetPercent)) -}}
{{- $found = append $found (dict "type" "Pods" "pods" (dict "metric" (dict "name" $scaling.saturation.metricName) "target" $target)) -}}
{{- end -}}
{{- concat $found (default list $scaling.metrics) | toJson -}}
{{- end }}

{{/*
The triggers of the ScaledObject, as JSON. KEDA divides the sum of all pods by the threshold, so
the query sums up the share of its connections that each pod uses. Kubernetes cuts the name of a pod
at 58 characters before the last five, so a long one has lost the hyphen there.
*/}}
{{- define "signicat-proxy.scaleTriggers" -}}
{{- $scaling := .Values.autoscaling -}}
{{- $pods := printf "namespace=%q, pod=~\"%s-[a-z0-9]+(-[a-z0-9]+)?\"" (include "signicat-proxy.namespace" .) (include "signicat-proxy.fullname" .) -}}
{{- $own := printf "sum(\n  sum by (pod) (signicat_proxy_upstream_connections{%s, state=~\"active|connecting\"})\n    / sum by (pod) (signicat_proxy_upstream_connections_limit{%s})\n)" $pods $pods -}}
{{- $asked := dict "serverAddress" $scaling.keda.serverAddress "query" (default $own $scaling.keda.query) "threshold" (divf $scaling.saturation.targetPercent 100 | toString) -}}
{{- $prometheus := dict "type" "prometheus" "metadata" $asked -}}
{{- with $scaling.keda.authenticationRef -}}
{{- $_ := set $prometheus "authenticationRef" (dict "name" .) -}}
{{- end -}}
{{- $found := list $prometheus -}}
{{- with $scaling.targetCPUPercent -}}
{{- $metadata := dict "value" (toString .) -}}
{{- if $scaling.containerResource -}}
{{- $_ := set $metadata "containerName" "signicat-proxy" -}}
{{- end -}}
{{- $found = append $found (dict "type" "cpu" "metricType" "Utilization" "metadata" $metadata) -}}
{{- end -}}
{{- concat $found (default list $scaling.keda.triggers) | toJson -}}
{{- end }}

{{/*
Empty where the scaling alone decides. A release whose `replicas` are taken away falls to one pod
until the scaling looks, so whoever turns it on for running pods keeps their number in the
manifest. It must then stay there: leaving it out later would take it away as well. An annotation
remembers that. What is kept is what runs now.
*/}}
{{- define "signicat-proxy.keptReplicas" -}}
{{- $name := include "signicat-proxy.fullname" . -}}
{{- $namespace := include "signicat-proxy.namespace" . -}}
{{- $live := lookup "apps/v1" "Deployment" $namespace $name -}}
{{- if $live -}}
{{- $isScaled := false -}}
{{- $isKept := dig "metadata" "annotations" "signicat-proxy/replicas" "" $live -}}
{{- range list $name (printf "keda-hpa-%s" $name) -}}
{{- if lookup "autoscaling/v2" "HorizontalPodAutoscaler" $namespace . -}}
{{- $isScaled = true -}}
{{- end -}}
{{- end -}}
{{- if or $isKept (not $isScaled) -}}
{{- $live.spec.replicas -}}
{{- end -}}
{{- end -}}
{{- end }}
