{{/* Parts of NOTES.txt. */}}

{{/* How to run postern in the pod: the part of the command behind "kubectl". */}}
{{- define "postern.notesExec" -}}
exec -n {{ .Release.Namespace }} deploy/{{ include "postern.fullname" . }} -c {{ ternary "postern -- /postern" "mailserver -- /postern/postern" (eq .Values.mode "sidecar") }}
{{- end -}}

{{/* The listeners of a HAProxy outside the cluster. */}}
{{- define "postern.notesHaproxy" -}}
{{- range include "postern.externalListeners" . | fromJsonArray }}
  listen {{ .name }}
    bind :{{ int .externalPort }}
    mode tcp
    default-server check check-send-proxy send-proxy-v2
    server node1 NODE1:{{ with .nodePort }}{{ int . }}{{ else }}NODEPORT{{ end }}
    server node2 NODE2:{{ with .nodePort }}{{ int . }}{{ else }}NODEPORT{{ end }}
{{- end }}
{{- end -}}

{{/* The next step for each type of external Service. */}}
{{- define "postern.notesExternal" -}}
{{- $type := include "postern.externalType" . -}}
{{- $service := include "postern.externalName" . -}}
{{- if eq $type "LoadBalancer" }}
The load balancer's address, for the MX record and for {{ .Values.mailserver.hostname }}:

  kubectl get -n {{ .Release.Namespace }} service {{ $service }} -w
{{- $cloud := include "postern.cloud" . | fromYaml }}
{{- if $cloud }}

It sends the PROXY protocol. Its connections come from {{ $cloud.comesFrom }}:
that is what trustedNetworks have to hold.
{{- with $cloud.note }}
{{ . }}
{{- end }}
{{- else }}

Nothing here tells it to send the PROXY protocol. Name your cloud by "cloud", or set the annotation in
service.external.annotations. MetalLB, kube-vip and the like cannot send it: use them in front of an ingress.
{{- end }}
{{- if not (or (eq .Values.service.external.externalTrafficPolicy "Local") (get (include "postern.cloud" . | fromYaml) "direct")) }}
With externalTrafficPolicy Cluster a node may pass a connection on to another: then it comes from that node.
{{- end }}
{{- else if eq $type "NodePort" }}
For a HAProxy outside the cluster (pfSense, OPNsense: server option "send-proxy-v2", health check "check-send-proxy"):
{{ include "postern.notesHaproxy" . }}

NODE1, NODE2: the nodes.{{ if not (include "postern.notesFixed" .) }} NODEPORT: fix them by listeners.NAME.nodePort, or look them up:
  kubectl get -n {{ .Release.Namespace }} service {{ $service }}{{ end }}
Connections come from HAProxy's address with externalTrafficPolicy Local, else from nodes: that is what
trustedNetworks have to hold.
{{- end }}
{{- end -}}

{{/* The next step where the twins are ports of the node, and there is no external Service. */}}
{{- define "postern.notesNode" -}}
What is in front of the twins (a HAProxy with "send-proxy-v2") connects to ports of the node:
{{ range include "postern.listeners" . | fromJsonArray }}
{{- if or .hostPort $.Values.hostNetwork }}
  {{ .name }} on NODE:{{ ternary .twin .hostPort $.Values.hostNetwork | int }}
{{- end }}
{{- end }}

Connections come from its address, or from a node's: that is what trustedNetworks have to hold.
{{- end -}}

{{/* "true" if all node ports are fixed. */}}
{{- define "postern.notesFixed" -}}
{{- $fixed := true -}}
{{- range include "postern.externalListeners" . | fromJsonArray -}}
{{- if not .nodePort }}{{ $fixed = false }}{{ end -}}
{{- end -}}
{{- if $fixed }}true{{ end -}}
{{- end -}}

{{/* What belongs into a ConfigMap of TCP services that is somebody else's. */}}
{{- define "postern.notesTcpServices" }}

In that ConfigMap:

  data:
    {{- include "postern.tcpServices" . | trim | nindent 4 }}
{{- end -}}

{{/* What either controller of HAProxy needs: root, at (the values of its kind), option (that names the ConfigMap). */}}
{{- define "postern.notesHaproxyController" }}
{{- if eq .at.via "configMap" }}
The controller needs the option
--{{ .option }}={{ .at.namespace }}/{{ .at.configMapName }}, and its Service these ports:
{{- else }}
The controller's Service needs these ports:
{{- end }}
{{- range include "postern.externalListeners" .root | fromJsonArray }} {{ int .externalPort }}{{ end }}.
{{- if and (eq .at.via "configMap") (not .at.createConfigMap) }}
{{- include "postern.notesTcpServices" .root }}
{{- end }}
{{- end -}}

{{/* What the ingress needs besides the objects of this chart. */}}
{{- define "postern.notesIngress" -}}
{{- $kind := .Values.ingress.kind -}}
{{- $listeners := include "postern.externalListeners" . | fromJsonArray -}}
{{- if eq $kind "traefik" }}
Traefik needs an entry point for each port. In the values of its chart:

  ports:
  {{- range $listeners }}
    {{ get $.Values.ingress.traefik.entryPoints .name | default .name }}:
      port: {{ add 8000 (int .externalPort) }}
      exposedPort: {{ int .externalPort }}
      expose: {default: true}
      protocol: TCP
  {{- end }}

