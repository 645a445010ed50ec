"""What of a storyboard the settings of a run leave unread: a negative prompt where no step is guided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    facts = facts.with_settings(settings)
    called = title or (family.title if family else "Wan" if facts.is_wan else "the model")
    is_guided = facts.guided_steps(facts.steps, facts.guidance) > 0
    return unread_negative(called, storyboard.negative_prompt, facts.guidance, is_guided)


def unread_negative(title: str, negative_prompt: str | None, guidance: float, is_guided: bool) -> tuple[str, ...]:
    """That a negative prompt is not read, in a sentence; nothing where it is, or where there is none."""
    if not negative_prompt or is_guided:
        return ()
    why = f"runs with guidance {guidance:g}, which is none" if guidance <= 1 else "guides no step"
    return (f"{title} {why}: the negative prompt is not read",)
