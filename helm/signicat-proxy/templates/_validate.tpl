{{/*
What values must be together; values.schema.json knows each by itself.
Every template that a user can reach includes this one, so nothing is rendered from values that are wrong.
*/}}
{{- define "signicat-proxy.validate" -}}
{{- include "signicat-proxy.validateGone" . -}}
{{- include "signicat-proxy.validateClients" . -}}
{{- include "signicat-proxy.validateCallers" . -}}
{{- include "signicat-proxy.validateGrace" . -}}
{{- include "signicat-proxy.validateEnvironment" . -}}
{{- include "signicat-proxy.validateEgress" . -}}
{{- include "signicat-proxy.validateExtras" . -}}
{{- include "signicat-proxy.validateOtel" . -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository: say where your build of the image is; none is published" -}}
{{- end -}}
{{- $name := include "signicat-proxy.fullname" . -}}
{{- if and (eq .Values.mode "gateway") (not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $name)) -}}
{{- fail (printf "fullnameOverride: no Service can be called %s; give a name of a-z, 0-9 and - that begins with a letter" $name) -}}
{{- end -}}
{{- if eq (int .Values.ports.traffic) (int .Values.ports.admin) -}}
{{- fail "ports: traffic and admin must differ" -}}
{{- end -}}
{{- if and .Values.egressProxy.url .Values.egressProxy.secretName -}}
{{- fail "egressProxy: give url or secretName, not both" -}}
{{- end -}}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) -}}
{{- fail "autoscaling: minReplicas must not be more than maxReplicas" -}}
{{- end -}}
{{- include "signicat-proxy.validateScaling" . -}}
{{- include "signicat-proxy.validateInjection" . -}}
{{- range .Values.service.ipFamilies -}}
{{- if and $.Values.ipFamily (ne . $.Values.ipFamily) -}}
{{- fail (printf "service.ipFamilies: has %s, but the pods listen on %s alone (ipFamily)" . $.Values.ipFamily) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (len .Values.service.ipFamilies) 1) (not (has .Values.service.ipFamilyPolicy (list "PreferDualStack" "RequireDualStack"))) -}}
{{- fail "service.ipFamilyPolicy: two families need PreferDualStack or RequireDualStack" -}}
{{- end -}}
{{- if and (eq .Values.mode "sidecar") .Values.serviceMonitor.enabled -}}
{{- fail "serviceMonitor.enabled: a sidecar has no Service; use podMonitor" -}}
{{- end -}}
{{- if and (eq .Values.mode "gateway") .Values.podMonitor.enabled -}}
{{- fail "podMonitor.enabled: it is for sidecars; use serviceMonitor for a gateway" -}}
{{- end -}}
{{- if and .Values.podMonitor.enabled (not .Values.podMonitor.podLabels) -}}
{{- fail "podMonitor.podLabels: name the labels of the pods that have the sidecar" -}}
{{- end -}}
{{- end }}

