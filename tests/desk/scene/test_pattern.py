import re
from xml.etree import ElementTree

import numpy as np
import pytest

from desk.scene import draft, pattern
from desk.studio.limits import Limits
from desk.tabs import how
from holocine.attention import AttentionSettings, shot_pattern
from holocine.plan import make_plan

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def plan(storyboard, tiny_model):
    return make_plan(storyboard, tiny_model.facts)


def drawn(svg, kinds):
    """The area that rectangles of some kinds cover, in latent frames."""
    root = ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))
    cells = 60
    seen = np.zeros((cells, cells), bool)
    scale = cells / pattern.SIZE
    for box in root.iter(f"{SVG}rect"):
        if box.get("class") in kinds:
            x, y, w, h = (float(box.get(name)) * scale for name in ("x", "y", "width", "height"))
            seen[round(y) : round(y + h), round(x) : round(x + w)] = True
    return seen


@pytest.mark.parametrize("attention", ["full", "sparse", "isolated", "sparse:first+last"])
def test_the_drawing_shows_who_sees_whom(plan, storyboard, attention):
    layout = storyboard.layout(1, 1)
    settings = AttentionSettings.parse(attention)
    rule = shot_pattern(layout, settings.mode, settings.summary)
    n = layout.num_latent_frames
    sees = rule.query_groups[:, None] == rule.query_groups[None]
    start = 0
    for length, shown in zip(rule.group_lengths, rule.summaries, strict=True):
        for frames in shown:
            sees[:, [start + frame for frame in frames]] = True
        start += length
    cells = np.linspace(0, n, 60, endpoint=False).astype(int)
    area = drawn(pattern.self_attention(plan, attention), ("own", "summary"))
    assert area.mean() == pytest.approx(sees[np.ix_(cells, cells)].mean(), abs=0.04)
    assert (area != sees[np.ix_(cells, cells)]).mean() < 0.05


def test_every_shot_reads_the_scene_and_its_own_caption(plan):
    svg = pattern.text_attention(plan)
    assert len(re.findall('class="global"', svg)) == len(re.findall('class="own"', svg)) == 3
    assert not drawn(svg, ("own",))[0, -1] and drawn(svg, ("own",))[-1, -1]


def test_the_page_shows_the_current_storyboard_and_escapes_what_visitors_wrote(tiny_model, storyboard):
    written = draft.from_storyboard(storyboard) | {"title": "<script>alert(1)</script>"}
    page = how.page(draft.review(written, tiny_model, Limits.of(tiny_model)), "sparse")
    assert "&lt;script&gt;" in page and "<script" not in page
    assert page.count("<svg") == 2 and "CC BY-NC-SA 4.0" in page


def test_a_broken_storyboard_has_nothing_to_draw(tiny_model):
    page = how.page(draft.review({"shots": []}, tiny_model, Limits.of(tiny_model)), "sparse")
    assert "no shots" in page and "<svg" not in page
