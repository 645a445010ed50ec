"""EchoShot (arXiv 2506.15838): portraits in two to six shots, told apart by phases of the rotary embedding."""

from holocine.families.echoshot.prompt import translate
from holocine.families.family import Family, Origin
from holocine.families.rules import Rules
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

FAMILY = Family(
    name="echoshot",
    title="EchoShot",
    rules=Rules(frames_per_shot=4, text_phase=4, padding_phase=10, text_length=2048, padded="together"),
    translate=translate,
    origin=Origin(
        paper="2506.15838",
        code="D2I-ai/EchoShot",
        commit="cb541e6",
        weights="JonneyWang/EchoShot",
        file="EchoShot-1.3B-preview.pth",
        base="Wan-AI/Wan2.1-T2V-1.3B",
        licence="none found, of code or weights",
    ),
    steps=50,
    guidance=5.0,
    negative_prompt=f"{DEFAULT_NEGATIVE_PROMPT}，水印，文字",
    decodes="each",
)
