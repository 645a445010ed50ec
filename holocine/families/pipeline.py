"""Storyboard in, video out, by a model of any family: translate, encode every caption, denoise, decode.

What differs between families is data (`Family`, `Rules`), and for ShotStream and LongLive their samplers; components,
checks and outputs are `HoloCinePipeline`'s. StoryMem has more components, and a pipeline of its own on this one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from diffusers import WanPipeline

import holocine.families.samplers  # noqa: F401  diffusers loads only classes of modules that are imported
from holocine.attention_plan import compute_dtype
from holocine.families import find_family
from holocine.families.family import Family
from holocine.families.longlive.prompt import FRAMES_PER_BLOCK as BLOCK
from holocine.families.longlive.prompt import caption_of_each_block
from holocine.families.longlive.sampling import denoise_blocks
from holocine.families.planning import Frames, planner
from holocine.families.shotstream.context import context_frames
from holocine.families.shotstream.sampling import (
    FRAMES_PER_BLOCK,
    NUM_BLOCKS,
    NUM_CONTEXT,
    NUM_FRAMES,
    STEPS,
    denoise_shot,
    frames_of,
)
from holocine.families.text import join
from holocine.families.translation import Translation, caption_name
from holocine.frame_stream import FrameStream, joined
from holocine.pipeline import HoloCineOutput, HoloCinePipeline
from holocine.pipeline_call import Cancelled, cancellable, check_denoised, check_tensor, timed, with_seed
from holocine.prompt import clean, count_tokens
from holocine.sharing import Team
from holocine.storyboard import Storyboard
from holocine.timeline import num_frames_of
from holocine.transformer import with_layouts
from holocine.unread import unread_negative

OPTIONS = ("height", "width", "num_inference_steps", "guidance_scale")


@dataclass
class FamilyOutput(HoloCineOutput):
    """What a run of `FamilyPipeline` made; notes: what the model could not express, a sentence each."""

    notes: list[tuple[str, ...]] = field(default_factory=list)


class FamilyPipeline(HoloCinePipeline):
    """Generates multi-shot videos from storyboards with a model of another family.

    family: its name. Defaults are those of the family and part of the saved config; so is the size, the only one that
    the model is run at.
    """

    takes_pictures = False

    def __init__(
        self,
        tokenizer,
        text_encoder,
        vae,
        scheduler,
        transformer,
        transformer_2=None,
        boundary_ratio: float | None = None,
        expand_timesteps: bool = False,
        family: str = "echoshot",
        default_height: int | None = None,
        default_width: int | None = None,
        default_num_inference_steps: int | None = None,
        default_guidance_scale: float | None = None,
        default_negative_prompt: str | None = None,
        max_sequence_length: int = 512,
    ):
        known = find_family(family)

        def given(value: Any, default: Any) -> Any:
            return default if value is None else value

        # Not HoloCine's: its defaults would become part of the config, where they mean nothing.
        WanPipeline.__init__(
            self,
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            scheduler=scheduler,
            transformer=with_layouts(transformer),
            transformer_2=transformer_2,
            boundary_ratio=boundary_ratio,
            expand_timesteps=expand_timesteps,
        )
        self.register_to_config(
            family=family,
            default_height=given(default_height, known.height),
            default_width=given(default_width, known.width),
            default_num_inference_steps=given(default_num_inference_steps, known.steps),
            default_guidance_scale=given(default_guidance_scale, known.guidance),
            default_negative_prompt=given(default_negative_prompt, known.negative_prompt),
            max_sequence_length=max_sequence_length,
        )

    @property
    def family(self) -> Family:
        return find_family(self.config.family)

    def share(self, team: Team | None) -> None:
        if team is not None and self.family.causal:
            raise ValueError(
                f"{self.family.title} makes one part after the other, which processes cannot share: start one"
            )
        super().share(team)

    @torch.no_grad()
    def __call__(
        self,
        storyboard: Storyboard | Sequence[Storyboard],
        negative_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        seed: int | None = None,
        latents: torch.Tensor | None = None,
        caption_embeds: Sequence[torch.Tensor] | None = None,
        negative_embeds: torch.Tensor | None = None,
        output_type: str = "np",
        callback_on_step_end: Callable | None = None,
        **others: Any,
    ) -> FamilyOutput:
        """Generate a video for each storyboard, one after the other; None means the model's default.

        height, width: pixels; only the model's own. guidance_scale: above 1 the negative prompt is denoised too.
        seed: draws all noise, on the CPU. latents: noise to begin with, in place of the first that the seed draws: (1,
        channels, latent frames, latent height, latent width), of ShotStream that of all shots, one after the other.
        caption_embeds, negative_embeds: text-encoder output (tokens, text dim) without padding, of each of the captions
        that the model reads and of the negative prompt. callback_on_step_end: as diffusers calls it, with "latents";
        may return {"cancel": True} or raise `Cancelled`. others: options of HoloCine's, which have to be None here.

        Raises ValueError for bad input and for what the family cannot do, `PromptTooLong` for too much text.
        """
        self._check_options(others, height, width, num_inference_steps, guidance_scale, negative_prompt)
        steps = num_inference_steps or self.config.default_num_inference_steps
        scale = self.config.default_guidance_scale if guidance_scale is None else guidance_scale
        self._check_settings(self.config.default_height, self.config.default_width, steps, scale, None, output_type)
        storyboards = [storyboard] if isinstance(storyboard, Storyboard) else list(storyboard)
        if not storyboards:
            raise ValueError("the list of storyboards is empty")
        storyboards = [with_seed(board, seed) for board in storyboards]
        translations = [self.family.translate(board) for board in storyboards]
        timings: dict[str, float] = {"text": 0.0, "denoise": 0.0, "decode": 0.0}
        videos, cancelled = [], False
        try:
            for translation in translations:
                with timed(timings, "text"):
                    captions = self._captions(translation, caption_embeds)
                    negative = self._negative(translation, negative_prompt, negative_embeds) if scale > 1 else None
                how = (latents, output_type, callback_on_step_end, timings)
                videos.append(self._make(translation, captions, negative, steps, scale, *how))
        except Cancelled:
            cancelled = True
        finally:
            self.maybe_free_model_hooks()
        if cancelled:
            del videos
            raise Cancelled("generation was cancelled")
        if output_type in ("pt", "latent") and len({video.shape for video in videos}) == 1:
            videos = torch.stack(videos)
        return FamilyOutput(
            frames=videos,
            storyboards=[translation.storyboard for translation in translations],
            seed=storyboards[0].seed,
            timings=timings,
            notes=[
                (*one.notes, *self._unread(negative_prompt or board.negative_prompt, scale))
                for one, board in zip(translations, storyboards, strict=True)
            ],
        )

    def _check_options(self, others: dict[str, Any], height, width, steps, scale, negative_prompt) -> None:
        title = self.family.title
        for name, value in others.items():
            if value is not None:
                raise ValueError(f"{title} has no {name}: leave it out; its options are {', '.join(OPTIONS)}")
        self.family.check_call(height, width, steps, scale, (self.config.default_height, self.config.default_width))
        if self.family.fixed_steps and negative_prompt is not None:
            raise ValueError(f"{title} has no guidance and reads no negative prompt: leave negative_prompt out")

    def _unread(self, negative_prompt: str | None, scale: float) -> tuple[str, ...]:
        if self.family.fixed_steps:  # whose notes have it
            return ()
        return unread_negative(self.family.title, negative_prompt, scale, scale > 1)

    # Text

    def _captions(self, translation: Translation, embeds: Sequence[torch.Tensor] | None) -> list[torch.Tensor]:
        if embeds is None:
            embeds = [self._encode_alone(t, caption_name(translation, n)) for n, t in enumerate(translation.captions)]
        elif len(embeds) != len(translation.captions):
            count = len(translation.captions)
            raise ValueError(f"{len(embeds)} caption_embeds for {count} captions; give one for each")
        for embed in embeds:
            check_tensor("caption_embeds", embed, (None, self.transformer.config.text_dim))
        return list(embeds)

    def _negative(self, translation: Translation, text: str | None, embeds: torch.Tensor | None) -> list[torch.Tensor]:
        """The negative prompt, once for each caption."""
        if embeds is None:
            embeds = self._encode_alone(self._negative_prompt(translation.storyboard, text), "the negative prompt")
        check_tensor("negative_embeds", embeds, (None, self.transformer.config.text_dim))
        return [embeds] * len(translation.captions)

    def _encode_alone(self, text: str, which: str) -> torch.Tensor:
        """Text-encoder output of one text, without padding: (tokens, text dim)."""
        most = self.config.max_sequence_length
        tokens = count_tokens(text, self.tokenizer, most, which)
        embeds = self._get_t5_prompt_embeds(clean(text), max_sequence_length=most, dtype=self.transformer.dtype)
        return embeds[0, :tokens]

    def _make(self, translation: Translation, captions, negative, steps, scale, *how):
        """The one video of a translation; how: latents, output_type, callback, timings."""
        if self.family.causal == "blocks":
            return self._block_by_block(translation, captions, steps, *how)
        if self.family.causal == "shots":
            return self._one_after_the_other(translation, captions, *how)
        return self._together(translation, captions, negative, steps, scale, *how)

    # All shots together

    def _together(
        self, translation: Translation, captions, negative, steps, scale, latents, output_type, callback, timings
    ):
        rules = self.family.rules
        height, width = self.config.default_height, self.config.default_width
        frames = Frames.of(translation.latent_lengths, *self._tokens_of_frame(height, width))
        dtype = compute_dtype(captions[0])
        texts = {"cond": join(captions, rules.text_length, rules.padded, dtype)}
        if negative is not None:
            texts["uncond"] = join(negative, rules.text_length, rules.padded, dtype)
        total = sum(translation.latent_lengths)
        shape = self._noise_shape(total)
        check_tensor("latents", latents, shape)
        generator = torch.Generator("cpu").manual_seed(translation.storyboard.seed)
        plan = planner(rules, frames, texts, self.transformer.config.attention_head_dim, translation.common)
        with timed(timings, "denoise"), self._sampling(0.0, generator):
            latents = WanPipeline.__call__(
                self,
                prompt_embeds=texts["cond"].rows,
                negative_prompt_embeds=texts["uncond"].rows if negative is not None else None,
                height=height,
                width=width,
                num_frames=num_frames_of(total),
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=generator,
                latents=latents,
                output_type="latent",
                return_dict=False,
                attention_kwargs={"planner": plan, "guided": self._is_guided},
                callback_on_step_end=cancellable(callback),
                max_sequence_length=self.config.max_sequence_length,
            )[0]
        return self._shown(translation, latents, output_type, timings)

    def _shown(self, translation: Translation, latents: torch.Tensor, output_type: str, timings: dict[str, float]):
        """The one video of latents (1, …) as `HoloCineOutput.frames` holds it for `output_type`."""
        check_denoised(latents)
        if output_type == "latent":
            return latents[0]
        parts = latents.split(list(translation.latent_lengths), dim=2) if self.family.decodes == "each" else [latents]
        if output_type == "stream":
            return joined(*[self._stream(part, [], None, timings) for part in parts])
        with timed(timings, "decode"):
            return joined_parts([self.decode(part, output_type)[0] for part in parts])

    # One block after the other

    def _block_by_block(self, translation: Translation, captions, steps, latents, output_type, callback, timings):
        lengths = translation.latent_lengths
        shape = self._noise_shape(sum(lengths))
        check_tensor("latents", latents, shape)
        if latents is None:
            generator = torch.Generator("cpu").manual_seed(translation.storyboard.seed)
            latents = torch.randn(shape, generator=generator)
        frames = Frames.of(lengths, *self._tokens_of_frame(self.config.default_height, self.config.default_width))
        read = caption_of_each_block(lengths)
        frames = replace(frames, captions=tuple(n for n in read for _ in range(BLOCK)))
        report = cancellable(callback)
        with self.progress_bar(total=steps * len(read)) as bar, timed(timings, "denoise"):

            def step_end(step: int, timestep: float, current: torch.Tensor) -> None:
                bar.update()
                if report is not None:
                    report(self, step, torch.tensor(timestep), {"latents": current})

            noise, how = latents.to(self._execution_device), (self.scheduler, steps)
            made = denoise_blocks(self.transformer, self.family.rules, frames, captions, noise, *how, step_end=step_end)
        return self._shown(translation, made, output_type, timings)

    # One shot after the other

    def _one_after_the_other(self, translation: Translation, captions, latents, output_type, callback, timings):
        num_shots = translation.storyboard.num_shots
        shape = self._noise_shape(NUM_FRAMES)
        check_tensor("latents", latents, (*shape[:2], NUM_FRAMES * num_shots, *shape[3:]))
        size = self.config.default_height, self.config.default_width
        device = self._execution_device
        generator = torch.Generator("cpu").manual_seed(translation.storyboard.seed)
        report = cancellable(callback)

        def draw(num_frames: int) -> torch.Tensor:
            return torch.randn((*shape[:2], num_frames, *shape[3:]), generator=generator).to(device)

        made, finished, pixels = [], [], []
        kind = "np" if output_type == "stream" else output_type  # later shots are made of the pictures of earlier ones
        with self.progress_bar(total=num_shots * NUM_BLOCKS * len(STEPS)) as bar:

            def step_end(step: int, timestep: float, current: torch.Tensor) -> None:
                bar.update()
                if report is not None:
                    report(self, step, torch.tensor(timestep), {"latents": current})

            for shot in range(num_shots):
                begun = slice(NUM_FRAMES * shot, NUM_FRAMES * (shot + 1))
                noise = draw(NUM_FRAMES) if latents is None else latents[:, :, begun].to(device)
                with timed(timings, "denoise"):
                    made.append(
                        denoise_shot(
                            self.transformer,
                            self.family.rules,
                            frames_of(shot, *self._tokens_of_frame(*size)),
                            captions[: shot + 1],
                            self._context(pixels, shape, device),
                            noise,
                            lambda block, step: draw(FRAMES_PER_BLOCK),
                            self.scheduler.config.shift,
                            step_end,
                        )
                    )
                check_denoised(made[-1])
                with timed(timings, "decode"):
                    if shot + 1 < num_shots or output_type != "latent":
                        video = self.decode_video(made[-1]).clamp(-1, 1)
                        pixels.append(video.to("cpu"))
                        kept = video[:, :, : translation.storyboard.shots[shot].num_frames]
                        finished.append(self.as_output(kept, kind))
        if output_type == "latent":
            return torch.cat(made, dim=2)[0]
        frames = joined_parts([one[0] for one in finished])
        return FrameStream(frames.shape, lambda: frames) if output_type == "stream" else frames

    def _context(self, pixels: list[torch.Tensor], shape: tuple[int, ...], device) -> torch.Tensor:
        """Latents of the frames that the next shot sees: each encoded by itself; zeros for the first shot.

        pixels: every finished shot (1, 3, 81, height, width) in [-1, 1].
        """
        if not pixels:
            return torch.zeros((*shape[:2], NUM_CONTEXT, *shape[3:]), device=device)
        frames = [pixels[shot][:, :, frame : frame + 1] for shot, frame in context_frames(len(pixels))]
        return torch.cat([self.encode_video(frame.to(device)) for frame in frames], dim=2)

    def encode_video(self, video: torch.Tensor) -> torch.Tensor:
        """Latents of a video (batch, 3, frames, height, width) in [-1, 1], float32."""
        latents = self.vae.encode(video.to(self.vae.dtype)).latent_dist.mode()
        mean, std = self._latent_statistics(latents)
        return ((latents - mean) / std).float()

    def _noise_shape(self, num_latent_frames: int) -> tuple[int, ...]:
        scale = self.vae_scale_factor_spatial
        size = (self.config.default_height // scale, self.config.default_width // scale)
        return (1, self.transformer.config.in_channels, num_latent_frames, *size)


def joined_parts(parts: list):
    """One video of its parts: arrays (frames, …), tensors (frames, …) or lists of pictures."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    return [picture for part in parts for picture in part]
