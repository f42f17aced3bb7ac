{{/*
files/alerts.yaml with what prometheusRule changes, as the spec of a PrometheusRule. The braces in
the alerts' texts are Prometheus' own: nothing in the file is a template of Helm.
*/}}
{{- define "signicat-proxy.alerts" -}}
{{- $values := .Values.prometheusRule -}}
{{- $file := .Files.Get "files/alerts.yaml" | required "files/alerts.yaml: is missing in this chart" | fromYaml -}}
{{- $groups := list -}}
{{- range $group := $file.groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $changes := dict -}}
{{- if $rule.alert -}}
{{- $changes = get $values.rules $rule.alert | default dict -}}
{{- end -}}
{{- if not $changes.disabled -}}
{{- $rules = append $rules (include "signicat-proxy.rule" (dict "rule" $rule "changes" $changes "values" $values) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (dict "name" $group.name "rules" $rules) -}}
{{- end -}}
{{- end -}}
{{- dict "groups" $groups | toYaml -}}
{{- end }}

{{/*
One rule of the file. Its objectives stand there as (1 - 0.999), le="2.5" and 2.5 seconds.
The bound 5 is written 5.0; older processes wrote 5, which Prometheus 2 kept.
*/}}
{{- define "signicat-proxy.rule" -}}
{{- $rule := .rule -}}
{{- $objectives := .values.objectives -}}
{{- $seconds := printf "%v" $objectives.latencySeconds -}}
{{- $bound := printf "le=\"%s\"" $seconds -}}
{{- if not (contains "." $seconds) -}}
{{- $bound = printf "le=~\"%s|%s.0\"" $seconds $seconds -}}
{{- end -}}
{{- $_ := set $rule "expr" ($rule.expr | replace "le=\"2.5\"" $bound) -}}
{{- if $rule.alert -}}
{{- $budgets := dict "Error" (list "0.999" $objectives.availability) "Upstream" (list "0.995" $objectives.upstreamAvailability) "Latency" (list "0.99" $objectives.latency) -}}
{{- range $name, $targets := $budgets -}}
{{- if hasPrefix (printf "SignicatProxy%sBudgetBurn" $name) $rule.alert -}}
{{- $_ := set $rule "expr" ($rule.expr | replace (printf "(1 - %s)" (first $targets)) (printf "(1 - %v)" (last $targets))) -}}
{{- end -}}
{{- end -}}
{{- if .changes.for -}}
{{- $_ := set $rule "for" .changes.for -}}
{{- end -}}
{{- if .changes.severity -}}
{{- $_ := set $rule.labels "severity" .changes.severity -}}
{{- end -}}
{{- $_ := set $rule "labels" (merge (deepCopy (.changes.labels | default dict)) .values.alertLabels $rule.labels) -}}
{{- $_ := set $rule.annotations "description" ($rule.annotations.description | replace "2.5 seconds" (printf "%s seconds" $seconds)) -}}
{{- $_ := set $rule.annotations "runbook_url" ($rule.annotations.runbook_url | replace "docs/runbook.md" .values.runbookUrl) -}}
{{- end -}}
{{- toYaml $rule -}}
{{- end }}
