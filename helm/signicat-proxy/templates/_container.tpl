{{/*
The container, and the pod's parts that go with it. Another chart includes these with the context
of this one: {{ include "signicat-proxy.sidecar" (index .Subcharts "signicat-proxy") }}
*/}}

{{- define "signicat-proxy.container" -}}
{{- $times := get .Values .Values.mode -}}
{{- $gates := toString $times.gatesReadiness -}}
{{- $ready := dict "true" "/readyz" "first-token" "/readyz?require=first-token" "false" "/startupz" -}}
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
  periodSeconds: 1
  timeoutSeconds: 3
  failureThreshold: {{ max (default 10 .Values.settings.token_timeout_seconds | ceil | int) (default 0 .Values.settings.startup_deadline_seconds | ceil | int) | add 30 }}
{{- if or (ne $gates "false") (eq .Values.mode "gateway") }}
readinessProbe:
  httpGet:
    path: {{ get $ready $gates }}
    port: proxy-admin
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}
livenessProbe:
  httpGet:
    path: /livez
    port: proxy-admin
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
resources:
  {{- include "signicat-proxy.resources" $times.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: ["ALL"]
  privileged: false
  readOnlyRootFilesystem: true
  runAsGroup: 10001
  runAsNonRoot: true
  runAsUser: 10001
  seccompProfile:
    type: RuntimeDefault
volumeMounts:
  {{- range $name := keys .Values.clients | sortAlpha }}
  - name: signicat-secret-{{ $name }}
    mountPath: {{ include "signicat-proxy.secretFile" $name | dir }}
    readOnly: true
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
secret again, so a rotated Secret is used without a restart. In somebody else's pod the files
cannot be given to the proxy's group, so they are readable to all; only this container mounts them.
*/}}
{{- define "signicat-proxy.sidecarVolumes" -}}
{{- include "signicat-proxy.validate" . -}}
{{- $root := . -}}
{{- range $name, $client := .Values.clients }}
- name: signicat-secret-{{ $name }}
  secret:
    secretName: {{ $client.secretName }}
    defaultMode: {{ ternary "0440" "0444" (eq $root.Values.mode "gateway") }}
    items:
      - key: {{ default "client-secret" $client.secretKey }}
        path: client-secret
{{- end }}
{{- if include "signicat-proxy.hasFile" . }}
- name: signicat-proxy-config
  configMap:
    name: {{ include "signicat-proxy.fullname" . }}
{{- end }}
{{- if .Values.caBundle.configMapName }}
- name: signicat-proxy-ca
  configMap:
    name: {{ .Values.caBundle.configMapName }}
    items:
      - key: {{ .Values.caBundle.key }}
        path: ca.crt
{{- end }}
{{- end }}

{{/* For `initContainers`: started before the application, stopped after it. */}}
{{- define "signicat-proxy.sidecar" -}}
{{- include "signicat-proxy.validate" . -}}
{{- if ne .Values.mode "sidecar" -}}
{{- fail "mode: set it to sidecar where another chart includes signicat-proxy.sidecar" -}}
{{- end -}}
- name: {{ .Values.sidecar.containerName }}
  restartPolicy: Always
  {{- include "signicat-proxy.container" . | nindent 2 }}
{{- end }}

{{/* For `terminationGracePeriodSeconds` of the pod. */}}
{{- define "signicat-proxy.sidecarGrace" -}}
{{- include "signicat-proxy.validate" . -}}
{{- .Values.sidecar.terminationGracePeriodSeconds -}}
{{- end }}

{{/* For an annotation of the pod, so that changed settings start new pods. */}}
{{- define "signicat-proxy.checksum" -}}
{{- include "signicat-proxy.toml" . | sha256sum -}}
{{- end }}
