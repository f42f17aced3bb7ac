{{/* How Prometheus asks, from the values of a monitor. */}}
{{- define "signicat-proxy.scrape" -}}
path: /metrics
interval: {{ .interval }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- /* Another scheme than http is for a proxy in between, such as that of a mesh. */}}
{{- if ne .scheme "http" }}
scheme: {{ .scheme }}
{{- end }}
{{- range $key, $value := pick . "tlsConfig" "relabelings" "metricRelabelings" }}
{{- with $value }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
