{{- define "poolsite.labels" -}}
app.kubernetes.io/name: poolsite
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "poolsite.shared" -}}
{{ .Values.shared.existingClaim | default (printf "%s-shared" .Release.Name) }}
{{- end }}
