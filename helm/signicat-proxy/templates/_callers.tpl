{{/*
Callers that prove who they are, and TLS from them, of a gateway. A sidecar listens on the loopback
of its pod alone: nobody else can connect, and there is no name that a certificate could be for.
*/}}

{{/* Where the key of a caller is, by its name. */}}
{{- define "signicat-proxy.callerKeyFile" -}}
{{- printf "/etc/signicat-proxy-callers/%s/key" . -}}
{{- end }}

{{/* What the file says of one caller, as JSON. */}}
{{- define "signicat-proxy.callerSettings" -}}
{{- $found := dict -}}
{{- if .caller.keySecretName -}}{{- $_ := set $found "key_file" (include "signicat-proxy.callerKeyFile" .name) -}}{{- end -}}
{{- range $name, $key := dict "key_sha256" "keySha256" "certificate" "certificate" "clients" "clients" "max_in_flight" "maxInFlight" -}}
{{- with get $.caller $key -}}{{- $_ := set $found $name . -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* The settings of TLS, as JSON. */}}
{{- define "signicat-proxy.tlsSettings" -}}
{{- $found := dict -}}
{{- if .Values.tls.secretName -}}
{{- $_ := set $found "tls_cert_file" "/etc/signicat-proxy-tls/tls.crt" -}}
{{- $_ := set $found "tls_key_file" "/etc/signicat-proxy-tls/tls.key" -}}
{{- if .Values.tls.clientCA.enabled -}}
{{- $_ := set $found "tls_client_ca_file" "/etc/signicat-proxy-client-ca/ca.crt" -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* http or https: what callers speak. */}}
{{- define "signicat-proxy.scheme" -}}
{{- empty .Values.tls.secretName | ternary "http" "https" -}}
{{- end }}

{{/* Not empty where a request without a proof gets no response of Signicat. */}}
{{- define "signicat-proxy.asksForProof" -}}
{{- if or .Values.callers .Values.tls.clientCA.enabled -}}
yes
{{- end -}}
{{- end }}

{{/* What a caller shows, in words. */}}
{{- define "signicat-proxy.proofInWords" -}}
{{- $words := list -}}
{{- if .certificate -}}{{- $words = append $words "a certificate" -}}{{- end -}}
{{- if or .keySecretName .keySha256 -}}{{- $words = append $words "a key" -}}{{- end -}}
{{- join " or " $words -}}
{{- end }}

{{/* Mounted as whole folders, which the kubelet renews: the proxy looks at the files again. */}}
{{- define "signicat-proxy.callerMounts" -}}
{{- range $name, $caller := .Values.callers }}
{{- if $caller.keySecretName }}
- name: signicat-proxy-caller-{{ $name }}
  mountPath: {{ include "signicat-proxy.callerKeyFile" $name | dir }}
  readOnly: true
{{- end }}
{{- end }}
{{- range $name, $_ := include "signicat-proxy.tlsSettings" . | fromJson }}
{{- if ne $name "tls_key_file" }}
{{- $part := eq $name "tls_cert_file" | ternary "tls" "client-ca" }}
- name: signicat-proxy-{{ $part }}
  mountPath: /etc/signicat-proxy-{{ $part }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "signicat-proxy.callerVolumes" -}}
{{- $mode := include "signicat-proxy.secretMode" . -}}
{{- range $name, $caller := .Values.callers }}
{{- if $caller.keySecretName }}
- name: signicat-proxy-caller-{{ $name }}
  secret:
    secretName: {{ $caller.keySecretName }}
    defaultMode: {{ $mode }}
    items:
      - key: {{ default "key" $caller.keySecretKey }}
        path: key
{{- end }}
{{- end }}
{{- with .Values.tls }}
{{- if .secretName }}
- name: signicat-proxy-tls
  secret:
    secretName: {{ .secretName }}
    defaultMode: {{ $mode }}
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end }}
{{- if .clientCA.enabled }}
- name: signicat-proxy-client-ca
  {{- if .clientCA.configMapName }}
  configMap:
    name: {{ .clientCA.configMapName }}
  {{- else }}
  secret:
    secretName: {{ default .secretName .clientCA.secretName }}
    defaultMode: {{ $mode }}
  {{- end }}
    items:
      - key: {{ .clientCA.key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end }}

