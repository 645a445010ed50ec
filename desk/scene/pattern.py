"""The attention pattern of a storyboard, drawn to scale as SVG: who sees whom, and who reads what."""

from __future__ import annotations

from html import escape

from holocine.plan import Plan
from holocine.timeline import ShotLayout

SIZE = 400  # of the drawings, in their own units
LEFT, TOP = 52, 2
_EXTRA = 1  # text tokens that a shot sees past the end of each span, as the released weights were run


def self_attention(plan: Plan, attention: str) -> str:
    """Rows are the video tokens that look, columns those that are seen, both to scale in latent frames."""
    from holocine.attention import AttentionSettings, shot_pattern

    layout = _layout(plan)
    settings = AttentionSettings.parse(attention)
    pattern = shot_pattern(layout, settings.mode, settings.summary)
    unit = SIZE / layout.num_latent_frames
    parts = [_rect("ground", 0, 0, SIZE, SIZE)]
    start = 0
    for number, (length, shown) in enumerate(zip(pattern.group_lengths, pattern.summaries, strict=True), start=1):
        whole = settings.mode == "full"
        title = "Every frame sees every frame" if whole else f"Shot {number} sees all of itself: {length} latent frames"
        parts.append(_rect("own", start * unit, start * unit, length * unit, length * unit, title))
        for frames in shown:
            left = (start + min(frames)) * unit
            title = f"Every shot sees the first latent frame of shot {number}"
            parts.append(_rect("summary", left, 0, unit * len(frames), SIZE, title))
        start += length
    parts += _lines(layout, unit) + _numbers(layout, unit)
    label = "Self-attention pattern: which video frames each shot sees"
    return _svg(label, parts)


def text_attention(plan: Plan) -> str:
    """Rows are the video tokens, columns the text tokens of the prompt, both to scale."""
    layout = _layout(plan)
    across, down = SIZE / max(1, plan.num_text_tokens), SIZE / layout.num_latent_frames
    parts = [_rect("ground", 0, 0, SIZE, SIZE)]
    first, last = plan.global_text_window
    for number, (top, length, shot) in enumerate(
        zip(layout.shot_starts, layout.shot_lengths, plan.shots, strict=True), start=1
    ):
        box = (top * down, length * down)
        title = f"Shot {number} reads the global caption: {last - first} tokens"
        parts.append(_rect("global", first * across, box[0], (last + _EXTRA - first) * across, box[1], title))
        begin, end = shot.text_window
        end = min(end + _EXTRA, plan.num_text_tokens)
        title = f"Shot {number} reads its own caption: {end - begin} tokens"
        parts.append(_rect("own", begin * across, box[0], (end - begin) * across, box[1], title))
    parts += [
        f'<line class="edge" x1="0" x2="{SIZE}" y1="{start * down:.2f}" y2="{start * down:.2f}"/>'
        for start in layout.shot_starts[1:]
    ]
    parts += _numbers(layout, down)
    label = "Text windows: which words each shot reads"
    return _svg(label, parts)


def _layout(plan: Plan) -> ShotLayout:
    return ShotLayout(tuple(shot.num_latent_frames for shot in plan.shots), 1, 1)


def _svg(label: str, parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {LEFT + SIZE + 4} {TOP + SIZE + 4}" role="img" aria-label="{escape(label)}">'
        f'<g transform="translate({LEFT} {TOP})">{"".join(parts)}</g></svg>'
    )


def _rect(kind: str, x: float, y: float, width: float, height: float, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect class="{kind}" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}">{inside}</rect>'


def _lines(layout: ShotLayout, unit: float) -> list[str]:
    lines = []
    for start in layout.shot_starts[1:]:
        at = f"{start * unit:.2f}"
        lines.append(f'<line class="edge" x1="0" x2="{SIZE}" y1="{at}" y2="{at}"/>')
        lines.append(f'<line class="edge" x1="{at}" x2="{at}" y1="0" y2="{SIZE}"/>')
    return lines


def _numbers(layout: ShotLayout, unit: float) -> list[str]:
    return [
        f'<text x="-8" y="{(start + length / 2) * unit + 4:.2f}" text-anchor="end">shot {number}</text>'
        for number, (start, length) in enumerate(zip(layout.shot_starts, layout.shot_lengths, strict=True), start=1)
        if length * unit >= 9
    ]
