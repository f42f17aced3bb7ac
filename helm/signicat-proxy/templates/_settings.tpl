{{/*
The settings of the proxy, from values. A lone client without routes is told by the environment,
so that a sidecar needs no ConfigMap; else everything stands in one TOML file.
*/}}

{{/* Not empty where the settings stand in a TOML file. */}}
{{- define "signicat-proxy.hasFile" -}}
{{- if or (eq .Values.mode "gateway") .Values.routes .Values.existingConfigMap (gt (len .Values.clients) 1) -}}
yes
{{- end -}}
{{- end }}

{{/* The names in Host that callers may use: no port, so each stands for every port. */}}
{{- define "signicat-proxy.allowedHosts" -}}
{{- $hosts := list "localhost" "127.0.0.1" "[::1]" -}}
{{- if eq .Values.mode "gateway" -}}
{{- $name := include "signicat-proxy.fullname" . -}}
{{- $namespace := include "signicat-proxy.namespace" . -}}
{{- $hosts = concat $hosts (list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.%s" $name $namespace .Values.clusterDomain)) -}}
{{- end -}}
{{- concat $hosts .Values.extraAllowedHosts | toJson -}}
{{- end }}

{{/* How a client proves itself: the list of the root and its values. */}}
{{- define "signicat-proxy.clientAuth" -}}
{{- $root := index . 0 -}}
{{- $client := index . 1 -}}
{{- coalesce $client.clientAuth $root.Values.settings.client_auth "client_secret_basic" -}}
{{- end }}

{{/* What the file in a client's Secret is called, in the Secret by default and where it is mounted. */}}
{{- define "signicat-proxy.secretName" -}}
{{- get (dict "private_key_jwt" "client-key" "tls_client_auth" "tls.key") . | default "client-secret" -}}
{{- end }}

{{/* Where what proves a client is: the list of the root, its name and its values. */}}
{{- define "signicat-proxy.secretFile" -}}
{{- $name := index . 1 -}}
{{- $client := index . 2 -}}
{{- $usual := include "signicat-proxy.secretName" (include "signicat-proxy.clientAuth" (list (index . 0) $client)) -}}
{{- $key := $client.volume | empty | ternary $usual (default $usual $client.secretKey) -}}
{{- default (printf "/run/secrets/%s/%s" $name $key) $client.secretFile -}}
{{- end }}

{{/* Where its previous secret is, empty for none. */}}
{{- define "signicat-proxy.previousSecretFile" -}}
{{- $name := index . 0 -}}
{{- $client := index . 1 -}}
{{- if $client.previousSecretFile -}}
{{- $client.previousSecretFile -}}
{{- else if $client.previousSecretKey -}}
{{- printf "/run/secrets/%s/%s" $name ($client.volume | empty | ternary "previous-secret" $client.previousSecretKey) -}}
{{- end -}}
{{- end }}

{{/* Every flat setting by its name in lower case, as JSON. */}}
{{- define "signicat-proxy.flatSettings" -}}
{{- $times := get .Values .Values.mode -}}
{{- $wildcard := get (dict "" "*" "IPv4" "0.0.0.0" "IPv6" "[::]") .Values.ipFamily -}}
{{- $host := ternary "localhost" $wildcard (eq .Values.mode "sidecar") -}}
{{- $own := dict
  "listen" (printf "%s:%d" $host (int .Values.ports.traffic))
  "admin_listen" (printf "%s:%d" $wildcard (int .Values.ports.admin))
  "allowed_hosts" (include "signicat-proxy.allowedHosts" . | fromJsonArray)
  "shutdown_delay_seconds" $times.shutdownDelaySeconds
  "drain_seconds" $times.drainSeconds
-}}
{{- if .Values.egressProxy.url -}}
{{- $_ := set $own "egress_proxy" .Values.egressProxy.url -}}
{{- end -}}
{{- if .Values.caBundle.configMapName -}}
{{- $_ := set $own "ca_file" "/etc/signicat-proxy-ca/ca.crt" -}}
{{- end -}}
{{- merge $own (include "signicat-proxy.tlsSettings" . | fromJson) .Values.settings | toJson -}}
{{- end }}

{{/* One client's own settings, as JSON. */}}
{{- define "signicat-proxy.clientSettings" -}}
{{- $found := dict "client_id" .client.clientId -}}
{{- $auth := include "signicat-proxy.clientAuth" (list .root .client) -}}
{{- $file := include "signicat-proxy.secretFile" (list .root .name .client) -}}
{{- $_ := set $found (hasPrefix "client_secret" $auth | ternary "client_secret_file" "client_key_file") $file -}}
{{- if eq $auth "tls_client_auth" -}}
{{- $_ := set $found "client_cert_file" (default (printf "%s/tls.crt" (dir $file)) .client.certFile) -}}
{{- end -}}
{{- with .client.keyId -}}{{- $_ := set $found "client_key_id" . -}}{{- end -}}
{{- with include "signicat-proxy.previousSecretFile" (list .name .client) -}}{{- $_ := set $found "previous_secret_file" . -}}{{- end -}}
{{- if .client.clientAuth -}}{{- $_ := set $found "client_auth" .client.clientAuth -}}{{- end -}}
{{- if .client.tokenUrl -}}{{- $_ := set $found "token_url" .client.tokenUrl -}}{{- end -}}
{{- if hasKey .client "scope" -}}{{- $_ := set $found "scope" .client.scope -}}{{- end -}}
{{- $found | toJson -}}
{{- end }}

{{/* A JSON string, number, boolean or list of strings is TOML as well. */}}
{{- define "signicat-proxy.toml" -}}
{{- range $name, $value := include "signicat-proxy.flatSettings" . | fromJson }}
{{ $name }} = {{ toJson $value }}
{{- end }}
{{- range $name, $client := .Values.clients }}

[clients.{{ $name }}]
{{- range $key, $value := include "signicat-proxy.clientSettings" (dict "root" $ "name" $name "client" $client) | fromJson }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range $name, $caller := .Values.callers }}

[callers.{{ $name }}]
{{- range $key, $value := include "signicat-proxy.callerSettings" (dict "name" $name "caller" $caller) | fromJson }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- range .Values.routes }}

[[routes]]
path = {{ toJson .path }}
client = {{ toJson .client }}
{{- with .methods }}
methods = {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{/*
What values say in place of the file or over it, as JSON: a lone client without a file, and the
chart's own settings over a file that it does not write, so that ports, probes and times fit.
*/}}
{{- define "signicat-proxy.settingsInEnv" -}}
{{- $flat := include "signicat-proxy.flatSettings" . | fromJson -}}
{{- if .Values.existingConfigMap -}}
{{- toJson $flat -}}
{{- else if include "signicat-proxy.hasFile" . -}}
{}
{{- else -}}
{{- $name := keys .Values.clients | first -}}
{{- $own := include "signicat-proxy.clientSettings" (dict "root" . "name" $name "client" (get .Values.clients $name)) | fromJson -}}
{{- merge $own $flat | toJson -}}
{{- end -}}
{{- end }}

{{/* Empty where nothing needs it. */}}
{{- define "signicat-proxy.env" -}}
{{- if include "signicat-proxy.hasFile" . }}
{{- /* So that `check` and `config` find it too, when they are run in the container. */}}
- name: SIGNICAT_PROXY_CONFIG_FILE
  value: /etc/signicat-proxy/config.toml
{{- end }}
{{- range $key, $value := include "signicat-proxy.settingsInEnv" . | fromJson }}
- name: SIGNICAT_PROXY_{{ upper $key }}
  {{- /* toJson: a large number would be written with an exponent. */}}
  {{- $text := kindIs "string" $value | ternary $value (toJson $value) }}
  {{- if kindIs "slice" $value }}{{ $text = join "," $value }}{{ end }}
  {{- /* The kubelet would put a variable in place of $(NAME); $$ keeps it from that. */}}
  value: {{ $text | replace "$(" "$$(" | quote }}
{{- end }}
{{- if .Values.egressProxy.secretName }}
- name: SIGNICAT_PROXY_EGRESS_PROXY
  valueFrom:
    secretKeyRef:
      name: {{ .Values.egressProxy.secretName | quote }}
      key: {{ .Values.egressProxy.secretKey | quote }}
{{- end }}
{{- with include "signicat-proxy.otelEnv" . | fromJsonArray }}
{{ toYaml . }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
