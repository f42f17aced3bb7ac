{{/*
The container, and the pod's parts that go with it. Another chart includes these with the context
of this one: {{ include "signicat-proxy.sidecar" (index .Subcharts "signicat-proxy") }}
*/}}

{{/* As it stands in the pod: with what values lay over it at the end. */}}
{{- define "signicat-proxy.container" -}}
{{- $own := include "signicat-proxy.ownContainer" . | fromYaml -}}
{{- include "signicat-proxy.overlay" (list $own (get .Values .Values.mode).container) | fromJson | toYaml -}}
{{- end }}

{{- define "signicat-proxy.ownContainer" -}}
{{- $times := get .Values .Values.mode -}}
{{- $gates := toString $times.gatesReadiness -}}
{{- $ready := dict "true" "/readyz" "first-token" "/readyz?require=first-token" "false" "/startupz" -}}
{{- if eq .Values.mode "sidecar" -}}
name: {{ .Values.sidecar.containerName | quote }}
restartPolicy: Always
{{- else -}}
name: signicat-proxy
{{- end }}
image: {{ include "signicat-proxy.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: ["run"]
{{- with include "signicat-proxy.env" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
ports:
  {{- if eq .Values.mode "gateway" }}
  - name: proxy
    containerPort: {{ .Values.ports.traffic }}
    protocol: TCP
  {{- end }}
  - name: proxy-admin
    containerPort: {{ .Values.ports.admin }}
    protocol: TCP
{{- /*
Over once the first token attempt is, which takes TOKEN_TIMEOUT_SECONDS at most; with
STARTUP_DEADLINE_SECONDS once there is a token, and by then the proxy ends by itself.
*/}}
startupProbe:
  httpGet:
    path: /startupz
    port: proxy-admin
  {{- include "signicat-proxy.startup" . | nindent 2 }}
{{- if or (ne $gates "false") (eq .Values.mode "gateway") }}
readinessProbe:
  httpGet:
    path: {{ get $ready $gates }}
    port: proxy-admin
  {{- toYaml .Values.probes.readiness | nindent 2 }}
{{- end }}
livenessProbe:
  httpGet:
    path: /livez
    port: proxy-admin
  {{- toYaml .Values.probes.liveness | nindent 2 }}
{{- with .Values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- /* So that `kubectl describe pod` shows every error of exit 2. */}}
terminationMessagePolicy: FallbackToLogsOnError
resources:
  {{- include "signicat-proxy.resources" $times.resources | nindent 2 }}
{{- with .Values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
volumeMounts:
  {{- range $name, $client := .Values.clients }}
  {{- if not $client.secretFile }}
  - name: signicat-secret-{{ $name }}
    mountPath: {{ include "signicat-proxy.secretFile" (list $ $name $client) | dir }}
    readOnly: true
  {{- end }}
  {{- end }}
  {{- if include "signicat-proxy.hasFile" . }}
  - name: signicat-proxy-config
    mountPath: /etc/signicat-proxy
    readOnly: true
  {{- end }}
  {{- if .Values.caBundle.configMapName }}
  - name: signicat-proxy-ca
    mountPath: /etc/signicat-proxy-ca
    readOnly: true
  {{- end }}
  {{- with include "signicat-proxy.callerMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Unless values say how often: as long as the first token attempt, or a Job's start, and 30 seconds more. */}}
{{- define "signicat-proxy.startup" -}}
{{- $probe := deepCopy .Values.probes.startup -}}
{{- if not $probe.failureThreshold -}}
{{- $seconds := maxf (default 10 .Values.settings.token_timeout_seconds) (default 0 .Values.settings.startup_deadline_seconds) | addf 30 -}}
{{- $_ := set $probe "failureThreshold" (divf $seconds $probe.periodSeconds | ceil | int) -}}
{{- end -}}
{{- toYaml $probe -}}
{{- end }}

{{/* Without what null has removed. A number is written without an exponent, as text. */}}
{{- define "signicat-proxy.resources" -}}
{{- $found := dict -}}
{{- range $kind, $amounts := . -}}
{{- $kept := dict -}}
{{- range $name, $amount := $amounts -}}
{{- if not (kindIs "invalid" $amount) -}}
{{- $_ := set $kept $name (kindIs "string" $amount | ternary $amount (toJson $amount)) -}}
{{- end -}}
{{- end -}}
{{- if $kept -}}
{{- $_ := set $found $kind $kept -}}
{{- end -}}
{{- end -}}
{{- toYaml $found -}}
{{- end }}

{{/*
For `volumes`. The kubelet renews what is mounted as a whole folder, and the proxy reads its
secret again, so a rotated Secret is used without a restart.
*/}}
{{- define "signicat-proxy.sidecarVolumes" -}}
{{- include "signicat-proxy.validate" . -}}
{{- $root := . -}}
{{- range $name, $client := .Values.clients }}
{{- if $client.volume }}
- name: signicat-secret-{{ $name }}
  {{- toYaml $client.volume | nindent 2 }}
{{- else if $client.secretName }}
- name: signicat-secret-{{ $name }}
  {{- include "signicat-proxy.secretVolume" (list $root $client) | nindent 2 }}
{{- end }}
{{- end }}
{{- if include "signicat-proxy.hasFile" . }}
- name: signicat-proxy-config
  configMap:
    name: {{ default (include "signicat-proxy.fullname" .) .Values.existingConfigMap | quote }}
{{- end }}
{{- if .Values.caBundle.configMapName }}
- name: signicat-proxy-ca
  configMap:
    name: {{ .Values.caBundle.configMapName | quote }}
    items:
      - key: {{ .Values.caBundle.key | quote }}
        path: ca.crt
{{- end }}
{{- with include "signicat-proxy.callerVolumes" . | trim }}
{{ . }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
A client's Secret as the source of a volume: the list of the root and the client. The previous
secret may be missing, as it is after a rotation: that keeps no pod from starting.
*/}}
{{- define "signicat-proxy.secretVolume" -}}
{{- $root := index . 0 -}}
{{- $client := index . 1 -}}
{{- $mode := include "signicat-proxy.secretMode" $root -}}
{{- $auth := include "signicat-proxy.clientAuth" . -}}
{{- $usual := include "signicat-proxy.secretName" $auth -}}
{{- $items := list (dict "key" (default $usual $client.secretKey) "path" $usual) -}}
{{- if eq $auth "tls_client_auth" -}}
{{- $items = prepend $items (dict "key" "tls.crt" "path" "tls.crt") -}}
{{- end -}}
{{- if $client.previousSecretKey -}}
projected:
  defaultMode: {{ $mode }}
  sources:
    - secret:
        name: {{ $client.secretName | quote }}
        items:
          {{- toYaml $items | nindent 10 }}
    - secret:
        name: {{ $client.secretName | quote }}
        optional: true
        items:
          - key: {{ $client.previousSecretKey | quote }}
            path: previous-secret
{{- else -}}
secret:
  secretName: {{ $client.secretName | quote }}
  defaultMode: {{ $mode }}
  items:
    {{- toYaml $items | nindent 4 }}
{{- end -}}
{{- end }}

{{/*
Where the chart does not give the files to a group, as in somebody else's pod, they are readable to
all; only this container mounts them.
*/}}
{{- define "signicat-proxy.secretMode" -}}
{{- $context := default dict .Values.gateway.podSecurityContext -}}
{{- and (eq .Values.mode "gateway") (hasKey $context "fsGroup") | ternary "0440" "0444" -}}
{{- end }}

{{/* For `initContainers`: started before the application, stopped after it. */}}
{{- define "signicat-proxy.sidecar" -}}
{{- include "signicat-proxy.validate" . -}}
{{- if ne .Values.mode "sidecar" -}}
{{- fail "mode: set it to sidecar where another chart includes signicat-proxy.sidecar" -}}
{{- end -}}
- {{ include "signicat-proxy.container" . | nindent 2 | trim }}
{{- end }}

{{/* For `terminationGracePeriodSeconds` of the pod. */}}
{{- define "signicat-proxy.sidecarGrace" -}}
{{- include "signicat-proxy.validate" . -}}
{{- .Values.sidecar.terminationGracePeriodSeconds -}}
{{- end }}

{{/* For an annotation of the pod, so that changed settings start new pods. */}}
{{- define "signicat-proxy.checksum" -}}
{{- default (include "signicat-proxy.toml" .) .Values.existingConfigMap | sha256sum -}}
{{- end }}
