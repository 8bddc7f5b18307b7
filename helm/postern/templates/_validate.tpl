{{/* What cannot work is refused, by a sentence that names the value and the cure. */}}

{{- define "postern.validate" -}}
{{- include "postern.validateMailserver" . -}}
{{- include "postern.validateGate" . -}}
{{- include "postern.validateExposure" . -}}
{{- include "postern.validatePorts" . -}}
{{- include "postern.validateListeners" . -}}
{{- include "postern.validateIngress" . -}}
{{- include "postern.validateMetrics" . -}}
{{- end -}}

{{- define "postern.validateMailserver" -}}
{{- if not (contains "." .Values.mailserver.hostname) -}}
{{- fail (printf "mailserver.hostname: %q: set it to the full name of the mail server, such as mail.example.com" .Values.mailserver.hostname) -}}
{{- end -}}
{{- if not .Values.postern.image.repository -}}
{{- fail "postern.image.repository: set it to where you pushed the image that container/build makes: there is no published one" -}}
{{- end -}}
{{- $managed := dict
  "OVERRIDE_HOSTNAME" "mailserver.hostname"
  "ENABLE_IMAP" "listeners.imap.enabled and listeners.imaps.enabled"
  "ENABLE_POP3" "listeners.pop3.enabled and listeners.pop3s.enabled"
  "ENABLE_MANAGESIEVE" "listeners.sieve.enabled"
  "ENABLE_FAIL2BAN" "mailserver.fail2ban"
  "SMTP_ONLY" "mailserver.smtpOnly" -}}
{{- if has .Values.tls.source (list "certManager" "existingSecret") -}}
{{- range $name := list "SSL_TYPE" "SSL_CERT_PATH" "SSL_KEY_PATH" -}}
{{- $_ := set $managed $name "tls.source" -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := .Values.mailserver.env -}}
{{- if hasKey $managed $name -}}
{{- fail (printf "mailserver.env.%s: set %s instead, so that ports and environment agree" $name (get $managed $name)) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.tls.source "existingSecret") (not .Values.tls.secretName) -}}
{{- fail "tls.secretName: set it to the Secret that holds tls.crt and tls.key, or choose another tls.source" -}}
{{- end -}}
{{- if and (eq .Values.tls.source "certManager") (not .Values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name: set it to the name of a cert-manager issuer" -}}
{{- end -}}
{{- if and (eq .Values.tls.source "dms") (not (hasKey .Values.mailserver.env "SSL_TYPE")) (not .Values.mailserver.envFrom) -}}
{{- fail "mailserver.env.SSL_TYPE: set it, because tls.source is dms; or choose another tls.source" -}}
{{- end -}}
{{- if .Values.persistence.shared.enabled -}}
{{- range $name := list "data" "state" "config" "log" -}}
{{- if get (get $.Values.persistence $name) "existingClaim" -}}
{{- fail (printf "persistence.%s.existingClaim: take it away, or set persistence.shared.enabled to false: the shared claim holds everything" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "files" "secretFiles" -}}
{{- range $path, $content := get $.Values.config $kind -}}
{{- if or (hasPrefix "/" $path) (hasPrefix ".." $path) (contains "/../" (print $path "/")) -}}
{{- fail (printf "config.%s.%s: set a path within /tmp/docker-mailserver" $kind $path) -}}
{{- end -}}
{{- if and (contains "/" $path) (contains "__" $path) -}}
{{- fail (printf "config.%s.%s: set a path without __, which stands for / in the names of its ConfigMap's keys" $kind $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails if the gate is required, and a security context of the user's own takes what it needs. */}}
{{- define "postern.validateGate" -}}
{{- $of := ternary "postern" "mailserver" (eq .Values.mode "sidecar") -}}
{{- $context := get (get .Values $of) "securityContext" -}}
{{- if and (eq .Values.postern.gate "require") $context (not $context.privileged) -}}
{{- $given := dig "capabilities" "add" list $context -}}
{{- if not (or (has "NET_ADMIN" $given) (has "ALL" $given)) -}}
{{- fail (printf "%s.securityContext.capabilities.add: add NET_ADMIN, because postern.gate is require; or set postern.gate to auto" $of) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "postern.validateExposure" -}}
{{- $type := include "postern.externalType" . -}}
{{- if and (include "postern.isExposed" .) (not .Values.trustedNetworks) -}}
{{- fail "trustedNetworks: set it to the networks that the load balancer's own connections come from: the twins are exposed, and whoever may speak the PROXY protocol can name any address as its client's" -}}
{{- end -}}
{{- range .Values.trustedNetworks -}}
{{- if and (hasSuffix "/0" .) (not $.Values.allowAnyNetwork) -}}
{{- fail (printf "trustedNetworks: %s trusts everybody: name the load balancer's networks, or set allowAnyNetwork if something else keeps others away" .) -}}
{{- end -}}
{{- end -}}
{{- if and (ne .Values.cloud "none") (ne $type "LoadBalancer") -}}
{{- fail (printf "service.external.type: %s: leave it empty or set LoadBalancer, because cloud is %s" $type .Values.cloud) -}}
{{- end -}}
{{- if and (ne .Values.cloud "none") (ne .Values.ingress.kind "none") -}}
{{- fail (printf "cloud: %s: set it to none, because ingress.kind is %s: the load balancer in front of the ingress is the ingress controller's" .Values.cloud .Values.ingress.kind) -}}
{{- end -}}
{{- if and $type (not (include "postern.externalListeners" . | fromJsonArray)) -}}
{{- fail "listeners: set external on at least one that is enabled, or service.external.type to none" -}}
{{- end -}}
{{- if ne $type "LoadBalancer" -}}
{{- range $key := list "loadBalancerClass" "loadBalancerIP" "loadBalancerSourceRanges" "healthCheckNodePort" -}}
{{- if get $.Values.service.external $key -}}
{{- fail (printf "service.external.%s: set service.external.type to LoadBalancer, or take it away" $key) -}}
{{- end -}}
{{- end -}}
{{- range $key, $value := .Values.service.external.metallb -}}
{{- if $value -}}
{{- fail (printf "service.external.metallb.%s: set service.external.type to LoadBalancer, or take it away" $key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.service.external -}}
{{- if and .externalTrafficPolicy (not (has $type (list "LoadBalancer" "NodePort"))) (not (and (eq $type "ClusterIP") .externalIPs)) -}}
{{- fail "service.external.externalTrafficPolicy: set service.external.type to LoadBalancer or NodePort, or service.external.externalIPs, or take it away" -}}
{{- end -}}
{{- if and .healthCheckNodePort (ne .externalTrafficPolicy "Local") -}}
{{- fail "service.external.healthCheckNodePort: set service.external.externalTrafficPolicy to Local, or take it away" -}}
{{- end -}}
{{- if and .externalIPs (not $type) -}}
{{- fail "service.external.externalIPs: set service.external.type to ClusterIP, NodePort or LoadBalancer, or take them away" -}}
{{- end -}}
{{- end -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- if and .nodePort (not (has $type (list "LoadBalancer" "NodePort"))) -}}
{{- fail (printf "listeners.%s.nodePort: set service.external.type to NodePort or LoadBalancer, or take it away" .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails if two of a list of {name, port} share a port: what, list. */}}
{{- define "postern.validateUnique" -}}
{{- $seen := dict -}}
{{- range .ports -}}
{{- if .port -}}
{{- $key := .port | int | toString -}}
{{- if hasKey $seen $key -}}
{{- fail (printf "%s: %s: it is the port of %s as well: set another" .key $key (get $seen $key)) -}}
{{- end -}}
{{- $_ := set $seen $key .key -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Fails without any listener, for a port's name that is there twice, and for a port of the node that is not to be had. */}}
{{- define "postern.validateListeners" -}}
{{- $listeners := include "postern.listeners" . | fromJsonArray -}}
{{- if not $listeners -}}
{{- fail "listeners: set enabled on at least one: without any, postern has nothing to do" -}}
{{- end -}}
{{- $names := ternary (dict "metrics" "metrics") dict .Values.metrics.enabled -}}
{{- range $listeners -}}
{{- $of := printf "%s.%s" (ternary "listeners" "extraListeners" (hasKey $.Values.listeners .name)) .name -}}
{{- range list .name .twinName | uniq -}}
{{- if hasKey $names . -}}
{{- fail (printf "%s: its port would be called %s, as that of %s is: set another name" $of . (get $names .)) -}}
{{- end -}}
{{- $_ := set $names . $of -}}
{{- end -}}
{{- if and $.Values.hostNetwork .hostPort (ne (int .hostPort) (int .twin)) -}}
{{- fail (printf "%s.hostPort: %d: take it away: with hostNetwork the twin's own port, %d, is the node's" $of (int .hostPort) (int .twin)) -}}
{{- end -}}
{{- end -}}
{{- range .Values.mailserver.extraPorts -}}
{{- if and .name (hasKey $names .name) -}}
{{- fail (printf "mailserver.extraPorts: %s: the port of %s is called that: set another name" .name (get $names .name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "postern.validatePorts" -}}
{{- $inPod := list -}}
{{- $nodePorts := list -}}
{{- $hostPorts := list -}}
{{- $shown := list -}}
{{- $standard := keys .Values.listeners -}}
{{- range $name, $listener := .Values.extraListeners -}}
{{- if has $name $standard -}}
{{- fail (printf "extraListeners.%s: set another name: listeners.%s is there" $name $name) -}}
{{- end -}}
{{- end -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- $inPod = append $inPod (dict "key" (printf "%s's stock service" .name) "port" .stock) -}}
{{- end -}}
{{- $amavis := dig "ENABLE_AMAVIS" 1 .Values.mailserver.env | toString -}}
{{- range include "postern.listeners" . | fromJsonArray -}}
{{- $of := ternary "listeners" "extraListeners" (has .name $standard) -}}
{{- if eq $.Values.portMode "separate" -}}
{{- $inPod = append $inPod (dict "key" (printf "%s.%s.twinPort" $of .name) "port" .twin) -}}
{{- if and (eq (int .twin) 10025) (not (has $amavis (list "0" "false"))) -}}
{{- fail (printf "%s.%s.twinPort: 10025 is Amavis's: set another, or mailserver.env.ENABLE_AMAVIS to 0" $of .name) -}}
{{- end -}}
{{- end -}}
{{- $nodePorts = append $nodePorts (dict "key" (printf "%s.%s.nodePort" $of .name) "port" .nodePort) -}}
{{- $hostPorts = append $hostPorts (dict "key" (printf "%s.%s.hostPort" $of .name) "port" .hostPort) -}}
{{- if .external -}}
{{- $shown = append $shown (dict "key" (printf "%s.%s.externalPort" $of .name) "port" .externalPort) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.enabled (ne .Values.mode "init") -}}
{{- $inPod = append $inPod (dict "key" "metrics.port" "port" .Values.metrics.port) -}}
{{- end -}}
{{- range list $inPod $nodePorts $hostPorts $shown -}}
{{- include "postern.validateUnique" (dict "ports" .) -}}
{{- end -}}
{{- end -}}

{{- define "postern.validateIngress" -}}
{{- $ingress := .Values.ingress -}}
{{- if and (ne $ingress.kind "none") (not (include "postern.externalType" .)) -}}
{{- fail (printf "service.external.type: leave it empty or set ClusterIP, because ingress.kind is %s" $ingress.kind) -}}
{{- end -}}
{{- if eq $ingress.kind "gatewayApi" -}}
{{- with $ingress.gatewayApi.gateway -}}
{{- if and .create (not .className) -}}
{{- fail "ingress.gatewayApi.gateway.className: set it to the class of the Gateway that is to be made" -}}
{{- end -}}
{{- if and (not .create) (not .name) -}}
{{- fail "ingress.gatewayApi.gateway.name: set it to your Gateway's name, or set ingress.gatewayApi.gateway.create" -}}
{{- end -}}
{{- if and .create .namespace (ne .namespace $.Release.Namespace) -}}
{{- fail "ingress.gatewayApi.gateway.namespace: leave it empty: a Gateway that is made is in the release's namespace" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq $ingress.kind "traefik") (eq $ingress.traefik.proxyProtocolVia "serversTransport") (semverCompare "<3.5.3-0" $ingress.traefik.version) -}}
{{- fail (printf "ingress.traefik.proxyProtocolVia: serversTransport needs Traefik 3.5.3: set ingress.traefik.version, which is %s, or choose service" $ingress.traefik.version) -}}
{{- end -}}
{{- end -}}

{{- define "postern.validateMetrics" -}}
{{- if and .Values.metrics.enabled (eq .Values.mode "init") -}}
{{- fail "metrics.enabled: set it to false, or choose another mode: in the mode init no postern keeps running" -}}
{{- end -}}
{{- if and .Values.metrics.podMonitor.enabled (not .Values.metrics.enabled) -}}
{{- fail "metrics.podMonitor.enabled: set metrics.enabled, too" -}}
{{- end -}}
{{- end -}}
