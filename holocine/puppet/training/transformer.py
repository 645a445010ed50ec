"""Training of the theatre's transformer with HoloCine's attention, exactly as it will be run.

Curriculum: scenes of one still a shot first (28 tokens a shot teach pictures and looks cheaply), then more and more
whole scenes.
Flow matching with the logit-normal timesteps and shift of the sampler; a tenth of the prompts is empty, for guidance.
In two of five steps every shot has a noise level of its own, or none at all (diffusion forcing: Chen et al., 2024).
What no text says but all shots keep is plain to see in a clean shot, and hardly in shots as noisy as one's own: this is
where shots learn to read one another, and to be made anew beside others that are kept.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import nn

from holocine.attention import AttentionSettings
from holocine.puppet.training.batches import Batch, LatentBank
from holocine.puppet.training.fused import fuse, run_masked
from holocine.puppet.training.optimisers import Average, autocast, compute_seconds
from holocine.puppet.training.reader import Reader, reading_loss
from holocine.puppet.training.resident import ResidentBank
from holocine.puppet.training.text import TEXT_DIM
from holocine.puppet.training.trainer import Trainer
from holocine.puppet.training.vae import LATENT_CHANNELS
from holocine.puppet.world import MOST_PUPPETS, MOST_SHOTS
from holocine.transformer import HoloCineTransformer3DModel

logger = logging.getLogger(__name__)

SHIFT = 3.0
_READ_BLOCK, _READING_WEIGHT = 3, 0.25
# How much more a puppet's velocity counts than the background's. In a wide shot it covers two tokens of 28, and its hat
# is part of one: a puppet of fewer tokens than these counts as if it had them, up to the most. And the frame that a
# shot opens with, which is a cut or is not. The best answer at each place stays what it was.
_PUPPET_WEIGHT, _PUPPET_TOKENS, _MOST_PUPPET_WEIGHT, _OPENING_WEIGHT = 3.0, 6, 9.0, 1.5
# Between neighbours that are lit alike no cut is seen. What a place's error says of the light drowns in its noise; the
# mean error of a latent frame says it clearly, and its square has the same best answer.
_FRAME_WEIGHT = 15.0
# How each shot is lit, and so which cuts are seen, is decided between sigma 0.99 and 0.9: in a third of the sampler's
# steps, but in an eighth of those that a logit-normal draws.
_NOISIEST, _NOISIEST_SHARE = 0.3, 0.35
_BY_SHOT_SHARE, _KEPT_SHARE = 0.4, 0.5  # of the steps; of the shots in such a step
_STILLS_AFTER_START = 0.2
_LOG_STEPS = 25
_FUSE_MINUTES = 5  # of training pay for the compiler
_READER_STEPS, _READER_SHARE, _READER_LR = 150, 0.05, 1e-2  # of a trained transformer's new reader
NOT_MUON = ("embedder", "patch_embedding", "proj_out", "scale_shift_table", "reader")


def build_transformer() -> HoloCineTransformer3DModel:
    return HoloCineTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=6,
        attention_head_dim=64,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=128,
        ffn_dim=1536,
        num_layers=8,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=128,
    )


def sample_sigmas(count: int, device: torch.device | None = None) -> torch.Tensor:
    """Noise levels in (0, 1), shifted as the sampler's are: logit-normal, with more of the noisiest."""
    usual = torch.randn(count, device=device).sigmoid()
    noisiest = 1 - _NOISIEST * torch.rand(count, device=device)
    sigmas = torch.where(torch.rand(count, device=device) < _NOISIEST_SHARE, noisiest, usual)
    return shifted(sigmas)


def shifted(sigmas: torch.Tensor) -> torch.Tensor:
    """Evenly spaced noise levels moved towards 1, as the sampler's are."""
    return SHIFT * sigmas / (1 + (SHIFT - 1) * sigmas)


