{{/* The containers and volumes of the pod. */}}

{{/* Where docker-mailserver looks for its files, and where the configured ones are mounted. */}}
{{- define "postern.dmsFolder" -}}/tmp/docker-mailserver{{- end -}}
{{- define "postern.configFolder" -}}/etc/mailserver/config{{- end -}}
{{- define "postern.tlsFolder" -}}/etc/mailserver/tls{{- end -}}
{{/* Where the binary lies in the mail container. */}}
{{- define "postern.binFolder" -}}/postern{{- end -}}

{{- define "postern.posternImage" -}}
{{ include "postern.image" (dict "root" . "image" .Values.postern.image "tag" .Chart.AppVersion) }}
{{- end -}}

{{- define "postern.mailserverImage" -}}
{{ include "postern.image" (dict "root" . "image" .Values.mailserver.image "tag" "latest") }}
{{- end -}}

{{/* "true" if the sidecar is an init container that goes on running. */}}
{{- define "postern.isNativeSidecar" -}}
{{- $native := .Values.postern.nativeSidecar -}}
{{- if or (eq $native "always") (and (eq $native "auto") (semverCompare ">=1.29.0-0" .Capabilities.KubeVersion.Version)) -}}true{{- end -}}
{{- end -}}

{{- define "postern.globalOptions" -}}
- --config=/etc/postern/postern.conf
- --log-level={{ .Values.postern.logLevel }}
- --log-format={{ .Values.postern.logFormat }}
{{- end -}}

{{/* One variable: a list of name and value. */}}
{{- define "postern.variable" -}}
{{- $value := index . 1 -}}
- name: {{ index . 0 }}
{{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
{{- else if kindIs "bool" $value }}
  value: {{ ternary "1" "0" $value | quote }}
{{- else if kindIs "float64" $value }}
  value: {{ ternary (int64 $value | toString) (toString $value) (eq (float64 (int64 $value)) $value) | quote }}
{{- else }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- end -}}

{{/* docker-mailserver's environment: what follows from other values, then the user's. */}}
{{- define "postern.environment" -}}
{{- $env := dict "OVERRIDE_HOSTNAME" .Values.mailserver.hostname -}}
{{- with .Values.listeners -}}
{{- $_ := set $env "ENABLE_IMAP" (or .imap.enabled .imaps.enabled) -}}
{{- $_ := set $env "ENABLE_POP3" (or .pop3.enabled .pop3s.enabled) -}}
{{- $_ := set $env "ENABLE_MANAGESIEVE" .sieve.enabled -}}
{{- end -}}
{{- if .Values.mailserver.smtpOnly -}}
{{- $_ := set $env "SMTP_ONLY" true -}}
{{- end -}}
{{- if .Values.mailserver.fail2ban -}}
{{- $_ := set $env "ENABLE_FAIL2BAN" true -}}
{{- end -}}
{{- if has .Values.tls.source (list "certManager" "existingSecret") -}}
{{- $_ := set $env "SSL_TYPE" "manual" -}}
{{- $_ := set $env "SSL_CERT_PATH" (printf "%s/tls.crt" (include "postern.tlsFolder" .)) -}}
{{- $_ := set $env "SSL_KEY_PATH" (printf "%s/tls.key" (include "postern.tlsFolder" .)) -}}
{{- end -}}
{{- range $name, $value := .Values.mailserver.env -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $env $name $value }}{{ end -}}
{{- end -}}
{{- range $name, $value := $env }}
{{ include "postern.variable" (list $name $value) }}
{{- end }}
{{- end -}}

{{- define "postern.containerPorts" -}}
{{- $inPlace := eq .Values.portMode "inPlace" -}}
{{- range include "postern.listeners" . | fromJsonArray }}
- name: {{ .name }}
  containerPort: {{ int .stock }}
  protocol: TCP
  {{- if and .hostPort $inPlace }}
  hostPort: {{ int .hostPort }}
  {{- end }}
{{- if not $inPlace }}
- name: {{ .twinName }}
  containerPort: {{ int .twin }}
  protocol: TCP
  {{- with .hostPort }}
  hostPort: {{ int . }}
  {{- end }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.enabled (eq .Values.mode "entrypoint") }}
- name: metrics
  containerPort: {{ int .Values.metrics.port }}
  protocol: TCP
{{- end }}
{{- with .Values.mailserver.extraPorts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The probes that a running postern answers: its program. */}}
{{- define "postern.runningProbes" -}}
readiness:
  exec: {command: [{{ . }}, probe, --ready]}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 3
liveness:
  exec: {command: [{{ . }}, probe, --live]}
  periodSeconds: 20
  timeoutSeconds: 6
  failureThreshold: 6
{{- end -}}