{{- define "signicat-proxy.validateTls" -}}
{{- $tls := .Values.tls -}}
{{- $ca := $tls.clientCA -}}
{{- if and (eq .Values.mode "sidecar") $tls.secretName -}}
{{- fail "tls.secretName: a sidecar listens on the loopback of its pod alone; it is for a gateway" -}}
{{- end -}}
{{- if and $ca.enabled (not $tls.secretName) -}}
{{- fail "tls.clientCA.enabled: callers show certificates over TLS alone; give tls.secretName" -}}
{{- end -}}
{{- if and $ca.secretName $ca.configMapName -}}
{{- fail "tls.clientCA: give secretName or configMapName, not both" -}}
{{- end -}}
{{- if and (or $ca.secretName $ca.configMapName) (not $ca.enabled) -}}
{{- fail "tls.clientCA.enabled: is false, so the authority that you name would not be used" -}}
{{- end -}}
{{- end }}

{{- define "signicat-proxy.validateCallers" -}}
{{- include "signicat-proxy.validateTls" . -}}
{{- if and (eq .Values.mode "sidecar") .Values.callers -}}
{{- fail "callers: a sidecar listens on the loopback of its pod alone; they are for a gateway" -}}
{{- end -}}
{{- $proofs := dict -}}
{{- range $name, $caller := .Values.callers -}}
{{- include "signicat-proxy.validateCaller" (dict "root" $ "name" $name "caller" $caller) -}}
{{- $own := list -}}
{{- with $caller.keySecretName -}}
{{- $own = append $own (printf "the key %s of the Secret %s" (default "key" $caller.keySecretKey) .) -}}
{{- end -}}
{{- range $caller.keySha256 -}}{{- $own = append $own (printf "the digest %s" (lower .)) -}}{{- end -}}
{{- range $caller.certificate -}}{{- $own = append $own (printf "the name %s" (contains ":" . | ternary . (lower .))) -}}{{- end -}}
{{- range $own -}}
{{- if hasKey $proofs . -}}
{{- fail (printf "callers.%s: %s is that of %s already" $name . (get $proofs .)) -}}
{{- end -}}
{{- $_ := set $proofs . $name -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* One caller. With a file of the user's own, values only mount its key. */}}
{{- define "signicat-proxy.validateCaller" -}}
{{- $where := printf "callers.%s" .name -}}
{{- $values := .root.Values -}}
{{- $caller := .caller -}}
{{- if $values.existingConfigMap -}}
{{- range list "keySha256" "certificate" "clients" "maxInFlight" -}}
{{- if get $caller . -}}
{{- fail (printf "%s.%s: stands in the file of existingConfigMap (%s), not in values" $where . $values.existingConfigMap) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $caller.keySecretName $caller.keySha256 -}}
{{- fail (printf "%s: give keySecretName or keySha256, not both" $where) -}}
{{- end -}}
{{- if and $caller.keySecretKey (not $caller.keySecretName) -}}
{{- fail (printf "%s.keySecretKey: say in keySecretName which Secret has it" $where) -}}
{{- end -}}
{{- if not (or $caller.keySecretName $caller.keySha256 $caller.certificate) -}}
{{- fail (printf "%s: give a proof: keySecretName, keySha256 or certificate" $where) -}}
{{- end -}}
{{- if and $caller.certificate (not $values.tls.clientCA.enabled) -}}
{{- fail (printf "%s.certificate: needs tls.clientCA.enabled, and tls.secretName" $where) -}}
{{- end -}}
{{- range $caller.clients -}}
{{- if not (hasKey $values.clients .) -}}
{{- fail (printf "%s.clients: names the client %q, which there is not" $where .) -}}
{{- end -}}
{{- end -}}
{{- end }}
