"""The theatre's language: its tokenizer, and a small UMT5 encoder taught what captions say before it meets pictures.

The encoder is trained to tell what words mean here: at a tag, the looks of the puppet behind it, and in a shot its
place there, whichever is named first; at the other words of a shot, its framing, size, action and camera. It is the
understanding that a large text encoder brings along.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from holocine.prompt import clean, text_windows
from holocine.puppet.captions import to_storyboard
from holocine.puppet.facts import CAPTION_FACTS, TRAITS, shot_facts
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.world import Scene, sample_scene

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer

logger = logging.getLogger(__name__)

TEXT_DIM = 192
_VOCABULARY = 1024
_BATCH = 32
_INTRODUCTION = re.compile(r"\[character(\d)\] is [^.]*\.")
_REFERENCE = re.compile(r"\[character(\d)\](?! is)")
_SHOT_FACTS = tuple(CAPTION_FACTS)[:6]  # setting, framing, size, action, camera, lanterns
_PLACES = ("alone", "first", "second")  # of a puppet in its shot: of two, left and right, or seen and seen past
_QUESTIONS = {**{name: CAPTION_FACTS[name] for name in _SHOT_FACTS}, **TRAITS, "place": _PLACES}
_LOOKS = slice(len(_SHOT_FACTS), len(_SHOT_FACTS) + len(TRAITS))
_ANCHOR = 1.0  # how much it costs to leave the start, whose text the transformers have learnt
_TAGS = [f"[character{i}]" for i in range(1, 10)]


def train_tokenizer(num_prompts: int = 4000) -> PreTrainedTokenizerFast:
    """Byte-fallback BPE over the theatre's prompts; a character tag is one token, as a name would be."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    prompts = [clean(_random_prompt(seed)) for seed in range(num_prompts)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = known_letters(prompts)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)]
    )
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=_VOCABULARY - len(_TAGS), special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(prompts, trainer)
    tokenizer.add_tokens(_TAGS)
    end = tokenizer.token_to_id("</s>")
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", end)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=512
    )


def known_letters(prompts: Iterable[str]) -> Normalizer:
    """Writes a word of the prompts, where it stands in capitals that they never have, as they have it most often.

    Else "Sunny" is six letters to a model that has read "sunny" only.
    """
    from tokenizers import Regex, normalizers

    seen: dict[str, Counter[str]] = {}
    for word in re.findall("[A-Za-z]+", " ".join(prompts)):
        seen.setdefault(word.lower(), Counter())[word] += 1
    rules = []
    for word, forms in sorted(seen.items()):
        others = rf"(?<!\w)(?!(?:{'|'.join(sorted(forms))})(?!\w))(?i:{word})(?!\w)"
        rules.append(normalizers.Replace(Regex(others), forms.most_common(1)[0][0]))
    return normalizers.Sequence(rules)


def load_language(folder: Path, device: str | torch.device) -> tuple[PreTrainedTokenizerFast, UMT5EncoderModel]:
    """The tokenizer and the text encoder of a folder that holds both, in single precision."""
    encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    return PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer"), encoder.to(device)


