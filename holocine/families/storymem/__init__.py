"""StoryMem (arXiv 2512.19539): one shot after the other, each beside pictures of the shots before it."""

from holocine.families.family import Family, Origin
from holocine.families.rules import Rules
from holocine.families.storymem.prompt import translate
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

FAMILY = Family(
    name="storymem",
    title="StoryMem",
    rules=Rules(),
    translate=translate,
    origin=Origin(
        paper="2512.19539",
        code="Kevin-thu/StoryMem",
        commit="e027735",
        weights="Kevin-thu/StoryMem",
        file="Wan2.2-MM2V-A14B",
        base="Wan-AI/Wan2.2-I2V-A14B",
        licence="code S-Lab License 1.0, not for commercial use; that of the weights was not seen",
    ),
    steps=40,
    guidance=3.5,
    negative_prompt=DEFAULT_NEGATIVE_PROMPT,
    decodes="each",
    causal="shots",
)