{{/* What values of an earlier chart may still have: the schema alone would say that it is not allowed. */}}
{{- define "signicat-proxy.validateGone" -}}
{{- range list "topologyKeys" "whenUnsatisfiable" -}}
{{- if hasKey $.Values.gateway . -}}
{{- fail (printf "gateway.%s: is gone; give gateway.topologySpreadConstraints, a list with topologyKey and whenUnsatisfiable" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "signicat-proxy.validateScaling" -}}
{{- $scaling := .Values.autoscaling -}}
{{- if and (eq .Values.mode "gateway") $scaling.enabled -}}
{{- if $scaling.keda.enabled -}}
{{- if not $scaling.keda.serverAddress -}}
{{- fail "autoscaling.keda.serverAddress: say where your Prometheus is" -}}
{{- end -}}
{{- if $scaling.metrics -}}
{{- fail "autoscaling.metrics: a ScaledObject takes none; use autoscaling.keda.triggers" -}}
{{- end -}}
{{- else if not (include "signicat-proxy.scaleMetrics" . | fromJsonArray) -}}
{{- fail "autoscaling: there is nothing to scale by; set targetCPUPercent, saturation or metrics" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "signicat-proxy.validateClients" -}}
{{- $clients := keys .Values.clients | sortAlpha -}}
{{- $existing := .Values.existingConfigMap -}}
{{- if and $existing .Values.routes -}}
{{- fail (printf "routes: stand in the file of existingConfigMap (%s), not in values" $existing) -}}
{{- end -}}
{{- if not (or $existing $clients) -}}
{{- fail "clients: name at least one, with its clientId and where its secret is" -}}
{{- end -}}
{{- range $name, $client := .Values.clients -}}
{{- $sources := list -}}
{{- range list "secretName" "secretFile" "volume" -}}
{{- if get $client . -}}
{{- $sources = append $sources . -}}
{{- end -}}
{{- end -}}
{{- if ne (len $sources) 1 -}}
{{- fail (printf "clients.%s: give one of secretName, secretFile and volume; it has %s" $name (join " and " $sources | default "none")) -}}
{{- end -}}
{{- if and $client.secretFile $client.secretKey -}}
{{- fail (printf "clients.%s.secretKey: secretFile is the whole path already" $name) -}}
{{- end -}}
{{- $auth := include "signicat-proxy.clientAuth" (list $ $client) -}}
{{- if and $client.keyId (ne $auth "private_key_jwt") -}}
{{- fail (printf "clients.%s.keyId: is of no use with the clientAuth %s" $name $auth) -}}
{{- end -}}
{{- if and $client.certFile (not (and (eq $auth "tls_client_auth") $client.secretFile)) -}}
{{- fail (printf "clients.%s.certFile: goes with secretFile and the clientAuth tls_client_auth" $name) -}}
{{- end -}}
{{- if and (eq $auth "tls_client_auth") $client.secretFile (not $client.certFile) -}}
{{- fail (printf "clients.%s.certFile: give the path of the certificate beside that of its key" $name) -}}
{{- end -}}
{{- if and (eq $auth "tls_client_auth") $client.secretKey -}}
{{- fail (printf "clients.%s.secretKey: with tls_client_auth, the Secret or volume has tls.crt and tls.key" $name) -}}
{{- end -}}
{{- if and (or $client.previousSecretKey $client.previousSecretFile) (not (hasPrefix "client_secret" $auth)) -}}
{{- fail (printf "clients.%s: a previous secret is of no use with the clientAuth %s" $name $auth) -}}
{{- end -}}
{{- if and $client.previousSecretFile $client.previousSecretKey -}}
{{- fail (printf "clients.%s: give previousSecretKey or previousSecretFile, not both" $name) -}}
{{- end -}}
{{- if and $client.secretFile $client.previousSecretKey -}}
{{- fail (printf "clients.%s.previousSecretKey: secretFile is the whole path already; give previousSecretFile" $name) -}}
{{- end -}}
{{- if and $client.previousSecretKey (eq $client.previousSecretKey (default "client-secret" $client.secretKey)) -}}
{{- fail (printf "clients.%s.previousSecretKey: %s is the key of the secret itself" $name $client.previousSecretKey) -}}
{{- end -}}
{{- if not (or $existing $client.clientId) -}}
{{- fail (printf "clients.%s.clientId: give the id of the API client" $name) -}}
{{- end -}}
{{- end -}}
{{- if and (gt (len $clients) 1) (not .Values.routes) (not $existing) -}}
{{- fail "routes: several clients need routes that say which paths are whose" -}}
{{- end -}}
{{- $paths := list -}}
{{- $used := list -}}
{{- range .Values.routes -}}
{{- if not (has .client $clients) -}}
{{- fail (printf "routes: %s names the client %q, which there is not" .path .client) -}}
{{- end -}}
{{- $path := trimSuffix "/" .path -}}
{{- if has $path $paths -}}
{{- fail (printf "routes: %s stands twice" .path) -}}
{{- end -}}
{{- $paths = append $paths $path -}}
{{- $used = append $used .client -}}
{{- end -}}
{{- if .Values.routes -}}
{{- range $clients -}}
{{- if not (has . $used) -}}
{{- fail (printf "routes: no route uses the client %q" .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The prefix of a client id says which environment it is for; the proxy would not start. */}}
{{- define "signicat-proxy.validateEnvironment" -}}
{{- $wanted := .Values.settings.environment -}}
{{- range $name, $client := .Values.clients -}}
{{- range $environment, $prefix := dict "sandbox" "^(sandbox|dev)-" "production" "^prod-" -}}
{{- if and $wanted (ne $wanted $environment) (regexMatch $prefix (default "" $client.clientId)) -}}
{{- fail (printf "settings.environment: is %s, but the id of the client %q is for %s" $wanted $name $environment) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A port that the policy blocks, or a name, ends in a silent timeout. */}}
{{- define "signicat-proxy.validateEgress" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $known := include "signicat-proxy.destinations" . | fromJson -}}
{{- if and (eq .Values.mode "gateway") $policy.enabled -}}
{{- if not (or .Values.egressProxy.podPort $policy.extraEgress) -}}
{{- $open := list -}}
{{- range $policy.egressPorts -}}
{{- $open = append $open (int .) -}}
{{- end -}}
{{- range $key, $url := $known -}}
{{- $parts := urlParse $url -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $parts.host) | default (eq $parts.scheme "http" | ternary "80" "443") -}}
{{- if not (has (int $port) $open) -}}
{{- fail (printf "networkPolicy.egressPorts: lacks %s, the port of %s" $port $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $policy.cilium.enabled (not (or $known $policy.cilium.names)) -}}
{{- fail "networkPolicy.cilium.names: name the hosts, which no value here names" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
A variable beside the settings must not change one of them unseen: that the chart gives a setting
itself, in the environment or in the file, is no reason for Kubernetes or the proxy to complain.
*/}}
{{- define "signicat-proxy.validateExtras" -}}
{{- $where := dict "CONFIG_FILE" "existingConfigMap" "CLIENT_ID" "clients" "CLIENT_SECRET" "clients" "CLIENT_SECRET_FILE" "clients" "PREVIOUS_SECRET_FILE" "clients" "CLIENT_KEY_FILE" "clients" "CLIENT_KEY_ID" "clients" "CLIENT_CERT_FILE" "clients" "LISTEN" "ports" "ADMIN_LISTEN" "ports" "ALLOWED_HOSTS" "extraAllowedHosts" "EGRESS_PROXY" "egressProxy" "CA_FILE" "caBundle" "TLS_CERT_FILE" "tls" "TLS_KEY_FILE" "tls" "TLS_CLIENT_CA_FILE" "tls" "SHUTDOWN_DELAY_SECONDS" (printf "%s.shutdownDelaySeconds" .Values.mode) "DRAIN_SECONDS" (printf "%s.drainSeconds" .Values.mode) -}}
{{- /* Service, notes and test pod say whether callers speak TLS, so the three are the chart's at all times. */ -}}
{{- $owned := list "CONFIG_FILE" "CLIENT_ID" "CLIENT_SECRET" "CLIENT_SECRET_FILE" "PREVIOUS_SECRET_FILE" "CLIENT_KEY_FILE" "CLIENT_KEY_ID" "CLIENT_CERT_FILE" "TLS_CERT_FILE" "TLS_KEY_FILE" "TLS_CLIENT_CA_FILE" -}}
{{- if .Values.egressProxy.secretName -}}
{{- $owned = append $owned "EGRESS_PROXY" -}}
{{- end -}}
{{- range $tables := list (include "signicat-proxy.flatSettings" . | fromJson) (include "signicat-proxy.settingsInEnv" . | fromJson) -}}
{{- range keys $tables -}}
{{- $owned = append $owned (upper .) -}}
{{- end -}}
{{- end -}}
{{- $traced := list -}}
{{- range include "signicat-proxy.otelEnv" . | fromJsonArray -}}
{{- $traced = append $traced .name -}}
{{- end -}}
{{- $otel := include "signicat-proxy.otelValues" . | fromJson -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- if has .name $traced -}}
{{- fail (printf "extraEnv: %s is set by the chart; give %s instead" .name (get $otel .name | default "another name")) -}}
{{- end -}}
{{- $setting := upper .name | trimPrefix "SIGNICAT_PROXY_" -}}
{{- if and (hasPrefix "SIGNICAT_PROXY_" (upper .name)) (has $setting $owned) -}}
{{- fail (printf "extraEnv: %s is set by the chart; give %s instead" .name (get $where $setting | default (printf "settings.%s" (lower $setting)))) -}}
{{- end -}}
{{- if has .name $names -}}
{{- fail (printf "extraEnv: %s stands twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- range .Values.extraVolumes -}}
{{- if regexMatch "^signicat-(secret|proxy)-" (default "" .name) -}}
{{- fail (printf "extraVolumes: %s is a name of the chart's own volumes" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/*
Whoever is not done when the grace period ends is killed. A native sidecar is told to stop only
after the application has ended, so the application's time comes first.
*/}}
{{- define "signicat-proxy.validateGrace" -}}
{{- $mode := .Values.mode -}}
{{- $times := get .Values $mode -}}
{{- $application := 0 -}}
{{- if eq $mode "sidecar" -}}
{{- $application = $times.applicationStopSeconds -}}
{{- end -}}
{{- $margin := 5 -}}
{{- $needed := add $application $times.shutdownDelaySeconds $times.drainSeconds $margin -}}
{{- if lt (int $times.terminationGracePeriodSeconds) (int $needed) -}}
{{- $sum := printf "shutdownDelaySeconds, drainSeconds and %d" $margin -}}
{{- if eq $mode "sidecar" -}}
{{- $sum = printf "applicationStopSeconds, %s" $sum -}}
{{- end -}}
{{- fail (printf "%s.terminationGracePeriodSeconds: is %d, but %s make %d" $mode (int $times.terminationGracePeriodSeconds) $sum (int $needed)) -}}
{{- end -}}
{{- end }}