def add_noise(clean: torch.Tensor, sigmas: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents (B, z, T, h, w) at noise levels (B, T) or (B, 1), and the noise."""
    noise, level = torch.randn_like(clean), sigmas[:, None, :, None, None]
    return (1 - level) * clean + level * noise, noise


def sigmas_by_shot(shots: torch.Tensor) -> torch.Tensor:
    """A noise level for each shot, 0 for those that are kept: (B, T), of the shots (B, T) of latent frames.

    At least one shot of a scene is noisy.
    """
    sigmas = sample_sigmas(len(shots) * MOST_SHOTS, shots.device).view(len(shots), MOST_SHOTS)
    return sigmas.gather(1, shots.long()).masked_fill(kept_shots(shots), 0.0)


def sigmas_by_block(blocks: torch.Tensor, scenes: int) -> torch.Tensor:
    """A noise level for each block of each scene, 0 for frames that are given: (scenes, T), of the blocks (T,)."""
    count = int(blocks.max()) + 1
    sigmas = sample_sigmas(scenes * count, blocks.device).view(scenes, count)
    return sigmas[:, blocks.clamp(min=0)].masked_fill(blocks < 0, 0.0)


def kept_shots(shots: torch.Tensor) -> torch.Tensor:
    """Some of each scene's shots at random, but never all: bool (B, T), of the shots (B, T) of latent frames."""
    scenes = len(shots)
    kept = torch.rand(scenes, MOST_SHOTS, device=shots.device) < _KEPT_SHARE
    noisy = (torch.rand(scenes, device=shots.device) * (shots.amax(1) + 1)).long()
    kept[torch.arange(scenes, device=shots.device), noisy] = False
    return kept.gather(1, shots.long())


def losses(
    model: HoloCineTransformer3DModel,
    reader: Reader,
    batch: Batch,
    settings: AttentionSettings,
    by_shot: bool = False,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Squared error of the velocity noise - latents, in which puppets count more; that of its mean over each latent
    frame; and the loss of the reader on the tokens in mid-network. All of noisy shots only.

    by_shot: whether every shot has a noise level of its own; else all shots of a scene have the same. Of a causal
    batch every block has its own.
    """
    hidden: list[torch.Tensor] = []
    hook = model.blocks[_READ_BLOCK].register_forward_hook(lambda block, inputs, output: hidden.append(output))
    latents, shots = batch.latents, batch.shots
    if batch.blocks is not None:
        sigmas = sigmas_by_block(batch.blocks, len(latents))
    else:
        sigmas = sigmas_by_shot(shots) if by_shot else sample_sigmas(len(latents), latents.device)[:, None]
    (noisy, noise), is_noisy = add_noise(latents, sigmas), (sigmas > 0).expand_as(shots)
    output = predict(model, batch, noisy, sigmas, settings)
    hook.remove()
    asked = is_noisy & batch.told[:, None]
    reading = reading_loss(reader, hidden[0].float(), batch.who, shots, batch.looks, batch.facts, asked)
    weight = velocity_weight(batch.who, shots) * is_noisy[:, None, :, None, None]
    error = output - (noise - latents)
    frame_error = (error.mean((-2, -1)).square() * is_noisy[:, None]).mean() / is_noisy.float().mean()
    return (error.square() * weight).mean() / weight.mean(), frame_error, reading


def fit_reader(
    reader: Reader,
    model: HoloCineTransformer3DModel,
    bank: LatentBank | ResidentBank,
    settings: AttentionSettings,
    minutes: float,
) -> None:
    """Teach a new reader, for `minutes` at most, what a trained transformer's tokens tell.

    Else its first mistakes would pull at them.
    """
    optimiser, begun = torch.optim.Adam(reader.parameters(), lr=_READER_LR), compute_seconds()
    model.requires_grad_(False)
    for step in range(1, _READER_STEPS + 1):
        if compute_seconds() - begun > 60 * minutes:
            break
        _, _, reading = losses(model, reader, bank.next_batch(bank.rng.random() < _STILLS_AFTER_START), settings)
        optimiser.zero_grad()
        reading.backward()
        optimiser.step()
        if step % _LOG_STEPS == 0:
            logger.info("reader step %d: %.4f", step, reading.item())
    model.requires_grad_(True)


def predict(
    model: HoloCineTransformer3DModel,
    batch: Batch,
    noisy: torch.Tensor,
    sigmas: torch.Tensor,
    settings: AttentionSettings,
) -> torch.Tensor:
    """The velocity of the latents `noisy` of a batch's scenes, float32.

    sigmas: (B, 1), the noise level of each scene, or (B, T), of each of its latent frames.
    """
    with autocast(noisy.device):
        if batch.masks:
            timesteps = 1000 * sigmas.expand(-1, noisy.shape[2])
            return run_masked(model, noisy, timesteps, batch.text, batch.masks).float()
        alike = sigmas.shape[1] == 1 or bool((sigmas == sigmas[:, :1]).all())
        timestep = 1000 * (sigmas[:, 0] if alike else sigmas.repeat_interleave(batch.who[0, 0].numel(), 1))
        if batch.planner is not None:
            attention = {"planner": batch.planner}
        else:
            attention = {"layouts": [batch.layout] * len(noisy), "windows": batch.windows, "settings": settings}
        return model(noisy, timestep, batch.text, attention_kwargs=attention, return_dict=False)[0].float()


def velocity_weight(who: torch.Tensor, shots: torch.Tensor) -> torch.Tensor:
    """How much each place of the latents (B, 1, T, h, w) counts."""
    puppets = torch.arange(MOST_PUPPETS, device=who.device)
    tokens = (who[..., None] == puppets).sum((-3, -2))  # of each puppet in each frame
    tokens = tokens.gather(-1, who.clamp(min=0).flatten(2).long()).view_as(who)
    small = (_PUPPET_WEIGHT * _PUPPET_TOKENS / tokens).clamp(_PUPPET_WEIGHT, _MOST_PUPPET_WEIGHT)
    weight = torch.where(who >= 0, small, 1.0)
    opens = torch.ones_like(weight[..., 0, 0])
    opens[:, 1:] = (shots[:, 1:] != shots[:, :-1]).float()
    weight = weight * (1 + (_OPENING_WEIGHT - 1) * opens)[..., None, None]
    return weight.repeat_interleave(2, -2).repeat_interleave(2, -1).unsqueeze(1)


def train_transformer(
    folder: Path,
    bank: LatentBank | ResidentBank,
    minutes: float,
    settings: AttentionSettings | None = None,
    still_share: float = 0.22,
    mixed_stills: float = 0.6,
    lr: float = 2e-3,
    most_steps: int | None = None,
    start: Path | None = None,
    device: str | torch.device = "cpu",
) -> None:
    """Train until `minutes` of compute are used in all, resuming from `folder`/state.pt, or else from `start`.

    The first `still_share` of the time goes to stills, and after it `mixed_stills` of the steps, less and less, without
    a start: they show four times as many scenes in the same time, but nothing that moves. `settings`: HoloCine's
    attention unless given. `most_steps` ends this call early, as if it had been interrupted. A `ResidentBank` is for
    HoloCine's attention only.
    """
    device = torch.device(device)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings or AttentionSettings()
    model = (
        HoloCineTransformer3DModel.from_pretrained(start, torch_dtype=torch.float32) if start else build_transformer()
    )
    model.train().to(device)
    if (minutes >= _FUSE_MINUTES and most_steps is None) or isinstance(bank, ResidentBank):
        fuse(model)
    reader = Reader(model.config.num_attention_heads * model.config.attention_head_dim).to(device)
    if start and not (folder / "state.pt").exists():
        fit_reader(reader, model, bank, settings, _READER_SHARE * minutes)
    both = nn.ModuleDict({"transformer": model, "reader": reader})
    trainer = Trainer(both, minutes, lr, folder / "state.pt", most_steps, not_muon=NOT_MUON)

    def save_model() -> None:
        save_averaged(model, trainer.average, folder / "model", prefix="transformer.")

    history: list[tuple[tuple[bool, bool], torch.Tensor]] = []
    for step in trainer.steps(save_model):
        mixed = _STILLS_AFTER_START if start else max(0.05, mixed_stills * (1 - trainer.progress / 0.6))
        stills = trainer.progress < still_share or bank.rng.random() < mixed
        by_shot = bank.rng.random() < _BY_SHOT_SHARE
        loss, frame_loss, reading = losses(model, reader, bank.next_batch(stills), settings, by_shot)
        trainer.step(loss + _FRAME_WEIGHT * frame_loss + _READING_WEIGHT * reading)
        history.append(((stills, by_shot), torch.stack([loss, frame_loss, reading]).detach()))
        if step % _LOG_STEPS == 0:
            logger.info(
                "transformer step %d, %.1f min: loss, frame loss and reading on stills %s, on scenes %s; "
                "with levels by shot on stills %s, on scenes %s (%d shards)",
                step,
                trainer.spent_minutes,
                *(_mean_of(history, kind) for kind in ((True, False), (False, False), (True, True), (False, True))),
                len(bank),
            )
            del history[:-400]


def save_averaged(model: HoloCineTransformer3DModel, average: Average, folder: Path, prefix: str = "") -> None:
    """Save a copy of the model with the averages of its parameters; prefix: its name in what is averaged."""
    averaged = HoloCineTransformer3DModel.from_config(model.config).to(model.device)
    average.copy_to(averaged, prefix)
    averaged.save_pretrained(folder)


def _mean_of(history: list[tuple[tuple[bool, bool], torch.Tensor]], kind: tuple[bool, bool]) -> str:
    """Mean losses of the last hundred steps of one kind: on stills or not, with levels by shot or not."""
    recent = [values for found, values in history if found == kind][-100:]
    return " ".join(f"{mean:.4f}" for mean in torch.stack(recent).mean(0)) if recent else "-"
