"""Training of the theatre's transformer with HoloCine's attention, exactly as it will be run.

Curriculum: scenes of one still a shot first (28 tokens a shot teach pictures and looks cheaply), then more and more
whole scenes.
Flow matching with the logit-normal timesteps and shift of the sampler; a tenth of the prompts is empty, for guidance.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from holocine.attention import AttentionSettings
from holocine.prompt import TextWindows, clean, text_windows
from holocine.puppet.captions import to_storyboard
from holocine.puppet.data import shard_lengths, shard_scenes
from holocine.puppet.fused import fuse
from holocine.puppet.latents import GRID, STILLS_PER_SHOT, still_scenes
from holocine.puppet.optimisers import autocast
from holocine.puppet.reader import Reader, reading_loss
from holocine.puppet.text import TEXT_DIM
from holocine.puppet.trainer import Trainer
from holocine.puppet.world import Scene
from holocine.timeline import ShotLayout
from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

TEXT_LENGTH = 512
SHIFT = 3.0
EMPTY_PROMPTS = 0.1
_TOKENS = GRID
_SCENE_TOKENS, _STILLS = 3_800, 32  # of a step, for one core
_READ_BLOCK, _READING_WEIGHT = 3, 0.25
# A puppet in a wide shot covers two tokens of 28: how much more its velocity counts than the background's. The best
# answer at each place stays what it was.
_PUPPET_WEIGHT = 3.0
_FUSE_MINUTES = 5  # of training pay for the compiler
_NOT_MUON = ("embedder", "patch_embedding", "proj_out", "scale_shift_table", "reader")


def build_transformer() -> HoloCineTransformer3DModel:
    return HoloCineTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=3,
        attention_head_dim=64,
        in_channels=16,
        out_channels=16,
        text_dim=TEXT_DIM,
        freq_dim=128,
        ffn_dim=768,
        num_layers=8,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=128,
    )


@dataclass
class Batch:
    """What a training step sees of B scenes with one layout.

    latents (B, z, T, h, w); who (B, T, rows, columns), the puppet that each token shows, -1 for none; text
    (B, TEXT_LENGTH, TEXT_DIM); one window each, None for an empty prompt.
    """

    scenes: list[Scene]
    latents: torch.Tensor
    who: torch.Tensor
    text: torch.Tensor
    layout: ShotLayout
    windows: list[TextWindows | None]


class LatentBank:
    """Random batches from the latent shards made so far, with freshly worded captions."""

    def __init__(
        self, folder: Path, tokenizer: PreTrainedTokenizerFast, encoder: UMT5EncoderModel, rng: np.random.Generator
    ) -> None:
        self.folder, self.tokenizer, self.encoder, self.rng = folder, tokenizer, encoder.eval(), rng
        self.scene_lists: dict[tuple[str, int], list[Scene]] = {}
        self.arrays: dict[Path, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Notice shards that have been made since."""
        self.scenes, self.stills = (sorted(self.folder.glob(f"{kind}-*.npz")) for kind in ("scenes", "stills"))
        if not self.scenes or not self.stills:
            raise FileNotFoundError(f"{self.folder} holds no latents yet: run the latents stage first")

    def _load(self, path: Path) -> tuple[dict[str, np.ndarray], list[Scene]]:
        kind, number = path.stem.split("-")
        if path not in self.arrays:
            with np.load(path) as file:
                self.arrays[path] = dict(file)
            build = shard_scenes if kind == "scenes" else still_scenes
            self.scene_lists[kind, int(number)] = build(int(number))
        return self.arrays[path], self.scene_lists[kind, int(number)]

    def whole_scenes(self, tokens: int) -> Batch:
        """Scenes of one timeline, drawn from one shard, as many as have about `tokens` tokens together."""
        path = self.scenes[self.rng.integers(len(self.scenes))]
        arrays, scenes = self._load(path)
        count = round(tokens / (arrays["latents"].shape[2] * _TOKENS[0] * _TOKENS[1]))
        chosen = self.rng.choice(len(scenes), min(max(count, 1), len(scenes)), replace=False)
        text, windows = self._texts([scenes[i] for i in chosen])
        lengths = shard_lengths(int(path.stem.split("-")[1]))
        cuts = tuple(int(c) for c in np.cumsum(lengths)[:-1])
        layout = ShotLayout.from_cuts(sum(lengths), cuts, *_TOKENS)
        latents, who = torch.from_numpy(arrays["latents"][chosen]).float(), torch.from_numpy(arrays["who"][chosen])
        return Batch([scenes[i] for i in chosen], latents, who, text, layout, windows)

    def single_frames(self, most: int) -> Batch:
        """Scenes whose shots are one still each: at most `most` of one number of shots, from one shard."""
        arrays, scenes = self._load(self.stills[self.rng.integers(len(self.stills))])
        num_shots = len(scenes[self.rng.integers(len(scenes))].shots)
        alike = [i for i, scene in enumerate(scenes) if len(scene.shots) == num_shots]
        chosen = self.rng.permutation(alike)[:most]
        # A scene's stills lie together in the shard, STILLS_PER_SHOT of each shot in turn.
        first = np.searchsorted(arrays["scene"], chosen)
        rows = first[:, None] + np.arange(num_shots) * STILLS_PER_SHOT
        rows = rows + self.rng.integers(STILLS_PER_SHOT, size=rows.shape)
        latents = torch.from_numpy(arrays["latents"][rows][:, :, :, 0]).float().transpose(1, 2)
        who = torch.from_numpy(arrays["who"][rows])
        chosen = [scenes[i] for i in chosen]
        text, windows = self._texts(chosen)
        return Batch(chosen, latents, who, text, ShotLayout((1,) * num_shots, *_TOKENS), windows)

    @torch.no_grad()
    def _texts(self, scenes: list[Scene]) -> tuple[torch.Tensor, list[TextWindows | None]]:
        prompts = [clean(to_storyboard(scene, wording=int(self.rng.integers(2**31))).prompt) for scene in scenes]
        prompts = ["" if self.rng.random() < EMPTY_PROMPTS else prompt for prompt in prompts]
        windows = [text_windows(p, self.tokenizer) if p else None for p in prompts]
        tokens = self.tokenizer(prompts, padding=True, return_tensors="pt")
        mask = tokens["attention_mask"]
        device = self.encoder.device
        with autocast(device):
            hidden = self.encoder(input_ids=tokens["input_ids"].to(device), attention_mask=mask.to(device))
        hidden = hidden.last_hidden_state.float().cpu()
        text = torch.zeros(len(prompts), TEXT_LENGTH, TEXT_DIM)
        text[:, : hidden.shape[1]] = hidden * mask[..., None]
        return text, windows