def _random_scene(seed: int) -> Scene:
    """A scene of one to six shots; neighbouring seeds have the same number, so that a batch needs little padding."""
    rng = np.random.default_rng((5, seed // _BATCH))
    count = int(rng.choice(range(1, 7), p=(0.35, 0.3, 0.2, 0.08, 0.04, 0.03)))
    return sample_scene(2_000_000_000 + seed, lengths=(17,) + (16,) * (count - 1))


def _random_prompt(seed: int) -> str:
    return to_storyboard(_random_scene(seed)).prompt


def build_text_encoder() -> UMT5EncoderModel:
    """A fresh encoder, half of whose heads begin by matching equal words.

    A tag in a shot has to find the same tag in the global caption. Queries and keys that start out equal attend to
    equal tokens, which training would otherwise take thousands of steps to discover.
    """
    encoder = UMT5EncoderModel(
        UMT5Config(
            vocab_size=_VOCABULARY,
            d_model=TEXT_DIM,
            d_kv=32,
            d_ff=384,
            num_layers=4,
            num_heads=6,
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,
        )
    )
    half = encoder.config.num_heads // 2 * encoder.config.d_kv
    with torch.no_grad():
        for block in encoder.encoder.block:
            attention = block.layer[0].SelfAttention
            attention.q.weight[:half].normal_(std=(6 / (encoder.config.d_kv * TEXT_DIM)) ** 0.5)
            attention.k.weight[:half] = attention.q.weight[:half]
    return encoder


def _example(tokenizer: PreTrainedTokenizerFast, seed: int) -> tuple[list[int], np.ndarray]:
    """Token ids of a random prompt, and for every token the answers it should know (-100 for none).

    The tokens of a character's introduction, and every tag that refers back to it, know what that character looks like,
    and such a tag its place in the shot: "over the shoulder of" names the second first. The other tokens of a shot know
    its setting, framing, size, action, camera and lanterns.
    """
    scene = _random_scene(seed)
    prompt = clean(to_storyboard(scene).prompt)
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    starts = np.array([start for start, _ in encoded["offset_mapping"]])
    labels = np.full((len(starts), len(_QUESTIONS)), -100)
    shot_of_token = np.full(len(starts), -1)
    for index, (start, end) in enumerate(text_windows(prompt, tokenizer).shot_spans):
        labels[start:end, : len(_SHOT_FACTS)] = shot_facts(scene, index)[: len(_SHOT_FACTS)]
        shot_of_token[start:end] = index
    for match in (*_INTRODUCTION.finditer(prompt), *_REFERENCE.finditer(prompt)):
        number = int(match[1]) - 1
        inside = (starts >= match.start()) & (starts < match.end())
        labels[inside, _LOOKS] = [values.index(getattr(scene.puppets[number], t)) for t, values in TRAITS.items()]
        for token in np.flatnonzero(inside & (shot_of_token >= 0)):
            who = scene.shots[shot_of_token[token]].who
            labels[token, -1] = 0 if len(who) == 1 else 1 + who.index(number)
    return encoded["input_ids"], labels


def _batch(tokenizer: PreTrainedTokenizerFast, first_seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    examples = [_example(tokenizer, first_seed + i) for i in range(_BATCH)]
    length = max(len(ids) for ids, _ in examples)
    ids = torch.tensor([ids + [0] * (length - len(ids)) for ids, _ in examples])
    labels = [np.pad(x, ((0, length - len(x)), (0, 0)), constant_values=-100) for _, x in examples]
    return ids, torch.from_numpy(np.stack(labels))


def _read(encoder: UMT5EncoderModel, ids: torch.Tensor) -> torch.Tensor:
    """What the encoder makes of token ids (B, n), 0 after the text: (B, n, TEXT_DIM)."""
    return encoder(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state


def _answers(model: nn.ModuleDict, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return model["heads"](hidden).split([len(choices) for choices in _QUESTIONS.values()], -1)


def _distance(hidden: torch.Tensor, before: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Mean squared distance between two readings of the same tokens, in variances of that `before`."""
    told = ids != 0
    return (hidden - before)[told].square().mean() / before[told].var()


@torch.no_grad()
def _check(model: nn.ModuleDict, tokenizer: PreTrainedTokenizerFast, batches: int = 3) -> dict[str, float]:
    """Share of right answers on prompts that training does not see; looks are asked at references only."""
    right: dict[str, list[torch.Tensor]] = {name: [] for name in _QUESTIONS}
    for i in range(batches):
        ids, labels = (x.to(model["encoder"].device) for x in _batch(tokenizer, 64_000 + i * _BATCH))
        answers = _answers(model, _read(model["encoder"], ids))
        at_reference = labels[..., -1] != -100
        for number, (name, logits) in enumerate(zip(_QUESTIONS, answers, strict=True)):
            asked = labels[..., 0] != -100 if name in _SHOT_FACTS else at_reference
            if name == "place":
                asked = asked & (labels[..., number] > 0)  # one alone is no question
            right[name].append((logits.argmax(-1) == labels[..., number])[asked])
    return {name: float(torch.cat(answers).float().mean()) for name, answers in right.items()}


def train_text_encoder(
    tokenizer: PreTrainedTokenizerFast,
    minutes: float,
    folder: Path,
    start: UMT5EncoderModel | None = None,
    lr: float = 3e-3,
    most_steps: int | None = None,
    device: str | torch.device = "cpu",
) -> UMT5EncoderModel:
    """Train an encoder (`start`, or a fresh one) for `minutes` of compute; save it and the tokenizer below `folder`.

    A `start` keeps near what it was, so that transformers which have learnt its text still understand it.
    """
    encoder = start or build_text_encoder()
    before = deepcopy(encoder).requires_grad_(False).to(device) if start else None
    heads = nn.Linear(TEXT_DIM, sum(map(len, _QUESTIONS.values())))
    model = nn.ModuleDict({"encoder": encoder, "heads": heads}).to(device)
    by_adam = ("shared", "embed_tokens", "relative_attention_bias", "heads")
    trainer = Trainer(model, minutes, lr, most_steps=most_steps, not_muon=by_adam)
    for step in trainer.steps():
        ids, labels = (x.to(device) for x in _batch(tokenizer, 320_000 + (step - 1) * _BATCH))
        hidden = _read(encoder, ids)
        losses = [
            F.cross_entropy(x.flatten(0, 1), labels[..., i].flatten()) for i, x in enumerate(_answers(model, hidden))
        ]
        loss = torch.stack(losses[: len(_SHOT_FACTS)]).mean() + torch.stack(losses[len(_SHOT_FACTS) :]).mean()
        if before is not None:
            loss = loss + _ANCHOR * _distance(hidden, _read(before, ids), ids)
        trainer.step(loss)
        if step % 50 == 0:
            shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in _check(model, tokenizer).items())
            logger.info("text step %d, %.1f min: %s", step, trainer.spent_minutes, shares)
    encoder.save_pretrained(folder / "text_encoder")
    tokenizer.save_pretrained(folder / "tokenizer")
    return encoder
