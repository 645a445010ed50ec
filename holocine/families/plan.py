"""What a storyboard will be for a model of another family, before anything is made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from holocine.checkpoints import ModelFacts, load_tokenizer
from holocine.families import find_family
from holocine.families.translation import caption_name
from holocine.plan import aligned, shortened
from holocine.prompt import check_length, count_tokens
from holocine.storyboard import Storyboard


@dataclass(frozen=True)
class ShotPlan:
    """One shot: the text that the model reads for it, its frames (first, last) and its tokens of video and text."""

    text: str
    first_frame: int
    last_frame: int
    seconds: float
    num_latent_frames: int
    num_tokens: int
    num_text_tokens: int


@dataclass(frozen=True)
class FamilyPlan:
    """A storyboard in a family's terms; prompt: as its authors write it; notes: what it cannot express."""

    family: str
    title: str | None
    height: int
    width: int
    fps: float
    num_frames: int
    seconds: float
    shots: tuple[ShotPlan, ...]
    common_text: str | None
    prompt: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data for JSON."""
        return asdict(self)


def make_family_plan(
    storyboard: Storyboard,
    facts: ModelFacts,
    height: int | None = None,
    width: int | None = None,
    tokenizer: Any = None,
) -> FamilyPlan:
    """Plan `storyboard` for the model described by `facts`; tokenizer: that of the model, loaded if it is not given.

    Raises `PromptTooLong` for too much text, `StoryboardError` for what the family cannot make, and ValueError for
    another size than its own.
    """
    family = find_family(facts.family)
    family.check_size((height, width), (facts.height, facts.width))
    made = family.translate(storyboard)
    rows, columns = facts.token_grid()
    tokenizer, most = tokenizer or load_tokenizer(facts), facts.max_sequence_length
    names = [caption_name(made, n) for n in range(len(made.captions))]
    counts = [count_tokens(text, tokenizer, most, name) for text, name in zip(made.captions, names, strict=True)]
    if family.rules.padded == "together":
        check_length(sum(counts), family.rules.text_length)
    run = made.storyboard
    shots = tuple(
        ShotPlan(
            text=made.captions[index],
            first_frame=frames.start,
            last_frame=frames.stop - 1,
            seconds=len(frames) / run.fps,
            num_latent_frames=length,
            num_tokens=length * rows * columns,
            num_text_tokens=counts[index],
        )
        for index, (frames, length) in enumerate(zip(run.shot_ranges, made.latent_lengths, strict=True))
    )
    return FamilyPlan(
        family=family.name,
        title=storyboard.title,
        height=facts.height,
        width=facts.width,
        fps=run.fps,
        num_frames=run.num_frames,
        seconds=run.seconds,
        shots=shots,
        common_text=None if made.common is None else made.captions[made.common],
        prompt=made.prompt,
        notes=(*storyboard.mistakes, *made.notes),
    )


def format_family_plan(plan: FamilyPlan) -> str:
    """The plan as a table for a terminal."""
    head = ("shot", "frames", "seconds", "latent frames", "tokens", "text tokens", "text")
    rows = [
        (
            str(number),
            f"{shot.first_frame}-{shot.last_frame}",
            f"{shot.seconds:.2f}",
            str(shot.num_latent_frames),
            f"{shot.num_tokens:,}",
            str(shot.num_text_tokens),
            shortened(shot.text),
        )
        for number, shot in enumerate(plan.shots, start=1)
    ]
    count = f"{len(plan.shots)} shot{'s'[: len(plan.shots) != 1]}"
    return "\n".join(
        [
            f"{plan.title or 'Untitled'} by {find_family(plan.family).title}: {count}, {plan.width}x{plan.height} "
            f"pixels, {plan.fps:g} fps, {plan.num_frames} frames",
            "",
            *aligned([head, *rows]),
            *([] if plan.common_text is None else ["", f"read by all shots: {plan.common_text}"]),
            *([""] if plan.notes else []),
            *(f"warning: {note}" for note in plan.notes),
        ]
    )