def sample_sigmas(count: int) -> torch.Tensor:
    """Noise levels in (0, 1): logit-normal, shifted as the sampler's are."""
    sigmas = torch.randn(count).sigmoid()
    return SHIFT * sigmas / (1 + (SHIFT - 1) * sigmas)


def losses(
    model: HoloCineTransformer3DModel, reader: Reader, batch: Batch, settings: AttentionSettings
) -> tuple[torch.Tensor, torch.Tensor]:
    """Squared error of the velocity noise - latents, in which puppets count more; and the loss of the reader on the
    tokens in mid-network.
    """
    device, hidden = model.device, []
    hook = model.blocks[_READ_BLOCK].register_forward_hook(lambda block, inputs, output: hidden.append(output))
    latents, sigmas = batch.latents.to(device), sample_sigmas(len(batch.latents)).to(device)
    noise, level = torch.randn_like(latents), sigmas.view(-1, 1, 1, 1, 1)
    with autocast(device):
        output = model(
            hidden_states=(1 - level) * latents + level * noise,
            timestep=sigmas * 1000,
            encoder_hidden_states=batch.text.to(device),
            attention_kwargs={
                "layouts": [batch.layout] * len(latents),
                "windows": batch.windows,
                "settings": settings,
            },
            return_dict=False,
        )[0]
    hook.remove()
    told = [i for i, window in enumerate(batch.windows) if window is not None]
    reading = torch.zeros((), device=device)
    if told:  # without a text there is nothing to be read from it
        reading = reading_loss(
            reader, hidden[0][told].float(), batch.who[told], [batch.scenes[i] for i in told], batch.layout
        )
    weight = 1 + (_PUPPET_WEIGHT - 1) * (batch.who.to(device) >= 0).float()
    weight = weight.repeat_interleave(2, -2).repeat_interleave(2, -1).unsqueeze(1)
    error = (output.float() - (noise - latents)).square() * weight
    return error.mean() / weight.mean(), reading


