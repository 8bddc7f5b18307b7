{{/* Which listeners there are, and where each is in pod and Services. */}}

{{/*
All enabled listeners as a JSON list, Postfix's first.  Each has
  name, stock (its port), twin (its port in the pod),
  twinName (of the container's port), internal, external, externalPort, nodePort, hostPort
*/}}
{{- define "postern.listeners" -}}
{{- $stock := dict "smtp" 25 "submission" 587 "submissions" 465 "imap" 143 "imaps" 993 "pop3" 110 "pop3s" 995 "sieve" 4190 -}}
{{- $inPlace := eq .Values.portMode "inPlace" -}}
{{- $all := list -}}
{{- range $name := list "smtp" "submission" "submissions" -}}
{{- $all = append $all (merge (dict "name" $name "stock" (get $stock $name)) (get $.Values.listeners $name)) -}}
{{- end -}}
{{- range $name, $listener := .Values.extraListeners -}}
{{- /* Not "merge", which takes a false for one that is missing. */ -}}
{{- $defaults := dict "name" $name "stock" $listener.stockPort "enabled" true "internal" true "external" true "externalPort" $listener.stockPort -}}
{{- $all = append $all (mergeOverwrite $defaults $listener) -}}
{{- end -}}
{{- if not .Values.mailserver.smtpOnly -}}
{{- range $name := list "imap" "imaps" "pop3" "pop3s" "sieve" -}}
{{- $all = append $all (merge (dict "name" $name "stock" (get $stock $name)) (get $.Values.listeners $name)) -}}
{{- end -}}
{{- end -}}
{{- $enabled := list -}}
{{- range $all -}}
{{- if .enabled -}}
{{- $twin := ternary .stock .twinPort $inPlace -}}
{{- $enabled = append $enabled (mergeOverwrite (deepCopy .) (dict "twin" $twin "twinName" (ternary .name (printf "%s-pp" .name) $inPlace))) -}}
{{- end -}}
{{- end -}}
{{- toJson $enabled -}}
{{- end -}}

{{/* Those that the external Service and the ingress lead to, as a JSON list. */}}
{{- define "postern.externalListeners" -}}
{{- $external := list -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- if .external }}{{ $external = append $external . }}{{ end -}}
{{- end -}}
{{- toJson $external -}}
{{- end -}}

{{/*
The ports of the internal Service as a YAML list; empty if there is no such Service.  In place, there are
no ports without PROXY protocol.
*/}}
{{- define "postern.internalPorts" -}}
{{- $ports := list -}}
{{- if and .Values.service.internal.enabled (eq .Values.portMode "separate") -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- if .internal -}}
{{- $ports = append $ports (dict "name" .name "port" (int .stock) "targetPort" .name "protocol" "TCP" "appProtocol" "tcp") -}}
{{- end -}}
{{- end -}}
{{- $ports = concat $ports .Values.service.internal.extraPorts -}}
{{- end -}}
{{- toYaml $ports -}}
{{- end -}}

{{/* The type of the external Service; nothing if there is none. */}}
{{- define "postern.externalType" -}}
{{- $type := .Values.service.external.type -}}
{{- if eq $type "none" -}}
{{- else if $type -}}
{{- $type -}}
{{- else if ne .Values.cloud "none" -}}
LoadBalancer
{{- else if ne .Values.ingress.kind "none" -}}
ClusterIP
{{- end -}}
{{- end -}}

{{- define "postern.externalName" -}}
{{ include "postern.fullname" . }}-external
{{- end -}}

{{/* "true" if anything outside the pod is led to the twins. */}}
{{- define "postern.isExposed" -}}
{{- if include "postern.externalType" . -}}true{{- end -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- if .hostPort -}}true{{- end -}}
{{- end -}}
{{- if .Values.hostNetwork -}}true{{- end -}}
{{- end -}}

{{/* The networks of postern.conf: loopback alone as long as nothing leads to the twins. */}}
{{- define "postern.trustedNetworks" -}}
{{- toJson (.Values.trustedNetworks | default (list "127.0.0.1/32" "::1/128")) -}}
{{- end -}}

{{/* What is known of a cloud's load balancer, from files/clouds.yaml; empty with none. */}}
{{- define "postern.cloud" -}}
{{- if ne .Values.cloud "none" -}}
{{- get (.Files.Get "files/clouds.yaml" | fromYaml) .Values.cloud | toYaml -}}
{{- end -}}
{{- end -}}
