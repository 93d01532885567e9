"""Mistral's chat template as text: Jinja for GGUF files, Go's text/template for Ollama.

By version of the tekken file. mistral-common renders it from code, so that there is no template to
copy; tests compare the Jinja form with `MistralTokenizer`, token by token.
"""

from collections.abc import Mapping

JINJA_V7 = """\
{{- bos_token }}
{%- set ns = namespace(last_user=-1) %}
{%- for message in messages %}
    {%- if message.role == "user" %}{% set ns.last_user = loop.index0 %}{% endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.role == "system" %}
        {{- "[SYSTEM_PROMPT]" + message.content + "[/SYSTEM_PROMPT]" }}
    {%- elif message.role == "user" %}
        {%- if tools and loop.index0 == ns.last_user %}
            {{- "[AVAILABLE_TOOLS]" + (tools | tojson) + "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {{- "[INST]" + message.content + "[/INST]" }}
    {%- elif message.role == "assistant" %}
        {{- message.content or "" }}
        {%- if message.tool_calls %}
            {{- "[TOOL_CALLS][" }}
            {%- for call in message.tool_calls %}
                {%- set arguments = call.function.arguments %}
                {{- '{"name": "' + call.function.name + '", "arguments": ' }}
                {{- arguments if arguments is string else arguments | tojson }}
                {{- ', "id": "' + call.id + '"}' }}
                {{- "" if loop.last else ", " }}
            {%- endfor %}
            {{- "]" }}
        {%- endif %}
        {{- eos_token }}
    {%- elif message.role == "tool" %}
        {{- "[TOOL_RESULTS]" + message.tool_call_id + "[TOOL_CONTENT]" }}
        {{- message.content + "[/TOOL_RESULTS]" }}
    {%- endif %}
{%- endfor %}
"""
JINJA_TEMPLATES: Mapping[str, str] = {"v7": JINJA_V7}

GO_V7 = """\
{{- $lastUser := -1 }}
{{- range $index, $message := .Messages }}
{{- if eq $message.Role "user" }}{{ $lastUser = $index }}{{ end }}
{{- end }}
{{- range $index, $message := .Messages }}
{{- if eq $message.Role "system" }}[SYSTEM_PROMPT]{{ $message.Content }}[/SYSTEM_PROMPT]
{{- else if eq $message.Role "user" }}
{{- if and $.Tools (eq $index $lastUser) }}[AVAILABLE_TOOLS]{{ $.Tools }}[/AVAILABLE_TOOLS]
{{- end }}[INST]{{ $message.Content }}[/INST]
{{- else if eq $message.Role "assistant" }}{{ $message.Content }}
{{- if $message.ToolCalls }}[TOOL_CALLS][
{{- range $place, $call := $message.ToolCalls }}{{ if $place }}, {{ end }}
{{- /* */ -}}
{"name": "{{ $call.Function.Name }}", "arguments": {{ $call.Function.Arguments }}}
{{- end }}]
{{- end }}
{{- if lt 1 (len (slice $.Messages $index)) }}</s>{{ end }}
{{- else if eq $message.Role "tool" }}[TOOL_RESULTS]{{ $message.Content }}[/TOOL_RESULTS]
{{- end }}
{{- end }}"""
GO_TEMPLATES: Mapping[str, str] = {"v7": GO_V7}
"""Ollama puts the first token there by itself. Its messages have no ids of calls."""
