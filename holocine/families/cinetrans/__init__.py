"""CineTrans (arXiv 2508.11484), its diffusion transformer: shots told apart by masks in the middle blocks."""

from holocine.families.cinetrans.prompt import translate
from holocine.families.family import Family, Origin
from holocine.families.rules import Rules
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

FAMILY = Family(
    name="cinetrans",
    title="CineTrans",
    rules=Rules(reads="own", sees="own and the first frame", masked_layers=(6, 27)),
    translate=translate,
    origin=Origin(
        paper="2508.11484",
        code="UknowSth/CineTrans",
        commit="9c80d8c",
        weights="NumlockUknowSth/CineTrans-DiT",
        file="weights.pt",
        base="Wan-AI/Wan2.1-T2V-1.3B",
        licence="none found, of code or weights",
    ),
    steps=50,
    guidance=6.0,
    negative_prompt=DEFAULT_NEGATIVE_PROMPT,
    decodes="whole",
)
