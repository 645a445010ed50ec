"""The look of the desk, as Gradio's theme: the same paper, ink and accent as in static/desk.css."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.themes.utils import fonts

STATIC = Path(__file__).parent / "static"
CSS = STATIC / "desk.css"
SCRIPT = STATIC / "page.js"
STORAGE = STATIC / "storage.js"  # of the head: to be run before all else
ICON = STATIC / "icon.png"

ACCENT = gr.themes.Color(
    name="vermilion",
    c50="#fdf4f1",
    c100="#f7e6e1",
    c200="#efcabf",
    c300="#e4a595",
    c400="#f08266",
    c500="#cf5238",
    c600="#b8412b",
    c700="#9a3524",
    c800="#7a2c1f",
    c900="#5b231a",
    c950="#3a1812",
)


def theme() -> gr.themes.Base:
    """Gradio's base theme with this desk's colours, type and corners."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=[
            # Regular and bold: of the fonts that come with Gradio, most other weights have no Latin letters.
            fonts.LocalFont("IBM Plex Sans", weights=(400, 700)),
            "system-ui",
            "sans-serif",
        ],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_background_fill="var(--paper)",
        body_background_fill_dark="var(--paper)",
        body_text_color="var(--ink)",
        body_text_color_dark="var(--ink)",
        body_text_color_subdued="var(--soft)",
        body_text_color_subdued_dark="var(--soft)",
        background_fill_primary="var(--card)",
        background_fill_primary_dark="var(--card)",
        background_fill_secondary="var(--sunk)",
        background_fill_secondary_dark="var(--sunk)",
        border_color_primary="var(--line)",
        border_color_primary_dark="var(--line)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_text_color="var(--soft)",
        block_label_text_color_dark="var(--soft)",
        block_title_text_color="var(--soft)",
        block_title_text_color_dark="var(--soft)",
        block_title_text_weight="400",
        block_padding="0px",
        input_background_fill="var(--card)",
        input_background_fill_dark="var(--card)",
        input_border_color="var(--line)",
        input_border_color_dark="var(--line)",
        input_border_width="1px",
        input_border_color_focus="var(--accent)",
        input_border_color_focus_dark="var(--accent)",
        button_primary_background_fill="var(--accent)",
        button_primary_background_fill_dark="var(--accent)",
        button_primary_background_fill_hover="color-mix(in srgb, var(--accent) 88%, var(--ink))",
        button_primary_background_fill_hover_dark="color-mix(in srgb, var(--accent) 88%, var(--ink))",
        button_primary_text_color="var(--accent-ink)",
        button_primary_text_color_dark="var(--accent-ink)",
        button_primary_border_color="transparent",
        button_primary_border_color_dark="transparent",
        button_secondary_background_fill="var(--sunk)",
        button_secondary_background_fill_dark="var(--sunk)",
        button_secondary_background_fill_hover="var(--shade-1)",
        button_secondary_background_fill_hover_dark="var(--shade-1)",
        button_secondary_text_color="var(--ink)",
        button_secondary_text_color_dark="var(--ink)",
        button_secondary_border_color="transparent",
        button_secondary_border_color_dark="transparent",
        button_large_radius="var(--radius-lg)",
        color_accent_soft="var(--accent-soft)",
        color_accent_soft_dark="var(--accent-soft)",
        panel_background_fill="transparent",
        panel_background_fill_dark="transparent",
        panel_border_width="0px",
        shadow_drop="none",
        layout_gap="16px",
        checkbox_label_background_fill="transparent",
        checkbox_label_background_fill_dark="transparent",
        checkbox_label_background_fill_hover="var(--sunk)",
        checkbox_label_background_fill_hover_dark="var(--sunk)",
        checkbox_label_background_fill_selected="transparent",
        checkbox_label_background_fill_selected_dark="transparent",
        checkbox_label_border_width="0px",
        checkbox_label_border_width_dark="0px",
        checkbox_label_padding="6px 10px 6px 0",
        link_text_color="var(--accent)",
        link_text_color_dark="var(--accent)",
        table_even_background_fill="var(--sunk)",
        table_even_background_fill_dark="var(--sunk)",
        table_odd_background_fill="var(--sunk)",
        table_odd_background_fill_dark="var(--sunk)",
        slider_color="var(--accent)",
        slider_color_dark="var(--accent)",
    )
