"""The theme: warm neutrals, one orange accent, the reader's own system fonts."""

from pathlib import Path
from types import MappingProxyType
from typing import Final

import gradio as gr

ASSETS = Path(__file__).parent / "assets"
STYLESHEET = ASSETS / "page.css"
FAVICON = ASSETS / "favicon.svg"

EMBER = gr.themes.Color(
    name="ember",
    c50="#fff6ee",
    c100="#ffe9d5",
    c200="#fecfaa",
    c300="#fcae74",
    c400="#f9873e",
    c500="#f06a1a",
    c600="#c94d0a",
    c700="#a83f0b",
    c800="#87340f",
    c900="#6d2d10",
    c950="#3b1405",
)
SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "Liberation Mono")


VALUES: Final = MappingProxyType(
    {
        "body_background_fill": "#fbfaf8",
        "body_background_fill_dark": "#171513",
        "body_text_color": "*neutral_800",
        "body_text_color_dark": "#e9e5e0",
        "body_text_color_subdued": "#6f6963",
        "body_text_color_subdued_dark": "#a39c94",
        "background_fill_primary": "#ffffff",
        "background_fill_primary_dark": "#211e1b",
        "background_fill_secondary": "#f5f2ee",
        "background_fill_secondary_dark": "#1c1a17",
        "border_color_primary": "#e6e1da",
        "border_color_primary_dark": "#36322d",
        "color_accent_soft": "*primary_50",
        "color_accent_soft_dark": "#33241a",
        "link_text_color": "*primary_700",
        "link_text_color_dark": "*primary_300",
        "block_border_width": "0px",
        "block_background_fill": "transparent",
        "block_background_fill_dark": "transparent",
        "block_shadow": "none",
        "block_padding": "0px",
        "block_label_text_size": "*text_sm",
        "block_title_text_weight": "600",
        "block_title_text_size": "*text_sm",
        "block_title_text_color": "*body_text_color",
        "block_info_text_size": "*text_xs",
        "block_info_text_color": "*body_text_color_subdued",
        "input_background_fill": "#ffffff",
        "input_background_fill_dark": "#211e1b",
        "input_border_color": "#ddd7cf",
        "input_border_color_dark": "#3d3833",
        "input_border_color_focus": "*primary_500",
        "input_border_color_focus_dark": "*primary_400",
        "input_shadow_focus": "0 0 0 3px rgb(240 106 26 / 0.18)",
        "input_shadow_focus_dark": "0 0 0 3px rgb(249 135 62 / 0.22)",
        "slider_color": "*primary_500",
        "slider_color_dark": "*primary_400",
        "button_primary_background_fill": "*primary_600",
        "button_primary_background_fill_dark": "*primary_600",
        "button_primary_background_fill_hover": "*primary_700",
        "button_primary_background_fill_hover_dark": "*primary_700",
        "button_primary_text_color": "#ffffff",
        "button_secondary_background_fill": "*background_fill_primary",
        "button_secondary_background_fill_hover": "*background_fill_secondary",
        "button_secondary_background_fill_dark": "*background_fill_primary",
        "button_secondary_background_fill_hover_dark": "#36322d",
        "button_secondary_border_color": "*border_color_primary",
        "button_secondary_border_color_dark": "*border_color_primary",
        "button_border_width": "1px",
        "button_large_text_weight": "500",
        "button_small_text_weight": "500",
        "code_background_fill": "#f5f2ee",
        "code_background_fill_dark": "#171513",
    }
)


def theme() -> gr.themes.Base:
    """Gradio's base theme in our colours; the rest is in the stylesheet."""
    base = gr.themes.Base(
        primary_hue=EMBER,
        secondary_hue=EMBER,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
        font=SANS,
        font_mono=(*MONO, "monospace"),
    )
    return base.set(**VALUES)