{{/* Each of the mode's probes of the mail container, or the user's instead. */}}
{{- define "postern.mailserverProbes" -}}
{{- $program := printf "%s/postern" (include "postern.binFolder" .) -}}
{{- $probes := dict -}}
{{- if eq .Values.mode "entrypoint" -}}
{{- $probes = include "postern.runningProbes" $program | fromYaml -}}
{{- else if eq .Values.mode "init" -}}
{{- $exec := dict "command" (list $program "probe" "--header" "local" "--quick" "--timeout" "5") -}}
{{- $_ := set $probes "startup" (dict "exec" $exec "periodSeconds" 5 "timeoutSeconds" 7 "failureThreshold" 60) -}}
{{- $_ := set $probes "readiness" (dict "exec" $exec "periodSeconds" 20 "timeoutSeconds" 7 "failureThreshold" 3) -}}
{{- $_ := set $probes "liveness" (dict "exec" $exec "periodSeconds" 60 "timeoutSeconds" 7 "failureThreshold" 10) -}}
{{- end -}}
{{- range $name, $probe := .Values.mailserver.probes -}}
{{- if not (kindIs "invalid" $probe) }}{{ $_ := set $probes $name $probe }}{{ end -}}
{{- end -}}
{{- range $name := list "startup" "readiness" "liveness" }}
{{- with get $probes $name }}
{{ $name }}Probe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
"true" if the container in which postern runs gets NET_ADMIN for the gate.  Pod Security's "baseline" refuses it, so
nobody has it unasked: neither the mail container, nor, on the node's network, anybody.  The sidecar's SYS_PTRACE is
refused there anyhow.
*/}}
{{- define "postern.gateGetsCapability" -}}
{{- if eq .Values.postern.gate "require" -}}true
{{- else if and (eq .Values.postern.gate "auto") (eq .Values.mode "sidecar") (not .Values.hostNetwork) -}}true
{{- end -}}
{{- end -}}

{{/* What docker-mailserver needs, and within Pod Security's "baseline" but for Fail2ban's and the gate's.  Else postern has enough of it. */}}
{{- define "postern.mailserverSecurityContext" -}}
{{- if .Values.mailserver.securityContext -}}
{{ toYaml .Values.mailserver.securityContext }}
{{- else -}}
{{- $add := list "CHOWN" "DAC_OVERRIDE" "FOWNER" "KILL" "MKNOD" "NET_BIND_SERVICE" "SETGID" "SETUID" "SYS_CHROOT" -}}
{{- if .Values.mailserver.fail2ban }}{{ $add = concat $add (list "NET_ADMIN" "NET_RAW") -}}
{{- else if and (ne .Values.mode "sidecar") (include "postern.gateGetsCapability" .) }}{{ $add = append $add "NET_ADMIN" -}}
{{- end -}}
runAsUser: 0
runAsGroup: 0
privileged: false
readOnlyRootFilesystem: false
allowPrivilegeEscalation: true # Postfix's postdrop is set-gid
capabilities:
  drop: [ALL]
  add: {{ toJson $add }}
{{- end }}
{{- end -}}

