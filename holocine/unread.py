"""What the settings of a run leave unread: a negative prompt where no step is guided, and guidance by other shots where
there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holocine.attention import AttentionSettings
from holocine.families import find_family
from holocine.model_facts import ModelFacts
from holocine.storyboard import Storyboard


def unread(
    storyboard: Storyboard, facts: ModelFacts, settings: Mapping[str, Any], title: str | None = None
) -> tuple[str, ...]:
    """What a model does not read of a storyboard for its settings, a sentence each.

    settings: as `ModelFacts.with_settings` takes them. title: what to call the model. A family that never has guidance
    says so itself, in `Family.left_out`.
    """
    family = find_family(facts.family) if facts.family else None
    if family is not None and family.fixed_steps:
        return ()
    usual, facts = facts.shot_guidance, facts.with_settings(settings)
    called = title or (family.title if family else "Wan" if facts.is_wan else "the model")
    is_guided = facts.guided_steps(facts.steps, facts.guidance) > 0
    negative = unread_negative(called, storyboard.negative_prompt, facts.guidance, is_guided)
    if facts.shot_guidance in (1, usual):  # what videos remember is not what was asked for
        return negative
    return (*negative, *_unread_shot_guidance(storyboard, facts, settings.get("attention") or facts.attention))


def _unread_shot_guidance(storyboard: Storyboard, facts: ModelFacts, attention: str) -> tuple[str, ...]:
    """That guidance by the other shots does nothing."""
    if storyboard.num_shots == 1:
        why = "a single shot has no others"
    elif AttentionSettings.parse(attention).mode == "isolated":
        why = "with attention isolated no shot sees another"
    elif facts.moved_steps(facts.steps) == 0:
        why = f"no step is noisier than {facts.shot_guidance_above:g}"
    else:
        return ()
    return (f"shot_guidance {facts.shot_guidance:g} does nothing: {why}",)


def unread_negative(title: str, negative_prompt: str | None, guidance: float, is_guided: bool) -> tuple[str, ...]:
    """That a negative prompt is not read, in a sentence; nothing where it is, or where there is none."""
    if not negative_prompt or is_guided:
        return ()
    why = f"runs with guidance {guidance:g}, which is none" if guidance <= 1 else "guides no step"
    return (f"{title} {why}: the negative prompt is not read",)
