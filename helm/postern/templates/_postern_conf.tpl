{{/* postern.conf(5) of these values. */}}

{{- define "postern.confString" -}}
"{{ . | toString | replace "\\" "\\\\" | replace "\"" "\\\"" }}"
{{- end -}}

{{- define "postern.confServer" -}}
{{- range . }}
{{- if .enabled }}
  listener {{ .name }} { port = {{ int .twinPort }} }
{{- else }}
  listener {{ .name }} { enable = false }
{{- end }}
{{- end }}
{{- end -}}

{{- define "postern.conf" -}}
{{- $networks := list -}}
{{- range include "postern.trustedNetworks" . | fromJsonArray -}}
{{- $networks = append $networks (include "postern.confString" .) -}}
{{- end -}}
# Made by the Helm chart {{ .Chart.Name }}.  A change takes effect {{ ternary "at the next start of the pod" "without a restart" (eq .Values.mode "init") }}.
trusted-networks = { {{ join ", " $networks }} }
{{- if .Values.allowAnyNetwork }}
allow-any-network = true
{{- end }}
mode = {{ ternary "\"in-place\"" "\"separate\"" (eq .Values.portMode "inPlace") }}
gate = "{{ .Values.postern.gate }}"
resync = {{ int .Values.postern.resync }}
{{- if .Values.metrics.enabled }}
listen = "{{ .Values.metrics.address }}:{{ int .Values.metrics.port }}"
{{- end }}

postfix {
{{- range $name := list "smtp" "submission" "submissions" }}
{{- include "postern.confServer" (list (merge (dict "name" $name) (get $.Values.listeners $name))) }}
{{- end }}
{{- range $name, $listener := .Values.extraListeners }}
{{- include "postern.confServer" (list (mergeOverwrite (dict "name" ($listener.stockPort | int | toString) "enabled" true) $listener)) }}
{{- end }}
}

dovecot {
{{- if .Values.mailserver.smtpOnly }}
  enable = false
{{- else }}
{{- range $name := list "imap" "imaps" "pop3" "pop3s" "sieve" }}
{{- include "postern.confServer" (list (merge (dict "name" $name) (get $.Values.listeners $name))) }}
{{- end }}
{{- end }}
}

# What is in the claim, and over it what is configured.
overrides "{{ include "postern.dmsFolder" . }}" { }
overrides "{{ include "postern.configFolder" . }}" { }
{{- range .Values.postern.watch }}
{{- $servers := list }}
{{- range .reload }}{{ $servers = append $servers (printf "%q" .) }}{{ end }}
watch {{ include "postern.confString" .path }} { reload = { {{ join ", " $servers }} } }
{{- end }}
{{- with .Values.postern.extraConfig }}
{{ . }}
{{- end }}
{{ end -}}
