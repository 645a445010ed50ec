"""What others published: tables 1 and 2 of HoloCine (arXiv 2510.20822), with other encoders and prompts."""

from __future__ import annotations

COLUMNS = (
    "sca",
    "character_consistency",
    "subject_consistency",
    "background_consistency",
    "aesthetic",
    "text_video",
    "text_shot",
)
"""The metrics of the paper's Table 1, in its order, by the names that they have here."""

HEADINGS = ("SCA", "inter-shot", "subject", "background", "aesthetic", "global text", "shot text")

TABLE_1: dict[str, tuple[float | None, ...]] = {
    "Wan2.2 14B": (0.4843, 0.6772, 0.9054, 0.9014, 0.5568, 0.1652, 0.1364),
    "CineTrans": (0.5370, 0.6152, 0.8990, 0.8998, 0.4789, 0.1568, 0.1159),
    "IC-LoRA + Wan2.2": (None, 0.7096, 0.9421, 0.9303, 0.5246, 0.1808, 0.1692),
    "StoryDiffusion + Wan2.2": (None, 0.7364, 0.8487, 0.8927, 0.5773, 0.1453, 0.1644),
    "HoloCine": (0.9837, 0.7509, 0.9448, 0.9352, 0.5598, 0.1856, 0.1837),
}
"""Values by system, one a column; None where the paper has a dash: a two-stage pipeline is cut by being joined."""

WHAT: dict[str, str] = {
    "Wan2.2 14B": "text to video in one go, told the whole text",
    "CineTrans": "cuts by masks in its attention",
    "IC-LoRA + Wan2.2": "two stages: a first frame for each shot, drawn together, then each made a shot",
    "StoryDiffusion + Wan2.2": "two stages: a first frame for each shot, drawn as a story, then each made a shot",
    "HoloCine": "all shots in one go, text windows, sparse attention with summaries",
}
"""What each of the systems of Table 1 is."""

CAVEAT = (
    "Published in HoloCine's Table 1 (arXiv 2510.20822): measured with ViCLIP and other encoders, on other prompts, "
    "and with another definition of cut accuracy. Not comparable with the rows above."
)

TABLE_2_COLUMNS = ("SCA", "inter-shot", "aesthetic", "semantic")

TABLE_2: dict[str, tuple[float, ...]] = {
    "no window": (0.6266, 0.7009, 0.5755, 0.1562),
    "full + window": (0.8923, 0.7231, 0.5700, 0.1738),
    "sparse, no summary": (0.9675, 0.6761, 0.5669, 0.1642),
    "sparse + summary": (0.9736, 0.7225, 0.5693, 0.1739),
}
"""HoloCine's ablations on a base of 5B (its Table 2): values by variant, one a column; more is better in each."""
