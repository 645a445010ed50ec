"""ShotStream (arXiv 2603.25746): one shot after the other, each from frames of those before it, in four steps."""

from holocine.families.family import Family, Origin
from holocine.families.rules import Rules
from holocine.families.shotstream.prompt import translate
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

FAMILY = Family(
    name="shotstream",
    title="ShotStream",
    rules=Rules(radians_per_shot=1 / 6, reads="own"),
    translate=translate,
    origin=Origin(
        paper="2603.25746",
        code="KlingAIResearch/ShotStream",
        commit="7ddcfae",
        weights="KlingTeam/ShotStream",
        file="shotstream_merged.pt",
        base="Wan-AI/Wan2.1-T2V-1.3B",
        licence="weights Apache-2.0 by their card; code without a licence file (headers Apache-2.0, the causal model's "
        "CC BY-NC-SA 4.0)",
    ),
    steps=4,
    guidance=1.0,
    negative_prompt=DEFAULT_NEGATIVE_PROMPT,
    decodes="each",
    fixed_steps=True,
    causal="shots",
)
