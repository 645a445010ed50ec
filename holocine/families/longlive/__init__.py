"""LongLive 2.0 (arXiv 2605.18739): block by block through a window, with a phase a shot, in four steps."""

from holocine.families.family import Family, Origin
from holocine.families.longlive.prompt import translate
from holocine.families.rules import Rules
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

FAMILY = Family(
    name="longlive",
    title="LongLive",
    rules=Rules(frames_per_shot=8, reads="own"),
    translate=translate,
    origin=Origin(
        paper="2605.18739",
        code="NVlabs/LongLive",
        commit="7860ad9",
        weights="Efficient-Large-Model/LongLive-2.0-5B",
        file="model_bf16.pt",
        base="Wan-AI/Wan2.2-TI2V-5B",
        licence="code Apache-2.0; that of the weights was not seen",
    ),
    steps=4,
    guidance=1.0,
    negative_prompt=DEFAULT_NEGATIVE_PROMPT,
    decodes="whole",
    fixed_steps=True,
    causal="blocks",
    height=704,
    width=1280,
    fps=24.0,
)
