"""Previews of training rows as HTML, for `finetune preview --html` and notebooks."""

from collections.abc import Sequence

from jinja2 import Environment
from markupsafe import Markup

from finetune.data.preview import ExamplePreview

STYLE = """
body { font: 15px/1.6 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
.example { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #8884;
  border-radius: 8px; padding: 12px 16px; }
.trained { background: #16a34a33; border-radius: 3px; }
.masked { opacity: .65; }
.control { font: .8em ui-monospace, monospace; border: 1px solid #8886; border-radius: 4px;
  padding: 0 4px; }
"""
FRAGMENT = """
{%- for preview in previews -%}
<p>Example {{ loop.index }}: {{ preview.num_trained_tokens }} of {{ preview.num_tokens }} tokens are
trained</p><div class="example">
{%- for span in preview.spans -%}
<span class="{{ 'trained' if span.is_trained else 'masked' }}{{ ' control' if span.is_control }}">
{{- span.text -}}
</span>
{%- endfor -%}
</div>
{%- endfor -%}
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Row {{ line }}</title>
<style>{{ style }}</style><h1>Row {{ line }}</h1>
<p><span class="trained">trained</span> · <span class="masked">masked</span></p>
{{ fragment }}</html>
"""


def html_fragment(previews: Sequence[ExamplePreview]) -> str:
    """Return the examples' markup without head and style."""
    return _render(FRAGMENT, previews=previews)


def html_page(line: int, previews: Sequence[ExamplePreview]) -> str:
    """Return a whole page, self-contained."""
    fragment = Markup(html_fragment(previews))  # escaped already
    return _render(PAGE, line=line, style=Markup(STYLE), fragment=fragment)


def _render(template: str, **values: object) -> str:
    return Environment(autoescape=True).from_string(template).render(values)
