"""Whether a character who is known from a picture looks like it: above all in what no text names.

Every scene is made without and with references, pictures of its puppets as the world renders them (medium shot,
standing still), from the same noise. The judge reads colour, body, hat and scarf of each puppet in each shot. Captions
name no scarves: one is right by chance unless the picture is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eval.tally import Tally
from holocine.from_pictures import Opened, run_with_pictures
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import LOOKS
from holocine.puppet.renderer import render
from holocine.puppet.world import Scene

if TYPE_CHECKING:
    from holocine.puppet.judge import Judge

WITHOUT, WITH = "without references", "with references"


def reference(scene: Scene, puppet: int) -> np.ndarray:
    """A picture of one puppet (from 0) of a scene, in its setting and light, uint8 (H, W, 3)."""
    shot = replace(
        scene.shots[0],
        num_frames=5,
        framing="single",
        who=(puppet,),
        size="medium",
        action="standing",
        camera="static",
        lanterns_light_up=False,
    )
    return render(replace(scene, shots=(shot,)), only=range(1))[0][0]


def likeness(scene: Scene, frames: np.ndarray, judge: Judge) -> Tally:
    """How often puppets look as they should in a video of a scene, uint8 (frames, H, W, 3)."""
    from holocine.puppet.judge import read_shots

    tally = Tally()
    for shot, seen in zip(scene.shots, read_shots(judge, frames, scene.cuts), strict=True):
        for slot, who in enumerate(shot.who):
            puppet = scene.puppets[who]
            right = {trait: seen[f"{trait}{slot}"] == getattr(puppet, trait) for trait in (*LOOKS, "scarf")}
            tally.add("colour, body and hat as described", [all(right[trait] for trait in LOOKS)])
            tally.add("scarf of the reference", [right["scarf"]])
        tally.add("light of the reference", [seen["light"] == scene.light])
    return tally


def compare_references(pipeline, scene: Scene, seed: int, judge: Judge) -> dict[str, Tally]:
    """Make a scene without and with references to all its puppets: how they look in both."""
    board, shown = to_storyboard(scene, seed=seed), sorted({who for shot in scene.shots for who in shot.who})
    pictures = [(f"character{who + 1}", reference(scene, who)) for who in shown]
    found = {}
    for name, opened in ((WITHOUT, Opened()), (WITH, Opened(references=pictures))):
        output = run_with_pictures(pipeline, board, opened)
        found[name] = likeness(scene, output.frames[0], judge)
    return found