def train_transformer(
    folder: Path,
    latents: Path,
    text: Path,
    minutes: float,
    settings: AttentionSettings | None = None,
    still_share: float = 0.22,
    lr: float = 2e-3,
    most_steps: int | None = None,
    start: Path | None = None,
    device: str | torch.device = "cpu",
    batch_scale: int = 1,
) -> None:
    """Train until `minutes` of compute are used in all, resuming from `folder`/state.pt, or else from `start`.

    The first `still_share` of the time goes to stills. `settings`: HoloCine's attention unless given. `most_steps`
    ends this call early, as if it had been interrupted. `batch_scale`: how many times the batch that suits one core, at
    most 2.
    """
    device = torch.device(device)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings or AttentionSettings()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(text / "tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(text / "text_encoder", dtype=torch.float32).to(device)
    model = build_transformer()
    if start:
        model.load_state_dict(HoloCineTransformer3DModel.from_pretrained(start, torch_dtype=torch.float32).state_dict())
    model.to(device)
    if minutes >= _FUSE_MINUTES and most_steps is None:
        fuse(model)
    reader = Reader(model.config.num_attention_heads * model.config.attention_head_dim).to(device)
    both = nn.ModuleDict({"transformer": model, "reader": reader})
    trainer = Trainer(both, minutes, lr, folder / "state.pt", most_steps, not_muon=_NOT_MUON)
    bank = LatentBank(latents, tokenizer, encoder, np.random.default_rng())

    def save_model() -> None:
        bank.refresh()
        averaged = build_transformer().to(device)
        trainer.average.copy_to(averaged, prefix="transformer.")
        averaged.save_pretrained(folder / "model")

    history: list[tuple[bool, float, float]] = []
    for step in trainer.steps(save_model):
        stills = trainer.progress < still_share or bank.rng.random() < _mixed_stills(trainer.progress)
        batch = bank.single_frames(_STILLS * batch_scale) if stills else bank.whole_scenes(_SCENE_TOKENS * batch_scale)
        loss, reading = losses(model, reader, batch, settings)
        trainer.step(loss + _READING_WEIGHT * reading)
        history.append((stills, float(loss.detach()), float(reading.detach())))
        if step % 25 == 0:
            recent = [_mean_of(history, kind) for kind in (True, False)]
            logger.info(
                "transformer step %d, %.1f min: loss and reading on stills %s, on scenes %s (%d shards)",
                step,
                trainer.spent_minutes,
                *recent,
                len(bank.scenes),
            )


def _mixed_stills(progress: float) -> float:
    """Share of stills among the steps: they show four times as many scenes in the same time, but nothing that moves."""
    return max(0.05, 0.7 * (1 - progress / 0.8))


def _mean_of(history: list[tuple[bool, float, float]], stills: bool) -> str:
    """Mean losses of the last hundred steps of one kind."""
    recent = [values for kind, *values in history[-200:] if kind is stills][-100:]
    return " ".join(f"{mean:.4f}" for mean in np.mean(recent, 0)) if recent else "-"
