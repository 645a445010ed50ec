"""Storyboard in, multi-shot video out: encode the text, denoise all shots together, decode.

`HoloCinePipeline` is diffusers' `WanPipeline` with a shot layout, HoloCine's defaults and checked inputs. The defaults
are part of the saved config, so a small embedded model and a 14B checkpoint run through the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import get_module_execution_device
from tqdm import tqdm

from .attention import AttentionSettings
from .encoding import encode_pictures, vae_fingerprint
from .frame_stream import FrameStream
from .keeping import Kept, Placed, check_fits, kept_of_each, placed, whole_shots
from .latent_decoding import decode_in_turn, one_ahead, to_uint8
from .locking import LEVELS, LatentLock, check_scheduler, lock_latents, locking
from .lora import resting
from .model_facts import SHOT_GUIDANCE_ABOVE
from .pipeline_call import (
    Cancelled,
    callback_tensors,
    cancellable,
    check_denoised,
    check_scale,
    check_share,
    check_tensor,
    is_count,
    is_number,
    storyboards_of,
    timed,
    with_seed,
)
from .prompt import DEFAULT_NEGATIVE_PROMPT, MAX_TEXT_TOKENS, TextWindows, clean, count_tokens, text_windows
from .restoring import LEAD, decode_with_kept, stream_with_kept
from .run_state import ResumeError, RunState, Saving, generators_of, remind
from .scheduler import HoloCineScheduler
from .sharing import Team
from .storage import DroppedTextEncoder
from .storyboard import Storyboard
from .summary_reuse import reuse_of
from .timeline import check_positions, check_size, num_frames_of
from .transformer import with_layouts

BOUNDARY_RATIO = 0.875
KEEP_EVERY = 6  # of five shots, one made anew takes 40 % of the arithmetic of all: docs/locked_shots.md
OUTPUT_TYPES = ("np", "pt", "pil", "latent", "stream")


@dataclass
class HoloCineOutput(BaseOutput):
    """What a run of `HoloCinePipeline` made.

    frames: for output_type "np" a list of uint8 arrays (frames, height, width, 3), one for each storyboard; for
        "stream" a list of `FrameStream`, which decode the same while they are read and add to `timings` then; for "pil"
        a list of lists of images; for "pt" a tensor (batch, frames, 3, height, width) in [0, 1]; for "latent" the
        latents (batch, channels, latent frames, latent height, latent width).
    storyboards: the storyboards as run: on frames that can be cut at, with the seed that was used; each knows the one
        that was `asked`.
    seed: the first storyboard's seed; None when noise came from `generator` or `latents`.
    timings: seconds spent in "text", "denoise" and "decode", and in "encode" where pictures are kept.
    latents: (batch, channels, latent frames, latent height, latent width) float32 on the CPU, whatever `frames` is;
        made_by: the fingerprint of the VAE that they are of. `holocine.keep_shots` makes a `keep` of them.
    """

    frames: Any
    storyboards: list[Storyboard]
    seed: int | None
    timings: dict[str, float]
    latents: torch.Tensor | None = None
    made_by: str | None = None


class HoloCinePipeline(WanPipeline):
    """Generates multi-shot videos from storyboards with Wan models of one or two experts.

    Beside `WanPipeline`'s components and options:

    default_height, default_width: pixels. default_num_inference_steps, default_guidance_scale,
    default_guidance_scale_2 (of the low-noise expert, if not the other's), default_guidance_below,
    default_shot_guidance, default_shot_guidance_above, default_distilled_below, default_eta, default_negative_prompt,
    default_attention ("sparse", "full", …; what the weights were trained with), default_keep_every, default_keep_level:
    what a call uses for arguments that are None. max_sequence_length: text tokens.

    Stock components are taken over: a `WanTransformer3DModel` becomes a `HoloCineTransformer3DModel` in place, a
    `FlowMatchEulerDiscreteScheduler` a `HoloCineScheduler` of the same config. boundary_ratio is HoloCine's 0.875
    where it is None and there are two experts.
    """

    _optional_components = ["transformer_2"]
    dropped_text_encoder: DroppedTextEncoder | None = None  # loads the text encoder where there is none
    takes_pictures = True  # whether shots can begin from pictures, see `holocine.from_pictures`
    has_distilled = False  # whether a step-distilled LoRA is loaded (`holocine.lora`)
    _guidance_below = 1.0
    _shot_guidance = 1.0
    _shot_guidance_above = 1.0
    _distilled_below = 1.0
    _read: tuple[tuple | None, tuple | None] = (None, None)  # the last texts, and their embeddings
    _lock: LatentLock | None = None
    _resume: RunState | None = None
    _steps_passed = 0

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
        default_height: int = 480,
        default_width: int = 832,
        default_num_inference_steps: int = 50,
        default_guidance_scale: float = 5.0,
        default_guidance_scale_2: float | None = None,
        default_guidance_below: float = 1.0,
        default_shot_guidance: float = 1.0,
        default_shot_guidance_above: float = SHOT_GUIDANCE_ABOVE,
        default_distilled_below: float = 1.0,
        default_eta: float = 0.0,
        default_negative_prompt: str = DEFAULT_NEGATIVE_PROMPT,
        default_attention: str = "sparse",
        default_keep_every: int = KEEP_EVERY,
        default_keep_level: str = "same",
        max_sequence_length: int = MAX_TEXT_TOKENS,
    ):
        if type(scheduler) is FlowMatchEulerDiscreteScheduler:
            scheduler = HoloCineScheduler.from_config(scheduler.config)
        if boundary_ratio is None and transformer_2 is not None:
            boundary_ratio = BOUNDARY_RATIO
        super().__init__(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            scheduler=scheduler,
            transformer=with_layouts(transformer),
            transformer_2=with_layouts(transformer_2),
            boundary_ratio=boundary_ratio,
            expand_timesteps=expand_timesteps,
        )
        AttentionSettings.parse(default_attention)
        self.register_to_config(
            default_height=default_height,
            default_width=default_width,
            default_num_inference_steps=default_num_inference_steps,
            default_guidance_scale=default_guidance_scale,
            default_guidance_scale_2=default_guidance_scale_2,
            default_guidance_below=default_guidance_below,
            default_shot_guidance=default_shot_guidance,
            default_shot_guidance_above=default_shot_guidance_above,
            default_distilled_below=default_distilled_below,
            default_eta=default_eta,
            default_negative_prompt=default_negative_prompt,
            default_attention=default_attention,
            default_keep_every=default_keep_every,
            default_keep_level=default_keep_level,
            max_sequence_length=max_sequence_length,
        )

    @torch.no_grad()
    def __call__(
        self,
        storyboard: Storyboard | Sequence[Storyboard] | None = None,
        prompt: str | None = None,
        shot_cut_frames: Sequence[int] | None = None,
        num_frames: int | None = None,
        negative_prompt: str | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_scale_2: float | None = None,
        guidance_below: float | None = None,
        shot_guidance: float | None = None,
        shot_guidance_above: float | None = None,
        distilled_below: float | None = None,
        eta: float | None = None,
        attention: str | AttentionSettings | None = None,
        window: bool | None = None,
        leak_free: bool | None = None,
        kernel: str | None = None,
        seed: int | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        text_windows: Sequence[TextWindows | None] | None = None,
        keep: Kept | Sequence[Kept] | Sequence[Sequence[Kept] | None] | None = None,
        keep_every: int | None = None,
        keep_level: str | None = None,
        output_type: str = "np",
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        on_state: Callable[[RunState], Any] | None = None,
        state_every: int | None = None,
        resume: RunState | None = None,
        return_dict: bool = True,
    ) -> HoloCineOutput | tuple:
        """Generate a video for each storyboard; None means the model's default.

        storyboard: one or several of the same number of frames; or else prompt, shot_cut_frames and num_frames in
            HoloCine's own notation (num_frames 241 when None).
        negative_prompt: overrides the storyboard's own. height, width: pixels.
        guidance_scale: above 1 the negative prompt is denoised too; guidance_scale_2: for the low-noise expert.
        guidance_below: the noise level sigma, 0 to 1, down to which the text is followed without guidance (Kynkäänniemi
            et al., 2024), in half the time; 1 guides every step.
        shot_guidance: above 1 shots agree more on what no text says: in the steps noisier than shot_guidance_above, a
            sigma of 0 to 1, the velocity with the prompt is moved so many times as far from that of shots which do not
            see one another as it is, in a pass more for each step; text guidance adds to that. 1 is none.
        distilled_below: the noise level sigma, 0 to 1, down to which a model with a step-distilled LoRA runs as if it
            had none, guided; from there on with it and without guidance by anything. 1 runs all steps with it.
        eta: how much fresh noise the noisiest steps draw, 0 to 1; see `HoloCineScheduler.sampling`.
        attention, window, leak_free, kernel: see `AttentionSettings`; attention may be one, or "full", "sparse",
            "sparse:first+last", "isolated", …
        seed: draws the noise on the CPU, the same for each storyboard; overrides the storyboards' seeds. Without any,
            one is drawn for each storyboard. generator and latents replace it.
        latents: noise to begin with (batch, channels, latent frames, height / 8, width / 8); fresh noise still comes
            from the generator.
        prompt_embeds, negative_prompt_embeds: (batch, text length, text dim), zero rows after the text. prompt_embeds
            need text_windows, one for each storyboard, as long as the window is on.
        keep: what is given of the video instead of being made, see `holocine.keeping`; of several storyboards a list
            for each. Latents are held in place while the others are denoised, pictures are encoded for that, and the
            frames come back bit for bit (as `output_type` "latent" the latents do).
        keep_every: in every how many steps, on average, kept shots are computed to see what they show the others, more
            often in the noisiest; 1 is exact. See
            `holocine.summary_reuse`: several save time in attention "sparse", where shots are kept whole, the same in
            all storyboards, and decode no more than the new shots need.
        keep_level: how noisy the model sees what is kept, the "same" as all else or "clean"; clean is for weights that
            were trained with a noise level for each shot.
        callback_on_step_end: called as diffusers does; may return {"cancel": True} or raise `Cancelled`.
        on_state: called with where the run stands once it is denoised, before anything is decoded, and after every
            state_every steps on the way, None for no others; steps after which a run goes on with what only memory
            holds (summaries of kept shots, see keep_every) are passed over.
        resume: where a run with the same arguments stood, from `on_state`: this one goes on from there, to the same
            video.

        Raises ValueError for bad input, `KeepError` (one too) for what cannot be kept, `PromptTooLong` (one too) for
        too much text, and `Cancelled` when it was
        stopped, with all tensors of the run freed.
        """
        height = self.config.default_height if height is None else height
        width = self.config.default_width if width is None else width
        steps = self.config.default_num_inference_steps if num_inference_steps is None else num_inference_steps
        guidance_scale = self.config.default_guidance_scale if guidance_scale is None else guidance_scale
        storyboards = storyboards_of(storyboard, prompt, shot_cut_frames, num_frames)
        below = self.config.default_guidance_below if guidance_below is None else guidance_below
        together = self.config.default_shot_guidance if shot_guidance is None else shot_guidance
        above = self.config.default_shot_guidance_above if shot_guidance_above is None else shot_guidance_above
        eta = self.config.default_eta if eta is None else eta
        settings = self._attention_settings(attention, window=window, leak_free=leak_free, kernel=kernel)
        self._check_settings(height, width, steps, guidance_scale, guidance_scale_2, output_type)
        check_scale("shot_guidance", together)
        if guidance_scale_2 is None and guidance_scale > 1:
            guidance_scale_2 = self.config.default_guidance_scale_2
        rest = self.config.default_distilled_below if distilled_below is None else distilled_below
        self._check_shares(below, above, eta, rest)
        self._guidance_below, self._distilled_below = below, rest
        self._shot_guidance, self._shot_guidance_above = together, above
        check_positions(storyboards[0].num_frames, self.transformer.config.rope_max_seq_len)
        kept = self._kept(keep, storyboards, height, width)
        every = self.config.default_keep_every if keep_every is None else keep_every
        if not is_count(every):
            raise ValueError(f"keep_every {every} is not a whole number of 1 or more; 1 is exact")
        level = self.config.default_keep_level if keep_level is None else keep_level
        if level not in LEVELS:
            raise ValueError(f"keep_level {level!r} is unknown; choose one of {', '.join(LEVELS)}")
        latents_shape = self._latents_shape(storyboards, height, width)
        check_tensor("latents", latents, latents_shape)
        self._check_states(state_every, resume, latents, latents_shape, steps)
        text_shape = (len(storyboards), None, self.transformer.config.text_dim)
        check_tensor("prompt_embeds", prompt_embeds, text_shape)
        check_tensor("negative_prompt_embeds", negative_prompt_embeds, text_shape)
        if generator is None and latents is None:
            storyboards = [with_seed(board, seed) for board in storyboards]
            generator = [torch.Generator("cpu").manual_seed(board.seed) for board in storyboards]
        else:
            storyboards = [board.model_copy(update={"seed": None}) for board in storyboards]
        layouts = [board.layout(*self._tokens_of_frame(height, width)) for board in storyboards]
        windows = self._text_windows(storyboards, settings, prompt_embeds, text_windows)
        timings: dict[str, float] = {}
        cancelled, denoised = False, resume is not None and resume.is_finished
        try:
            if not denoised:
                with timed(timings, "text"):
                    prompt_embeds, negative_prompt_embeds = self._encode(
                        storyboards, negative_prompt, guidance_scale > 1, prompt_embeds, negative_prompt_embeds
                    )
            lock = reuse = None
            if kept is not None and not denoised:
                reuse = reuse_of(layouts, [whole_shots(places) for places in kept], every, level == "clean")
                with timed(timings, "encode"):
                    lock = lock_latents(kept, latents_shape, lambda places: encode_pictures(self.vae, places), level)
                    self.maybe_free_model_hooks()
            seeds = [board.seed for board in storyboards]
            saving = None if on_state is None else Saving(on_state, state_every, steps, seeds, generator, lock, reuse)
            if denoised:
                latents = resume.latents
            else:
                with (
                    timed(timings, "denoise"),
                    self._sampling(eta, generator),
                    self._locking(lock),
                    self._resting(),
                    self._going_on(resume, generator),
                ):
                    latents = super().__call__(
                        prompt_embeds=prompt_embeds,
                        negative_prompt_embeds=negative_prompt_embeds,
                        height=height,
                        width=width,
                        num_frames=storyboards[0].num_frames,
                        num_inference_steps=steps,
                        guidance_scale=guidance_scale,
                        guidance_scale_2=guidance_scale_2,
                        generator=generator,
                        latents=latents if resume is None else resume.latents,
                        output_type="latent",
                        return_dict=False,
                        attention_kwargs={
                            **(attention_kwargs or {}),
                            "layouts": layouts,
                            "windows": windows,
                            "settings": settings,
                            **({} if together == 1 else {"shot_guidance": self._shot_guidance_now}),
                            # Summaries that are used again are of the heads that a process had before.
                            **({"guided": self._is_guided} if reuse is None else {"reuse": reuse}),
                            **({} if lock is None or level == "same" else {"clean_frames": lock.clean_frames}),
                        },
                        **self._step_end(callback_on_step_end, callback_on_step_end_tensor_inputs, saving),
                        max_sequence_length=self.config.max_sequence_length,
                    )[0]
                    latents = latents if lock is None else lock.finished(latents)
            check_denoised(latents)
            if saving is not None:
                saving.finished(latents)
            with timed(timings, "decode"):
                lead = None if every == 1 else LEAD
                kept = kept or [[]] * len(latents)
                if output_type == "stream":
                    frames = [self._stream(*one, lead, timings) for one in zip(latents.split(1), kept, strict=True)]
                else:
                    frames = decode_with_kept(self.decode, latents, kept, output_type, lead)
        except Cancelled:
            cancelled = True
        finally:
            self.maybe_free_model_hooks()
        if cancelled:
            # Raised anew, and without the text: a traceback keeps all tensors of its frames alive.
            del prompt_embeds, negative_prompt_embeds, latents
            raise Cancelled("generation was cancelled")
        if not return_dict:
            return (frames,)
        return HoloCineOutput(
            frames=frames,
            storyboards=storyboards,
            seed=storyboards[0].seed,
            timings=timings,
            latents=latents.to("cpu", torch.float32),
            made_by=vae_fingerprint(self.vae),
        )

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether this call is guided, and while it is denoising, whether this step is."""
        if self._current_timestep is None:
            return super().do_classifier_free_guidance
        guided = super().do_classifier_free_guidance and self._scale != 1 and self._level <= self._guidance_below
        return bool(guided and not self._is_distilled)

    @property
    def _is_distilled(self) -> bool:
        """Whether a step-distilled LoRA that acts in some steps acts in this one, which goes without guidance."""
        return bool(self._distilled_below < 1 and self._level <= self._distilled_below)

    @property
    def _level(self) -> torch.Tensor:
        """The noise level sigma of this step."""
        return self._current_timestep / self.scheduler.config.num_train_timesteps

    @property
    def _scale(self) -> float:
        """The guidance scale of the expert that takes this step."""
        boundary = self.config.boundary_ratio
        return self._guidance_scale if boundary is None or self._level >= boundary else self._guidance_scale_2

    def share(self, team: Team | None) -> None:
        """Let the processes of a team, each of which makes the same call, share the forward passes of every step.

        They have to be given the same seed, or noise. Each has the latents of the whole video in the end.
        """
        for expert in self.experts:
            expert.team = team

    def _is_guided(self) -> bool:
        return self.do_classifier_free_guidance

    def _shot_guidance_now(self) -> float:
        """How far this step's velocity with the prompt is moved, so that text guidance adds to that, not multiplies."""
        if self._level <= self._shot_guidance_above or self._is_distilled:
            return 1.0
        return 1 + (self._shot_guidance - 1) / (self._scale if self.do_classifier_free_guidance else 1)

    def prepare_latents(self, *args, **kwargs) -> torch.Tensor:
        """Draw the noise as `WanPipeline` does, with what is kept at its place."""
        latents = super().prepare_latents(*args, **kwargs)
        if self._lock is None:
            return latents
        if self._resume is not None:
            return self._lock.go_on(latents, self._resume.noise)
        return self._lock.begin(latents, float(self.scheduler.sigmas[0]))

    @property
    def interrupt(self) -> bool:
        """Asked before each step, which is left out if this is true: here, those that a resumed run had done."""
        resume = self._resume
        if resume is not None and self._steps_passed < resume.step:
            self._steps_passed += 1
            return True
        if resume is not None and self._steps_passed == resume.step:
            self._steps_passed += 1
            remind(self.scheduler, resume.scheduler, self._execution_device)
        return super().interrupt

    def progress_bar(self, iterable=None, total=None):
        bar = super().progress_bar(iterable, total)
        if self._resume is not None and total is not None:
            bar.initial = self._resume.step
            bar.update(self._resume.step)
        return bar

    @contextmanager
    def _going_on(self, resume: RunState | None, generator) -> Iterator[None]:
        """Inside the block, a run of `WanPipeline` begins with the step after those of `resume`."""
        if resume is not None:
            for drawn, state in zip(generators_of(generator), resume.generators, strict=True):
                drawn.set_state(state)
        self._resume, self._steps_passed = resume, 0
        try:
            yield
        finally:
            self._resume = None

    @property
    def experts(self) -> list[torch.nn.Module]:
        """The transformers, that of more noise first."""
        return [expert for expert in (self.transformer, self.transformer_2) if expert is not None]

    def _resting(self) -> AbstractContextManager[None]:
        """Inside, a step-distilled LoRA acts only in the steps below `distilled_below`."""
        if self._distilled_below == 1:
            return nullcontext()
        trained = self.scheduler.config.num_train_timesteps
        return resting(self.experts, lambda: bool(self._current_timestep / trained > self._distilled_below))

    @contextmanager
    def _locking(self, lock: LatentLock | None) -> Iterator[None]:
        self._lock = lock
        try:
            yield
        finally:
            self._lock = None

    def _kept(self, keep, storyboards: list[Storyboard], height: int, width: int) -> list[list[Placed]] | None:
        """Put what is kept on the storyboards and check that it fits; None where nothing is."""
        kept = kept_of_each(keep, len(storyboards))
        if kept is None:
            return None
        check_scheduler(self.scheduler)
        places = [placed(given, board) if given else [] for given, board in zip(kept, storyboards, strict=True)]
        _, channels, _, *latent_size = self._latents_shape(storyboards, height, width)
        made_by = vae_fingerprint(self.vae)
        for given in places:
            check_fits(given, (channels, *latent_size), (height, width), made_by)
        return places

    def _step_end(self, callback: Callable | None, names: list[str] | None, saving: Saving | None) -> dict[str, Any]:
        """What `WanPipeline` is to call after each step, and with which tensors."""
        names = callback_tensors(callback, names)
        callback = cancellable(callback)
        if self._lock is not None:
            callback, names = locking(self._lock, callback), list(dict.fromkeys([*names, "latents"]))
        if saving is not None:
            callback, names = saving.after(callback), list(dict.fromkeys([*names, "latents"]))
        return {"callback_on_step_end": callback, "callback_on_step_end_tensor_inputs": names}

    def _sampling(self, eta: float, generator) -> AbstractContextManager[None]:
        ours = isinstance(self.scheduler, HoloCineScheduler)
        return self.scheduler.sampling(eta, generator) if ours else nullcontext()

    def _attention_settings(self, attention: str | AttentionSettings | None, **overrides) -> AttentionSettings:
        attention = self.config.default_attention if attention is None else attention
        settings = attention if isinstance(attention, AttentionSettings) else AttentionSettings.parse(attention)
        return replace(settings, **{name: value for name, value in overrides.items() if value is not None})

    def _check_settings(self, height, width, steps, guidance_scale, guidance_scale_2, output_type) -> None:
        multiple = tuple(self.vae_scale_factor_spatial * patch for patch in self.transformer.config.patch_size[1:])
        for name, pixels, divisor in zip(("height", "width"), (height, width), multiple, strict=True):
            if not is_count(pixels) or pixels % divisor:
                near = max(divisor, round(pixels / divisor) * divisor) if is_number(pixels) else divisor
                raise ValueError(f"{name} {pixels} is not a positive multiple of {divisor} pixels; use {near}")
        check_size(height, width, multiple, self.transformer.config.rope_max_seq_len)
        if not is_count(steps):
            raise ValueError(f"num_inference_steps {steps} is not a whole number of 1 or more")
        check_scale("guidance_scale", guidance_scale)
        if guidance_scale_2 is not None:
            check_scale("guidance_scale_2", guidance_scale_2)
        if guidance_scale_2 is not None and guidance_scale_2 > 1 >= guidance_scale:
            raise ValueError(
                f"guidance_scale_2 {guidance_scale_2} needs guidance_scale above 1 (it is {guidance_scale}): "
                "that one switches guidance on for both experts"
            )
        if guidance_scale_2 is not None and self.transformer_2 is None:
            raise ValueError("guidance_scale_2 is for models of two experts and this one has one; leave it out")
        if self.transformer_2 is None and self.config.boundary_ratio is not None:
            raise ValueError(
                f"the model's config switches experts (boundary_ratio {self.config.boundary_ratio}) but transformer_2 "
                "is missing; load it, or set boundary_ratio to None"
            )
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output_type {output_type!r} is unknown; choose one of {', '.join(OUTPUT_TYPES)}")

    def _check_states(self, every: int | None, resume: RunState | None, latents, shape, steps: int) -> None:
        if every is not None and not is_count(every):
            raise ValueError(f"state_every {every} is not a whole number of 1 or more; None is only when all are done")
        if resume is None:
            return
        if latents is not None:
            raise ValueError("latents are to begin with, and a run that goes on has begun: give latents or resume")
        if resume.of != steps:
            raise ResumeError(f"the run that is to go on has {resume.of} steps, not {steps}: give as many")
        check_tensor("the latents of resume", resume.latents, tuple(shape))

    def _check_shares(self, guidance_below, shot_guidance_above, eta, distilled_below) -> None:
        check_share("guidance_below", guidance_below, "1 guides every step")
        check_share("shot_guidance_above", shot_guidance_above, "1 guides none by the other shots")
        check_share("eta", eta, "0 draws no fresh noise")
        check_share("distilled_below", distilled_below, "1 distils every step")
        if distilled_below < 1 and not self.has_distilled:
            raise ValueError(
                f"distilled_below {distilled_below} needs a step-distilled LoRA, and none is loaded: "
                "load one (load_pipeline(distilled=...), --distilled), or set it to 1"
            )
        if eta and not isinstance(self.scheduler, HoloCineScheduler):
            raise ValueError(f"eta {eta} needs a HoloCineScheduler, not {type(self.scheduler).__name__}; set it to 0")

    def _tokens_of_frame(self, height: int, width: int) -> tuple[int, int]:
        """Return the tokens down and across one latent frame."""
        _, patch_height, patch_width = self.transformer.config.patch_size
        scale = self.vae_scale_factor_spatial
        return height // (scale * patch_height), width // (scale * patch_width)

    def _latents_shape(self, storyboards: list[Storyboard], height: int, width: int) -> tuple[int, ...]:
        frames = (storyboards[0].num_frames - 1) // self.vae_scale_factor_temporal + 1
        scale = self.vae_scale_factor_spatial
        return (len(storyboards), self.transformer.config.in_channels, frames, height // scale, width // scale)

    def _text_windows(
        self,
        storyboards: list[Storyboard],
        settings: AttentionSettings,
        prompt_embeds: torch.Tensor | None,
        windows: Sequence[TextWindows | None] | None,
    ) -> list[TextWindows | None] | None:
        """Return the windows given, or find those of the prompts, which also checks that no prompt is too long."""
        found = None
        if prompt_embeds is None:
            length = self.config.max_sequence_length
            found = [text_windows(clean(board.prompt), self.tokenizer, max_length=length) for board in storyboards]
        if windows is None and found is None and settings.window:
            raise ValueError("prompt_embeds hide where the captions are; pass text_windows too, or window=False")
        if windows is not None and len(windows) != len(storyboards):
            raise ValueError(f"{len(windows)} text_windows for {len(storyboards)} storyboards; give one for each")
        return found if windows is None else list(windows)

    def _encode(
        self,
        storyboards: list[Storyboard],
        negative_prompt: str | None,
        guided: bool,
        prompt_embeds: torch.Tensor | None,
        negative_prompt_embeds: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the text embeddings, zero after the text, and those of the negative prompts if there is guidance."""
        negative_prompts = None
        if guided and negative_prompt_embeds is None:
            negative_prompts = [self._negative_prompt(board, negative_prompt) for board in storyboards]
            for text in set(negative_prompts):
                count_tokens(text, self.tokenizer, self.config.max_sequence_length, "the negative prompt")
        prompts = None if prompt_embeds is not None else [board.prompt for board in storyboards]
        texts = (prompts, negative_prompts)
        if texts == (None, None):
            return prompt_embeds, negative_prompt_embeds if guided else None
        if texts == self._read[0]:  # a dropped encoder is not loaded again for another take
            return self._read[1]
        with self._text_encoder():
            embeds = self.encode_prompt(
                prompt=prompts,
                negative_prompt=negative_prompts,
                do_classifier_free_guidance=guided,
                prompt_embeds=prompt_embeds,
                negative_prompt_embeds=negative_prompt_embeds if guided else None,
                max_sequence_length=self.config.max_sequence_length,
            )
        if self.dropped_text_encoder is not None and prompt_embeds is negative_prompt_embeds is None:
            self._read = texts, embeds
        return embeds

    @contextmanager
    def _text_encoder(self) -> Iterator[None]:
        """Inside the block the text encoder is there, loaded for it if it was dropped."""
        if self.dropped_text_encoder is None:
            yield
            return
        with self.dropped_text_encoder.loaded() as self.text_encoder:
            try:
                yield
            finally:
                self.text_encoder = None

    def _negative_prompt(self, storyboard: Storyboard, negative_prompt: str | None) -> str:
        choices = (negative_prompt, storyboard.negative_prompt, self.config.default_negative_prompt)
        return next(text for text in choices if text is not None)

    def decode(self, latents: torch.Tensor, output_type: str = "np"):
        """Turn the latents of one or more videos into what `HoloCineOutput.frames` holds for `output_type`."""
        if output_type == "latent":
            return latents
        if output_type == "np":
            parts = [to_uint8(pixels) for pixels in decode_in_turn(self.vae, self._for_vae(latents))]
            return list(np.concatenate(parts, axis=1))
        return self.as_output(self.decode_video(latents), output_type)

    def decode_frames(self, latents: torch.Tensor) -> Iterator[np.ndarray]:
        """Yield the frames, uint8 (height, width, 3), of the latents (1, …) of one video while they are decoded."""
        for frames in one_ahead(decode_in_turn(self.vae, self._for_vae(latents))):
            yield from frames[0]

    def decode_video(self, latents: torch.Tensor) -> torch.Tensor:
        """Turn latents into pixels (batch, 3, frames, height, width), about -1 to 1."""
        return self.vae.decode(self._for_vae(latents), return_dict=False)[0]

    def _for_vae(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents in the scale, on the device and in the type that the VAE takes."""
        latents = latents.to(get_module_execution_device(self.vae), dtype=self.vae.dtype)
        mean, std = self._latent_statistics(latents)
        return latents * std + mean

    def _stream(
        self, latents: torch.Tensor, places: Sequence[Placed], lead: int | None, timings: dict[str, float]
    ) -> FrameStream:
        """The frames of the latents (1, …) of one video, around what is kept; decoding adds to `timings`."""

        def begin() -> Iterator[np.ndarray]:
            frames = stream_with_kept(self.decode_frames, latents, places, lead)
            told = {**getattr(self, "_progress_bar_config", {}), "desc": "decoding", "unit": "frame"}
            try:
                with tqdm(total=num_frames, **told) as bar:
                    while True:
                        with timed(timings, "decode"):
                            frame = next(frames, None)
                        if frame is None:
                            return
                        bar.update()
                        yield frame
            finally:
                self.maybe_free_model_hooks()

        num_frames, scale = num_frames_of(latents.shape[2]), self.vae_scale_factor_spatial
        return FrameStream((num_frames, *(scale * n for n in latents.shape[3:]), 3), begin)

    def as_output(self, video: torch.Tensor, output_type: str):
        """Pixels of `decode_video` as `HoloCineOutput.frames` holds them for `output_type`."""
        if output_type == "np":
            return list(to_uint8(video))
        return self.video_processor.postprocess_video(video, output_type=output_type)

    def _latent_statistics(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the VAE's latents, on the device and in the type of `latents`."""
        mean, std = (
            torch.tensor(values).view(1, -1, 1, 1, 1).to(latents.device, latents.dtype)
            for values in (self.vae.config.latents_mean, self.vae.config.latents_std)
        )
        return mean, std
