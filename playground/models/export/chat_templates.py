"""Mistral's chat template as text: Jinja for GGUF files, Go's text/template for Ollama.

By version of the tekken file. mistral-common renders it from code, so that there is no template to
copy; tests compare the Jinja form with `MistralTokenizer`, token by token.
"""

import json
from collections.abc import Mapping

_SYSTEM = """\
    {%- if message.role == "system" %}
        {{- "[SYSTEM_PROMPT]" + message.content + "[/SYSTEM_PROMPT]" }}
    {%- elif message.role == "user" %}"""
_SYSTEM_V3 = """\
    {%- if message.role == "user" %}"""
_IN_QUESTION_V3 = """\
        {%- if loop.index0 == ns.last_user and ns.system %}{{ ns.system + "\\n\\n" }}{% endif %}
"""
_CALLS = """\
            {{- "[TOOL_CALLS][" }}
            {%- for call in message.tool_calls %}
                {%- set arguments = call.function.arguments %}
                {{- '{"name": "' + call.function.name + '", "arguments": ' }}
                {{- arguments if arguments is string else arguments | tojson }}
                {{- ', "id": "' + call.id + '"}' }}
                {{- "" if loop.last else ", " }}
            {%- endfor %}
            {{- "]" }}"""
_CALLS_V13 = """\
            {%- for call in message.tool_calls %}
                {%- set arguments = call.function.arguments %}
                {{- "[TOOL_CALLS]" + call.function.name + "[ARGS]" }}
                {{- arguments if arguments is string else arguments | tojson }}
            {%- endfor %}"""
_CALLS_V11 = _CALLS_V13.replace('+ "[ARGS]"', '+ "[CALL_ID]" + call.id + "[ARGS]"')
_RESULT = """\
        {{- "[TOOL_RESULTS]" + message.tool_call_id + "[TOOL_CONTENT]" }}
        {{- message.content + "[/TOOL_RESULTS]" }}"""
_RESULT_V13 = """\
        {{- "[TOOL_RESULTS]" + message.content + "[/TOOL_RESULTS]" }}"""
_RESULT_V3 = """\
        {{- '[TOOL_RESULTS]{"content": ' }}
        {{- message.content if message.content[:1] in ("{", "[") else message.content | tojson }}
        {{- ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}"""
_THINKING_V13 = """\
        {%- if message.reasoning_content %}
            {{- "[THINK]" + message.reasoning_content + "[/THINK]" }}
        {%- endif %}
"""


_SETTINGS_V15 = """\
        {%- if loop.index0 == ns.first_user %}
            {%- set wanted = reasoning_effort if reasoning_effort is defined else DEFAULT %}
            {%- set effort = '"reasoning_effort": "' + wanted + '"' if wanted else "" %}
            {%- set schema = "" %}
            {%- if json_schema is defined and json_schema %}
                {%- set schema = '"json_schema": ' + (json_schema | tojson) %}
            {%- endif %}
            {%- if effort or schema %}
                {{- "[MODEL_SETTINGS]{" + schema }}
                {{- (", " if schema and effort else "") + effort + "}[/MODEL_SETTINGS]" }}
            {%- endif %}
        {%- endif %}
"""


def _jinja(
    calls: str,
    result: str,
    system: str = _SYSTEM,
    question: str = "",
    thinking: str = "",
    tools_at: str = "last_user",
    settings: str = "",
) -> str:
    return f"""\
{{{{- bos_token }}}}
{{%- set ns = namespace(first_user=-1, last_user=-1, system="") %}}
{{%- for message in messages %}}
    {{%- if message.role == "user" %}}
        {{%- if ns.first_user < 0 %}}{{% set ns.first_user = loop.index0 %}}{{% endif %}}
        {{%- set ns.last_user = loop.index0 %}}
    {{%- endif %}}
    {{%- if message.role == "system" %}}{{% set ns.system = message.content %}}{{% endif %}}
{{%- endfor %}}
{{%- for message in messages %}}
{system}
        {{%- if tools and loop.index0 == ns.{tools_at} %}}
            {{{{- "[AVAILABLE_TOOLS]" + (tools | tojson) + "[/AVAILABLE_TOOLS]" }}}}
        {{%- endif %}}
{settings}        {{{{- "[INST]" }}}}
{question}        {{{{- message.content + "[/INST]" }}}}
    {{%- elif message.role == "assistant" %}}
{thinking}        {{{{- message.content or "" }}}}
        {{%- if message.tool_calls %}}
{calls}
        {{%- endif %}}
        {{{{- eos_token }}}}
    {{%- elif message.role == "tool" %}}
{result}
    {{%- endif %}}
{{%- endfor %}}
"""


JINJA_TEMPLATES: Mapping[str, str] = {
    "v3": _jinja(_CALLS, _RESULT_V3, _SYSTEM_V3, _IN_QUESTION_V3),
    "v7": _jinja(_CALLS, _RESULT),
    "v11": _jinja(_CALLS_V11, _RESULT),
    "v13": _jinja(_CALLS_V13, _RESULT_V13, thinking=_THINKING_V13, tools_at="first_user"),
}
"""Arguments of calls, and v3's results that are JSON, are written as they come: mistral-common's
spaces between their keys are not made."""


def settings_template(default_effort: str | None) -> str:
    """Return version 15's template for a file with this default of ``reasoning_effort``.

    ``reasoning_effort`` and ``json_schema`` are variables of it, as of the model's settings.
    """
    return _jinja(
        _CALLS_V13,
        _RESULT_V13,
        thinking=_THINKING_V13,
        tools_at="first_user",
        settings=_SETTINGS_V15.replace("DEFAULT", json.dumps(default_effort or "")),
    )


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
_GO_CALLS_V7 = GO_V7[GO_V7.index("[TOOL_CALLS][") : GO_V7.index("{{- if lt 1")]
_GO_FIRST = 'if and (eq $message.Role "user") (lt $lastUser 0) }}{{ $lastUser'
_GO_CALLS_V13 = """
{{- range $place, $call := $message.ToolCalls }}[TOOL_CALLS]{{ $call.Function.Name }}[ARGS]
{{- $call.Function.Arguments }}
{{- end }}
{{- end }}
"""
GO_V11 = GO_V7.replace(_GO_CALLS_V7, _GO_CALLS_V13)
GO_V13 = GO_V11.replace('if eq $message.Role "user" }}{{ $lastUser', _GO_FIRST, 1).replace(
    "$lastUser", "$firstUser"
)
GO_TEMPLATES: Mapping[str, str] = {"v7": GO_V7, "v11": GO_V11, "v13": GO_V13}
"""Ollama puts the first token there by itself. Its messages have no ids of calls; v11's are left
out, which its models may do, too."""
