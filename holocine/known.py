"""Models that are known without a folder, for plans: Wan2.2's 14B experts as HoloCine runs them, and their text tokens.

The configurations are those that diffusers' classes have for the published weights (Wan-AI/Wan2.2-T2V-A14B-Diffusers).
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from holocine.checkpoints import SHIFT, ModelFacts, describe, load_tokenizer, read_config
from holocine.cost import TransformerShape
from holocine.prompt import DEFAULT_NEGATIVE_PROMPT, MAX_TEXT_TOKENS
from holocine.wan import SIZE

NAME = "14B"
CONFIGS = MappingProxyType(
    {
        "transformer": {
            "patch_size": (1, 2, 2),
            "num_attention_heads": 40,
            "attention_head_dim": 128,
            "num_layers": 40,
            "ffn_dim": 13_824,
            "text_dim": 4096,
            "freq_dim": 256,
            "in_channels": 16,
            "out_channels": 16,
        },
        "vae": {"base_dim": 96, "z_dim": 16, "dim_mult": [1, 2, 4, 4], "num_res_blocks": 2},
        "text_encoder": {
            "vocab_size": 256_384,
            "d_model": 4096,
            "d_kv": 64,
            "d_ff": 10_240,
            "num_layers": 24,
            "num_heads": 64,
            "relative_attention_num_buckets": 32,
        },
    }
)
TOKENIZERS = ("google/umt5-xxl", "Wan-AI/Wan2.2-T2V-A14B-Diffusers")  # on the hub, the second in its folder tokenizer
ESTIMATE_OFF = 0.15  # by how much an estimate of text tokens may be wrong

_LONG = 7  # letters of a word that are one token on average
_PIECES = re.compile(r"[\u2e80-\u9fff\uff00-\uffef]|[^\W\d_\u2e80-\u9fff\uff00-\uffef]+|\d|[^\w\s]|_")


def find_facts(model: str | None) -> ModelFacts:
    """What is known of a model: of a folder or a hub id what `describe` says, or of "14B" what its authors publish."""
    if model is None or model.upper() != NAME or Path(model).exists():
        return describe(model)
    return ModelFacts(
        folder=Path(NAME),
        height=SIZE[0],
        width=SIZE[1],
        pixels_per_token=(16, 16),
        max_sequence_length=MAX_TEXT_TOKENS,
        attention="sparse",
        steps=50,
        guidance=5.0,
        guidance_below=1.0,
        negative_prompt=DEFAULT_NEGATIVE_PROMPT,
        shift=SHIFT,
        transformer=TransformerShape.of(CONFIGS["transformer"]),
        boundary=0.875,
        num_experts=2,
    )


def config_of(facts: ModelFacts, component: str) -> dict[str, Any]:
    """The configuration of a model's "transformer", "vae" or "text_encoder"."""
    if facts.folder == Path(NAME):
        return dict(CONFIGS[component])
    config = read_config(facts.folder / component / "config.json")
    return {name: value for name, value in config.items() if not name.startswith("_")}


def find_tokenizer(facts: ModelFacts) -> tuple[Any, str | None]:
    """The tokenizer of a model, and a sentence if what it says is an estimate."""
    if facts.folder != Path(NAME):
        return load_tokenizer(facts), None
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    for name in TOKENIZERS:
        where = {"subfolder": "tokenizer"} if name.endswith("Diffusers") else {}
        try:
            return AutoTokenizer.from_pretrained(name, local_files_only=True, **where), None
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return EstimatedTokenizer(), (
        f"text tokens are estimated, to about {ESTIMATE_OFF:.0%}: Wan's tokenizer is not here; for exact ones run "
        f"`hf download {TOKENIZERS[0]} tokenizer.json tokenizer_config.json` once, or name a model's folder"
    )


class EstimatedTokenizer:
    """Stands in for Wan's tokenizer where that is absent: seven letters, a mark and a digit are a token each.

    On prompts whose tokens are known it is within 11 %. Called as a fast tokenizer of transformers is.
    """

    is_fast = True

    def __call__(self, text: str, **_: Any) -> dict[str, list]:
        """The estimated tokens of a text, the one at its end included."""
        offsets = []
        for match in _PIECES.finditer(text):
            start, end = match.span()
            pieces = -(-(end - start) // _LONG)
            bounds = [start + (end - start) * piece // pieces for piece in range(pieces + 1)]
            offsets += list(zip(bounds, bounds[1:], strict=False))
        offsets.append((0, 0))
        return {"input_ids": list(range(len(offsets))), "offset_mapping": offsets}
