"""The tab "How it works": the attention of the current storyboard, what it costs, and the licences."""

from __future__ import annotations

from html import escape

from desk.scene import pattern
from desk.scene.draft import Review
from holocine.plan import Plan

_KEY = '<span class="key"><i style="background:{}"></i>{}</span>'


def page(review: Review, attention: str) -> str:
    """The page as HTML; all that visitors wrote in it is escaped."""
    plan = review.plan
    if plan is None:
        why = escape(review.findings[0].text) if review.findings else ""
        return f'<div class="how"><p>There is nothing to draw yet. {why}</p>{_LICENCES}</div>'
    title = escape(plan.title or "Untitled scene")
    mode = attention.partition(":")[0]
    keys = _KEY.format("var(--block)", "its own shot")
    if mode == "sparse":
        keys += _KEY.format("var(--accent)", "the summary of every shot, its first latent frame")
    words = _KEY.format("var(--accent)", "the description of the scene")
    words += _KEY.format("var(--block)", "the shot’s own caption")
    return f"""<div class="how">
<p>One diffusion model makes all {len(plan.shots)} shots of <b>{title}</b> together, in one pass. What makes them one
scene, and keeps the cuts where you put them, is who may look at whom. Both drawings show your
storyboard to scale: rows look, columns are what they see.</p>
<div class="grid">
<section><h2>Shots look at each other</h2><p>{_MODES[mode]}</p><p>{keys}</p>
<figure>{pattern.self_attention(plan, attention)}</figure></section>
<section><h2>Shots read their own words</h2><p>A shot reads the description of the scene and its own caption, but not
the captions of other shots. That is why the picture changes exactly at the cut.</p><p>{words}</p>
<figure>{pattern.text_attention(plan)}</figure></section>
</div>
{_cost(plan)}
{_LICENCES}
</div>"""


_MODES = {
    "sparse": "Every shot sees all of itself, and of every shot its first latent frame: enough to keep a face, a hat "
    "or the light, at a small part of the cost.",
    "full": "Every frame sees every frame of the scene. Nothing is left out, and long scenes become very expensive.",
    "isolated": "Every shot sees itself only. It is the cheapest way, and nothing but the words keeps shots together.",
}


def _cost(plan: Plan) -> str:
    share = plan.attention_share
    return f"""<h2>What it costs</h2>
<p>At {plan.width} × {plan.height} pixels the scene has {plan.num_latent_frames} latent frames of
{plan.tokens_per_frame:,} tokens, {plan.num_tokens:,} in all. This attention compares
<b>{plan.attention_pairs:,}</b> pairs of tokens in each layer, where full attention compares
{plan.full_attention_pairs:,}.</p>
<div class="cost">
<span>This pattern</span><i class="sparse" style="width:{100 * share:.1f}%"></i><b>{share:.0%}</b>
<span>Full attention</span><i style="width:100%"></i><b>100%</b>
</div>
<p class="soft">The longer the scene and the more shots it has, the larger the difference: the cost of full attention
grows with the square of the scene, this one with the square of a shot.</p>"""


_WORKS = {
    "The method": "HoloCine, arXiv 2510.20822 (CVPR 2026)",
    "This desk and its code": "Apache-2.0",
    "The embedded model and its puppet theatre": "Apache-2.0; made from nothing but the theatre’s own renderings",
    "HoloCine’s released weights": "CC BY-NC-SA 4.0, for non-commercial use only; not part of this desk",
    "Wan 2.2’s weights": "Apache-2.0; not part of this desk",
}
_ROWS = "".join(f"<tr><th>{work}</th><td>{licence}</td></tr>" for work, licence in _WORKS.items())
_LICENCES = f"""<h2>Whose work, and what you may do with it</h2>
<table>{_ROWS}</table>
<p class="soft">Videos are yours. Each MP4 carries its storyboard, seed and settings inside, so that it can be made
again.</p>"""
