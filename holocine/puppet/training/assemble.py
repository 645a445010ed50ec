"""Trained parts -> the embedded model: a pipeline folder in diffusers layout, half precision, small shards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine.model_card import CARD as CARD_FILE
from holocine.model_card import ModelCard
from holocine.pipeline import HoloCinePipeline
from holocine.puppet.captions import vocabulary
from holocine.puppet.training.batches import TEXT_LENGTH
from holocine.puppet.training.data import FRAME_COUNTS
from holocine.puppet.training.distil import GUIDANCE as TEXT_GUIDANCE
from holocine.puppet.training.distil import GUIDANCE_BELOW as TEXT_GUIDED_BELOW
from holocine.puppet.training.transformer import SHIFT
from holocine.puppet.world import FPS, HEIGHT, MIN_SHOT_FRAMES, MOST_IN_SHOT, MOST_PUPPETS, MOST_SHOTS, WIDTH
from holocine.scheduler import HoloCineScheduler
from holocine.transformer import HoloCineTransformer3DModel

STEPS = 24
# The noisier steps are guided by the other shots and the rest by the text, each with a pass more
SHOT_GUIDANCE, GUIDANCE, GUIDED_BELOW = 2.0, 4.0, 0.7
ETA = 1.0
FEW_STEPS, BOUNDARY = 12, 0.45
MAX_SHARD = "9MB"
CARD = ModelCard(
    world="a puppet theatre",
    sizes=((HEIGHT, WIDTH),),
    fps=(FPS,),
    frames=(min(FRAME_COUNTS), max(FRAME_COUNTS)),
    shots=(1, MOST_SHOTS),
    shot_frames=MIN_SHOT_FRAMES,
    characters=MOST_PUPPETS,
    words=vocabulary() | {str(count + 1) for count in range(MOST_SHOTS)},  # "This scene contains 3 shots."
    shot_characters=MOST_IN_SHOT,
)


def assemble(
    text: Path,
    vae: Path,
    transformer: Path,
    out: Path,
    attention: str = "sparse",
    student: Path | None = None,
    by_shots: bool = True,
) -> None:
    """Write the pipeline folder `out` (replacing one that is there) from the folders of its trained parts.

    text: holds `tokenizer` and `text_encoder`; vae, transformer: model folders. student: of a distilled transformer,
    which becomes the low-noise expert and takes the later of fewer steps without guidance. by_shots: whether the
    noisier steps are guided by the other shots; if not, the text guides as it does distillation's teacher. Complete or
    absent.
    """
    text_alone = 1.0, TEXT_GUIDANCE, TEXT_GUIDED_BELOW
    together, scale, below = (SHOT_GUIDANCE, GUIDANCE, GUIDED_BELOW) if by_shots else text_alone
    pipeline = HoloCinePipeline(
        tokenizer=PreTrainedTokenizerFast.from_pretrained(text / "tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(text / "text_encoder"),
        vae=AutoencoderKLWan.from_pretrained(vae),
        scheduler=HoloCineScheduler(shift=SHIFT),
        transformer=HoloCineTransformer3DModel.from_pretrained(transformer),
        transformer_2=HoloCineTransformer3DModel.from_pretrained(student) if student else None,
        boundary_ratio=BOUNDARY if student else None,
        default_height=HEIGHT,
        default_width=WIDTH,
        default_num_inference_steps=FEW_STEPS if student else STEPS,
        default_guidance_scale=scale,
        default_guidance_scale_2=1.0 if student else None,
        default_keep_every=8,
        default_keep_level="clean",  # shots have a noise level each in training
        default_guidance_below=below,
        default_shot_guidance=together,
        default_shot_guidance_above=below,
        default_eta=ETA,
        default_negative_prompt="",
        default_attention=attention,
        max_sequence_length=TEXT_LENGTH,
    )
    for component in (pipeline.text_encoder, pipeline.vae, pipeline.transformer, pipeline.transformer_2):
        for parameter in component.parameters() if component is not None else ():
            parameter.data = parameter.data.to(torch.float16)
    temporary = out.with_name(out.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    pipeline.save_pretrained(temporary, max_shard_size=MAX_SHARD)
    for config in temporary.glob("*/config.json"):  # where a part was trained is not part of it
        kept = {key: value for key, value in json.loads(config.read_text()).items() if key != "_name_or_path"}
        config.write_text(json.dumps(kept, indent=2) + "\n")
    CARD.write(temporary)
    for kept in out.glob("*.*"):  # the card, its pictures and its measurements
        if kept.name not in ("model_index.json", CARD_FILE):
            shutil.copy2(kept, temporary / kept.name)
    if out.exists():
        shutil.rmtree(out)
    temporary.rename(out)
