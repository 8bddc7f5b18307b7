{{/* What several ingress templates and NOTES need. */}}

{{/* Where Traefik is asked for the PROXY protocol: service or serversTransport. */}}
{{- define "postern.traefikVia" -}}
{{- $traefik := .Values.ingress.traefik -}}
{{- if ne $traefik.proxyProtocolVia "auto" -}}
{{- $traefik.proxyProtocolVia -}}
{{- else -}}
{{- ternary "serversTransport" "service" (semverCompare ">=3.5.3-0" $traefik.version) -}}
{{- end -}}
{{- end -}}

{{/*
The data of a ConfigMap of TCP services, by the kind of ingress:
  ingress-nginx    namespace/name:port:[decode]:[encode]; PROXY is version 1
  haproxy-ingress  the same, with PROXY-V1 and PROXY-V2
  haproxytech      namespace/name:port; the PROXY protocol is an annotation of the Service
*/}}
{{- define "postern.tcpServices" -}}
{{- $suffixes := dict "ingressNginx" "::PROXY" "haproxyIngress" (printf "::PROXY-V%d" (int .Values.ingress.proxyProtocolVersion)) "haproxyTech" "" -}}
{{- $suffix := get $suffixes .Values.ingress.kind -}}
{{- range include "postern.externalListeners" . | fromJsonArray }}
{{ int .externalPort | quote }}: {{ printf "%s/%s:%d%s" $.Release.Namespace (include "postern.externalName" $) (int .externalPort) $suffix }}
{{- end }}
{{- end -}}

{{/* Such a ConfigMap: root, at (the values with namespace and configMapName). */}}
{{- define "postern.tcpServicesConfigMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "postern.metadata" (dict "root" .root "name" .at.configMapName "namespace" .at.namespace "annotations" .root.Values.ingress.annotations "labels" .root.Values.ingress.labels) | nindent 2 }}
data:
  {{- include "postern.tcpServices" .root | trim | nindent 2 }}
{{- end -}}

{{- define "postern.gatewayName" -}}
{{- .Values.ingress.gatewayApi.gateway.name | default (include "postern.fullname" .) -}}
{{- end -}}