Behind another load balancer that sends the PROXY protocol, also ports.NAME.proxyProtocol.trustedIPs; behind one
that does not, service.spec.externalTrafficPolicy: Local, else Traefik itself does not see the clients.
{{- else if eq $kind "ingressNginx" }}
{{- if .Values.ingress.ingressNginx.createConfigMap }}
The controller needs the option
--tcp-services-configmap={{ .Values.ingress.ingressNginx.namespace }}/{{ .Values.ingress.ingressNginx.configMapName }}, and its Service
externalTrafficPolicy Local and these ports:
{{- range $listeners }} {{ int .externalPort }}{{ end }}.
{{- else }}
In the values of ingress-nginx' chart:

  controller:
    service:
      externalTrafficPolicy: Local
  tcp:
    {{- include "postern.tcpServices" . | trim | nindent 4 }}
{{- end }}

ingress-nginx is retired: it gets no more releases. Consider ingress.kind traefik or gatewayApi.
{{- else if eq $kind "haproxyTech" }}
{{- include "postern.notesHaproxyController" (dict "root" . "at" .Values.ingress.haproxyTech "option" "configmap-tcp-services") }}
{{- else if eq $kind "haproxyIngress" }}
{{- include "postern.notesHaproxyController" (dict "root" . "at" .Values.ingress.haproxyIngress "option" "tcp-services-configmap") }}
{{- else if eq $kind "gatewayApi" }}
{{- if .Values.ingress.gatewayApi.gateway.create }}
The Gateway's address, for the MX record and for {{ .Values.mailserver.hostname }}:

  kubectl get -n {{ .Release.Namespace }} gateway {{ include "postern.gatewayName" . }} -w
{{- else }}
The Gateway {{ include "postern.gatewayName" . }} needs these listeners, with protocol TCP and routes of this namespace allowed:
{{ range $listeners }}
  {{ get $.Values.ingress.gatewayApi.sectionNames .name | default .name }} on port {{ int .externalPort }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne $kind "none" }}

Connections come from the controller's pods: trustedNetworks have to hold their network (or the nodes', if the
controller uses the nodes' network).
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.twinPeers) }}
Then every pod in that network may speak the PROXY protocol, and with Cilium none: name the controller's pods in
networkPolicy.twinPeers.
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether the gate is there, which depends on what the pod's namespace permits. */}}
{{- define "postern.notesGate" -}}
{{- $hasCapability := or (include "postern.gateGetsCapability" .) (and .Values.mailserver.fail2ban (ne .Values.mode "sidecar")) -}}
{{- $of := ternary .Values.postern .Values.mailserver (eq .Values.mode "sidecar") -}}
{{- if or (not (include "postern.isExposed" .)) (eq .Values.postern.gate "off") -}}
{{- else if and (not $of.securityContext) (not $hasCapability) }}
postern's own gate, a packet filter in front of the twins, is not there: it needs NET_ADMIN, which Pod Security's level
"baseline" refuses. Set postern.gate to require to have it.
{{- else if eq .Values.postern.gate "require" }}
postern's gate needs NET_ADMIN: Pod Security's level "baseline" refuses the pod, and without nftables no twin opens.
{{- end }}
{{- end -}}

{{/* What is dangerous or easily forgotten. */}}
{{- define "postern.notesWarnings" -}}
{{- if and .Values.allowAnyNetwork (include "postern.isExposed" .) }}
WARNING: trustedNetworks may hold everybody: whoever reaches a twin can name any address as its own.
{{- end }}
{{- if and (not .Values.networkPolicy.enabled) (ne .Values.postern.gate "require") (include "postern.isExposed" .) }}
WARNING: there is no NetworkPolicy: Postfix has no list of trusted proxies, so every pod of the cluster can reach its
twins and name any address as its client's. Set networkPolicy.enabled, or postern.gate to require.
{{- end }}
{{- if .Values.hostNetwork }}
{{- if eq .Values.postern.gate "require" }}
WARNING: the pod uses the node's network: no NetworkPolicy is in force, and the gate is nftables' table "inet postern" of
the node. It stays there when the pod goes, and what runs on that network gets past it.
{{- else }}
WARNING: the pod uses the node's network: no NetworkPolicy is in force. Keep others from the twins by a firewall, or set
postern.gate to require, which makes one on the node.
{{- end }}
{{- end }}
{{- if eq .Values.portMode "inPlace" }}
WARNING: nobody reaches the mail server without the PROXY protocol, webmail and health checks in the cluster included.
{{- end }}
{{- if eq .Values.tls.source "none" }}
WARNING: tls.source is none: without a certificate docker-mailserver offers no encryption. Choose one.
{{- end }}
{{- if not .Values.persistence.data.enabled }}
WARNING: persistence.data.enabled is false: mails are lost with the pod.
{{- end }}
{{- if .Values.mailserver.fail2ban }}
WARNING: Fail2ban's bans act on packets, and these come from the load balancer: a ban keeps nobody out. Ban there.
{{- end }}
{{- end -}}
