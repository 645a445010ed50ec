"""What a storyboard will be for a model: frames, tokens, text windows and attention cost, before anything is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from holocine.attention import AttentionSettings, shot_pattern
from holocine.checkpoints import ModelFacts
from holocine.cost import HOPPER_RATE, RunCost, amount, duration, run_cost
from holocine.families.translation import picture_notes
from holocine.known import ESTIMATE_OFF, find_tokenizer
from holocine.plurals import counted
from holocine.prompt import PromptTooLong, clean, count_tokens, text_windows
from holocine.storyboard import Storyboard
from holocine.wan import as_wan_runs, limits_of


@dataclass(frozen=True)
class ShotPlan:
    """One shot: its frames (first, last), latent frames and video tokens, and its text tokens (half-open)."""

    caption: str
    first_frame: int
    last_frame: int
    seconds: float
    num_latent_frames: int
    num_tokens: int
    text_window: tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """A storyboard in a model's units. `attention_pairs` counts query-key pairs of self-attention in one layer."""

    title: str | None
    height: int
    width: int
    fps: float
    num_frames: int
    seconds: float
    num_latent_frames: int
    tokens_per_frame: int
    num_tokens: int
    num_text_tokens: int
    num_negative_tokens: int
    max_text_tokens: int
    global_text_window: tuple[int, int]
    shots: tuple[ShotPlan, ...]
    attention: str
    attention_pairs: int
    full_attention_pairs: int
    cost: RunCost
    warnings: tuple[str, ...]

    @property
    def attention_share(self) -> float:
        """The arithmetic of self-attention as a part of full attention's."""
        return self.attention_pairs / self.full_attention_pairs

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data for JSON."""
        return asdict(self) | {"attention_share": self.attention_share}


def make_plan(
    storyboard: Storyboard,
    facts: ModelFacts,
    height: int | None = None,
    width: int | None = None,
    attention: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
) -> Plan:
    """Plan `storyboard` as it will be run by the model described by `facts`, at its defaults unless others are given.

    height, width: pixels. Text tokens are the model's own, or estimated with a warning where it has no tokenizer here.

    Raises `PromptTooLong` if the text does not fit, `CheckpointError` for sizes that make no whole tokens and
    ValueError for an unknown attention and for more frames or pixels than the model has positions for.
    """
    alone = _wan_alone(storyboard, facts)
    storyboard = storyboard.as_run()
    doubts = facts.doubts(storyboard, height, width)
    settings = AttentionSettings.parse(attention or facts.attention)
    facts.check_positions(storyboard, height, width)
    rows, columns = facts.token_grid(height, width)
    layout = storyboard.layout(rows, columns)
    tokenizer, estimated = find_tokenizer(facts)
    room = facts.max_sequence_length if estimated is None else round(facts.max_sequence_length * (1 + ESTIMATE_OFF))
    prompt = clean(storyboard.prompt)
    try:
        windows = text_windows(prompt, tokenizer, max_length=room)
    except PromptTooLong as error:
        raise PromptTooLong("; ".join([str(error), *doubts[:1]])) from None
    pattern = shot_pattern(layout, settings.mode, settings.summary)
    shots = tuple(
        ShotPlan(
            caption=caption,
            first_frame=frames.start,
            last_frame=frames.stop - 1,
            seconds=len(frames) / storyboard.fps,
            num_latent_frames=length,
            num_tokens=length * layout.tokens_per_frame,
            text_window=window,
        )
        for caption, frames, length, window in zip(
            storyboard.captions, storyboard.shot_ranges, layout.shot_lengths, windows.shot_spans, strict=True
        )
    )
    pairs = pattern.num_pairs
    steps, guidance = facts.steps if steps is None else steps, facts.guidance if guidance is None else guidance
    negative = clean(storyboard.negative_prompt or facts.negative_prompt)
    if guidance > 1:
        count_tokens(negative, tokenizer, room, "the negative prompt")
    num_text_tokens, num_negative_tokens = (
        len(tokenizer(text, verbose=False)["input_ids"]) for text in (prompt, negative)
    )
    return Plan(
        title=storyboard.title,
        height=height or facts.height,
        width=width or facts.width,
        fps=storyboard.fps,
        num_frames=storyboard.num_frames,
        seconds=storyboard.seconds,
        num_latent_frames=layout.num_latent_frames,
        tokens_per_frame=layout.tokens_per_frame,
        num_tokens=layout.num_tokens,
        num_text_tokens=num_text_tokens,
        num_negative_tokens=num_negative_tokens,
        max_text_tokens=facts.max_sequence_length,
        global_text_window=windows.global_span,
        shots=shots,
        attention=settings.mode if settings.mode != "sparse" else f"sparse:{settings.summary}",
        attention_pairs=pairs,
        full_attention_pairs=layout.num_tokens**2,
        cost=run_cost(
            facts.transformer,
            layout,
            pairs,
            windows.visible(num_text_tokens + 1),
            num_negative_tokens + 1,
            steps,
            facts.guided_steps(steps, guidance),
            0 if settings.mode == "isolated" or storyboard.num_shots == 1 else facts.moved_steps(steps),
        ),
        warnings=(*storyboard.warnings, *doubts, *alone, *([] if estimated is None else [estimated])),
    )


def _wan_alone(storyboard: Storyboard, facts: ModelFacts) -> tuple[str, ...]:
    """What Wan cannot express of a storyboard where it is run as it was published, as a system to compare with."""
    if not facts.is_wan:
        return ()
    notes = (*picture_notes("Wan", storyboard), *as_wan_runs(storyboard, limits_of(facts.expand_timesteps))[2])
    return tuple(f"in a benchmark: {note}" for note in notes)


def _shots(plan: Plan) -> str:
    return counted(len(plan.shots), "shot")


def _arithmetic(cost: RunCost) -> str:
    """What denoising takes, in a sentence."""
    once = cost.prompted
    passes = counted(cost.steps, "step") + (f", {cost.guided} of them guided" if cost.guided else "")
    passes += f", {cost.moved} guided by the other shots" if cost.moved else ""
    passes += f" ({cost.passes} passes)" if cost.passes > cost.steps else ""
    share = f"{once.self_attention / once.total:.0%} of it self-attention"
    at = f"; {duration(cost.seconds())} at {amount(HOPPER_RATE)} a second (an H100)" if cost.seconds() > 1 else ""
    return (
        f"denoising: {passes}, {amount(once.total)} a pass with the prompt ({share}), {amount(cost.total)} in all{at}"
    )


def shortened(text: str) -> str:
    """A text's first 60 characters at most."""
    return text if len(text) <= 60 else text[:57] + "..."


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows of a table as lines: all columns but the last are of one width each and aligned to the right."""
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def format_plan(plan: Plan) -> str:
    """The plan as a table for a terminal."""
    head = ("shot", "frames", "seconds", "latent frames", "tokens", "text tokens", "caption")
    rows = [
        (
            str(number),
            f"{shot.first_frame}-{shot.last_frame}",
            f"{shot.seconds:.2f}",
            str(shot.num_latent_frames),
            f"{shot.num_tokens:,}",
            f"{shot.text_window[0]}-{shot.text_window[1] - 1}",
            shortened(shot.caption),
        )
        for number, shot in enumerate(plan.shots, start=1)
    ]
    first, last = plan.global_text_window
    total = (
        "all",
        str(plan.num_frames),
        f"{plan.seconds:.2f}",
        str(plan.num_latent_frames),
        f"{plan.num_tokens:,}",
        f"{plan.num_text_tokens} of {plan.max_text_tokens}",
        f"global caption: text tokens {first}-{last - 1}",
    )
    return "\n".join(
        [
            f"{plan.title or 'Untitled'}: {_shots(plan)}, {plan.width}x{plan.height} pixels, {plan.fps:g} fps",
            "",
            *aligned([head, *rows, total]),
            "",
            f"{plan.attention} attention: {plan.attention_share:.1%} of full self-attention's arithmetic "
            f"({plan.attention_pairs:,} of {plan.full_attention_pairs:,} pairs of tokens)",
            _arithmetic(plan.cost),
            *(f"warning: {warning}" for warning in plan.warnings),
        ]
    )