{{- define "postern.mailserver" -}}
name: mailserver
image: {{ include "postern.mailserverImage" . }}
imagePullPolicy: {{ .Values.mailserver.image.pullPolicy }}
{{- if eq .Values.mode "entrypoint" }}
command:
  - {{ include "postern.binFolder" . }}/postern
  {{- include "postern.globalOptions" . | nindent 2 }}
  - run
  {{- with .Values.postern.runOptions }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  - --
args:
  {{- toYaml .Values.postern.command | nindent 2 }}
{{- end }}
env:
  {{- include "postern.environment" . | trim | nindent 2 }}
{{- with .Values.mailserver.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  {{- include "postern.containerPorts" . | trim | nindent 2 }}
{{- include "postern.mailserverProbes" . }}
{{- with .Values.mailserver.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.mailserver.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.mailserver.resizePolicy }}
resizePolicy:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "postern.mailserverSecurityContext" . | nindent 2 }}
volumeMounts:
  {{- if ne .Values.mode "sidecar" }}
  - name: postern-binary
    mountPath: {{ include "postern.binFolder" . }}
    readOnly: true
  - name: postern-config
    mountPath: /etc/postern
    readOnly: true
  {{- end }}
  - name: config-files
    mountPath: {{ include "postern.configFolder" . }}
    readOnly: true
  {{- if has .Values.tls.source (list "certManager" "existingSecret") }}
  - name: tls
    mountPath: {{ include "postern.tlsFolder" . }}
    readOnly: true
  {{- end }}
  {{- include "postern.dataMounts" (dict "root" . "names" (list "data" "state" "log" "config")) | trim | nindent 2 }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Mounts of the claims by name.  The folder of the configuration is there in any case. */}}
{{- define "postern.dataMounts" -}}
{{- $persistence := .root.Values.persistence -}}
{{- $paths := dict "data" "/var/mail" "state" "/var/mail-state" "log" "/var/log/mail" "config" (include "postern.dmsFolder" .root) -}}
{{- range .names }}
{{- $claim := get $persistence . }}
{{- if or $claim.enabled (eq . "config") }}
- name: {{ ternary "shared" . (and $claim.enabled $persistence.shared.enabled) }}
  mountPath: {{ get $paths . }}
  {{- if $claim.enabled }}
  {{- with $claim.subPath | default (ternary . "" $persistence.shared.enabled) }}
  subPath: {{ . }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Brings the binary, and for the mode "init" the hook.  /postern is a file in this image, so the folder is elsewhere. */}}
{{- define "postern.install" -}}
name: postern-install
image: {{ include "postern.posternImage" . }}
imagePullPolicy: {{ .Values.postern.image.pullPolicy }}
args:
  {{- if eq .Values.mode "init" }}
  {{- include "postern.globalOptions" . | nindent 2 }}
  - install
  - --at
  - {{ include "postern.binFolder" . }}
  - --user-patches
  - {{ include "postern.dmsFolder" . }}/user-patches.own.sh
  {{- else }}
  - install
  - --no-hook
  {{- end }}
  - /shared
{{- with .Values.postern.initResources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
volumeMounts:
  - name: postern-binary
    mountPath: /shared
{{- end -}}

{{/* Links the configured files, see files/prepare.sh. */}}
{{- define "postern.prepare" -}}
name: prepare
image: {{ include "postern.mailserverImage" . }}
imagePullPolicy: {{ .Values.mailserver.image.pullPolicy }}
command:
  - /bin/bash
  - -c
  - |
    {{- .Files.Get "files/prepare.sh" | trim | nindent 4 }}
args:
  - prepare.sh
  - {{ include "postern.configFolder" . }}
  - {{ include "postern.dmsFolder" . }}
  {{- if eq .Values.mode "init" }}
  - {{ include "postern.binFolder" . }}/user-patches.sh
  {{- end }}
resources:
  requests: {cpu: 10m, memory: 16Mi}
  limits: {memory: 64Mi}
securityContext:
  runAsUser: 0
  runAsGroup: 0
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
    add: [DAC_OVERRIDE]
volumeMounts:
  - name: config-files
    mountPath: {{ include "postern.configFolder" . }}
    readOnly: true
  {{- include "postern.dataMounts" (dict "root" . "names" (list "config")) | trim | nindent 2 }}
{{- end -}}

{{/* The sidecar, native or not. */}}
{{- define "postern.sidecar" -}}
name: postern
image: {{ include "postern.posternImage" . }}
imagePullPolicy: {{ .Values.postern.image.pullPolicy }}
{{- if include "postern.isNativeSidecar" . }}
restartPolicy: Always
{{- end }}
args:
  {{- include "postern.globalOptions" . | nindent 2 }}
  - watch
{{- if .Values.metrics.enabled }}
ports:
  - name: metrics
    containerPort: {{ int .Values.metrics.port }}
    protocol: TCP
{{- end }}
{{- range $name, $probe := include "postern.runningProbes" "/postern" | fromYaml }}
{{ $name }}Probe:
  {{- toYaml $probe | nindent 2 }}
{{- end }}
{{- with .Values.postern.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- if .Values.postern.securityContext }}
  {{- toYaml .Values.postern.securityContext | nindent 2 }}
  {{- else }}
  runAsUser: 0
  runAsGroup: 0
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
    add: [CHOWN, DAC_OVERRIDE, FOWNER, KILL, {{ if include "postern.gateGetsCapability" . }}NET_ADMIN, {{ end }}NET_BIND_SERVICE, SYS_CHROOT, SYS_PTRACE]
  {{- end }}
volumeMounts:
  - name: postern-config
    mountPath: /etc/postern
    readOnly: true
  - name: postern-run
    mountPath: /run/postern
{{- end -}}

{{/* A projected volume's source: its kind (configMap, secret) and a reference of the values. */}}
{{- define "postern.projection" -}}
- {{ index . 0 }}:
    {{- toYaml (index . 1) | nindent 4 }}
{{- end -}}

{{- define "postern.volumes" -}}
- name: postern-config
  configMap:
    name: {{ .Values.postern.existingConfigMap | default (printf "%s-postern" (include "postern.fullname" .)) }}
{{- if eq .Values.mode "sidecar" }}
- name: postern-run
  emptyDir:
    medium: Memory
    sizeLimit: 16Mi
{{- else }}
- name: postern-binary
  emptyDir:
    sizeLimit: 16Mi
{{- end }}
- name: config-files
  projected:
    defaultMode: {{ int .Values.config.defaultMode }}
    sources:
      - configMap:
          name: {{ include "postern.fullname" . }}-config
      {{- with include "postern.treeItems" .Values.config.files | fromJsonArray }}
      - configMap:
          name: {{ include "postern.fullname" $ }}-config-folders
          items: {{- toYaml . | nindent 12 }}
      {{- end }}
      {{- if .Values.config.secretFiles }}
      - secret:
          name: {{ include "postern.fullname" . }}-config
      {{- with include "postern.treeItems" .Values.config.secretFiles | fromJsonArray }}
      - secret:
          name: {{ include "postern.fullname" $ }}-config-folders
          items: {{- toYaml . | nindent 12 }}
      {{- end }}
      {{- end }}
      {{- range .Values.config.existingConfigMaps }}
      {{- include "postern.projection" (list "configMap" .) | nindent 6 }}
      {{- end }}
      {{- range .Values.config.existingSecrets }}
      {{- include "postern.projection" (list "secret" .) | nindent 6 }}
      {{- end }}
{{- if has .Values.tls.source (list "certManager" "existingSecret") }}
- name: tls
  secret:
    secretName: {{ include "postern.tlsSecretName" . }}
    defaultMode: 0400
{{- end }}
{{- $persistence := .Values.persistence }}
{{- if $persistence.shared.enabled }}
- name: shared
  persistentVolumeClaim:
    claimName: {{ $persistence.shared.existingClaim | default (include "postern.fullname" .) }}
{{- end }}
{{- range $name := list "data" "state" "log" "config" }}
{{- $claim := get $persistence $name }}
{{- if and $claim.enabled (not $persistence.shared.enabled) }}
- name: {{ $name }}
  persistentVolumeClaim:
    claimName: {{ $claim.existingClaim | default (printf "%s-%s" (include "postern.fullname" $) $name) }}
{{- else if and (eq $name "config") (not $claim.enabled) }}
- name: config
  emptyDir:
    sizeLimit: 100Mi
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
What the pod reads at its start only, as text: the files, less those that postern or docker-mailserver read again
when they change.  Of docker-mailserver's own the names count: a new one has no link yet.
*/}}
{{- define "postern.atStart" -}}
{{- $overrides := list "postfix-main.cf" "postfix-master.cf" "dovecot.cf" -}}
{{- $watched := list "postfix-accounts.cf" "postfix-virtual.cf" "postfix-regexp.cf" "postfix-aliases.cf" "postfix-relaymap.cf" "postfix-sasl-password.cf" "dovecot-quotas.cf" "dovecot-masters.cf" -}}
{{- $isInit := eq .Values.mode "init" -}}
{{- range $kind := list "files" "secretFiles" -}}
{{- range $path, $content := get $.Values.config $kind -}}
{{- if has $path $watched }}
{{ $kind }} {{ $path }}
{{- else if or $isInit (not (has $path $overrides)) }}
{{ $kind }} {{ $path }} {{ $content }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $isInit }}
{{ include "postern.conf" . }}
{{- else if eq .Values.postern.gate "off" }}
without a gate postern gives up NET_ADMIN
{{- end -}}
{{- end -}}

{{/* Files in sub-folders, as a JSON list of items: a key cannot hold a slash. */}}
{{- define "postern.treeItems" -}}
{{- $items := list -}}
{{- range $path, $content := . -}}
{{- if contains "/" $path }}{{ $items = append $items (dict "key" (replace "/" "__" $path) "path" $path) }}{{ end -}}
{{- end -}}
{{- toJson $items -}}
{{- end -}}

{{/* Files as data of a ConfigMap or Secret: a list of files, and whether those in sub-folders are meant.  Each ends in a line feed, and no line in CR LF, else docker-mailserver tries to change that, which undoes the link. */}}
{{- define "postern.fileData" -}}
{{- $inFolders := index . 1 -}}
{{- $data := dict -}}
{{- range $path, $content := index . 0 -}}
{{- if eq (contains "/" $path) $inFolders -}}
{{- $_ := set $data (replace "/" "__" $path) (printf "%s\n" ($content | replace "\r\n" "\n" | trimSuffix "\n")) -}}
{{- end -}}
{{- end -}}
{{- with $data }}{{ toYaml . }}{{ end -}}
{{- end -}}
