{{/* Who may reach the gateway, and what it may reach. */}}

{{/* Namespaces by their names, as a peer. */}}
{{- define "signicat-proxy.namespacesPeer" -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values: {{ toJson . }}
{{- end }}

{{/*
The callers' peers, as JSON. Who is named by a namespace alone needs the label too: whoever gets
through acts as the organisation.
*/}}
{{- define "signicat-proxy.callerPeers" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $label := dict "matchLabels" (dict $policy.callerLabel "true") -}}
{{- $named := dict -}}
{{- with $policy.callerNamespaces -}}
{{- $named = include "signicat-proxy.namespacesPeer" . | fromYaml -}}
{{- end -}}
{{- $found := list (merge $named (deepCopy (dict "podSelector" $label))) -}}
{{- range $policy.callers -}}
{{- $found = append $found (or (hasKey . "podSelector") (hasKey . "ipBlock") | ternary . (merge (deepCopy (dict "podSelector" $label)) .)) -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* The monitoring's peers, as JSON. */}}
{{- define "signicat-proxy.monitoringPeers" -}}
{{- $found := list -}}
{{- with .Values.networkPolicy.monitoringNamespaces -}}
{{- $found = append $found (include "signicat-proxy.namespacesPeer" . | fromYaml) -}}
{{- end -}}
{{- concat $found .Values.networkPolicy.monitoring | toJson -}}
{{- end }}

{{/* The ports that the proxy may connect to, besides DNS, as JSON. */}}
{{- define "signicat-proxy.openPorts" -}}
{{- $found := list -}}
{{- range append .Values.networkPolicy.egressPorts .Values.egressProxy.podPort -}}
{{- $found = append $found (int .) -}}
{{- end -}}
{{- without $found 0 | uniq | toJson -}}
{{- end }}

{{/*
What the proxy connects to, by the value that says so, as JSON. What a Secret or a ConfigMap of the
user's names is not known here; behind an egress proxy, only that one is contacted.
*/}}
{{- define "signicat-proxy.destinations" -}}
{{- $found := dict -}}
{{- if .Values.egressProxy.secretName -}}
{{- else if .Values.egressProxy.url -}}
{{- $_ := set $found "egressProxy.url" .Values.egressProxy.url -}}
{{- else -}}
{{- $signicat := .Values.existingConfigMap | empty | ternary "https://api.signicat.com" "" -}}
{{- $_ := set $found "settings.upstream_url" (default $signicat .Values.settings.upstream_url) -}}
{{- $token := default $signicat .Values.settings.token_url -}}
{{- range $name, $client := .Values.clients -}}
{{- $key := empty $client.tokenUrl | ternary "settings.token_url" (printf "clients.%s.tokenUrl" $name) -}}
{{- $_ := set $found $key (default $token $client.tokenUrl) -}}
{{- end -}}
{{- range $key, $url := $found -}}
{{- if not $url -}}
{{- $_ := unset $found $key -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end }}

{{/* The hosts of those, without their ports and brackets, as JSON. */}}
{{- define "signicat-proxy.destinationHosts" -}}
{{- $found := list -}}
{{- range include "signicat-proxy.destinations" . | fromJson -}}
{{- $host := regexReplaceAll ":[0-9]+$" (urlParse .).host "" -}}
{{- $found = append $found (trimSuffix "]" (trimPrefix "[" $host)) -}}
{{- end -}}
{{- concat $found .Values.networkPolicy.cilium.names | uniq | toJson -}}
{{- end }}

{{/* A selector of labels in words, as `kubectl get --selector` takes it. */}}
{{- define "signicat-proxy.selectorInWords" -}}
{{- $parts := list -}}
{{- range $key, $value := .matchLabels -}}
{{- $parts = append $parts (printf "%s=%s" $key $value) -}}
{{- end -}}
{{- range .matchExpressions -}}
{{- $few := join "," .values -}}
{{- $forms := dict "In" (printf "%s in (%s)" .key $few) "NotIn" (printf "%s notin (%s)" .key $few) "Exists" .key "DoesNotExist" (printf "!%s" .key) -}}
{{- $parts = append $parts (get $forms .operator) -}}
{{- end -}}
{{- join "," $parts -}}
{{- end }}

{{/* The peer of a policy in words: the list of the chart's context and the peer. */}}
{{- define "signicat-proxy.peerInWords" -}}
{{- $root := index . 0 -}}
{{- $peer := index . 1 -}}
{{- if $peer.ipBlock -}}
addresses in {{ $peer.ipBlock.cidr }}{{ with $peer.ipBlock.except }}, except {{ join ", " . }}{{ end }}
{{- else -}}
{{- include "signicat-proxy.selectorInWords" (default dict $peer.podSelector) | default "all" | printf "pods: %s; " -}}
{{- if hasKey $peer "namespaceSelector" -}}
{{- include "signicat-proxy.selectorInWords" (default dict $peer.namespaceSelector) | default "all" | printf "namespaces: %s" -}}
{{- else -}}
{{- printf "namespace: %s" (include "signicat-proxy.namespace" $root) -}}
{{- end -}}
{{- end -}}
{{- end }}
