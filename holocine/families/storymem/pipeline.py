"""Storyboard in, video out, by StoryMem: part after part, beside pictures that it remembers of those before."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from holocine.families.pipeline import FamilyPipeline, joined_parts
from holocine.families.storymem.memory import cosine, embedded, keyframes, remembered, scaled, unlike
from holocine.families.storymem.prompt import CARRIED, FRAMES_PER_PART, parts_of
from holocine.families.storymem.sampling import (
    BOUNDARY,
    OPENING_BOUNDARY,
    OPENING_SHIFT,
    condition,
    denoise_part,
)
from holocine.families.storymem.scheduler import StoryMemScheduler
from holocine.families.translation import Translation
from holocine.frame_stream import FrameStream
from holocine.pipeline_call import cancellable, check_denoised, timed
from holocine.timeline import num_latent_frames
from holocine.transformer import with_layouts


@dataclass
class Album:
    """Every frame that was kept, uint8 (3, height, width), and its embedding."""

    pictures: list[torch.Tensor] = field(default_factory=list)
    vectors: list[torch.Tensor] = field(default_factory=list)

    def add(self, frames: torch.Tensor, image_encoder: torch.nn.Module) -> None:
        """Keep what stands for a finished part (frames, 3, height, width) and is new."""
        chosen = frames[keyframes(embedded(scaled(frames), image_encoder), cosine)]
        vectors = embedded(chosen, image_encoder)
        new = unlike(vectors, self.vectors, cosine)
        self.pictures += [chosen[n] for n in new]
        self.vectors += [vectors[n] for n in new]


class StoryMemPipeline(FamilyPipeline):
    """A `FamilyPipeline` with two more experts, for the first shot, and an eye for what to remember.

    transformer, transformer_2: Wan2.2-I2V-A14B's experts with StoryMem's LoRA; opening, opening_2: those of
    Wan2.2-T2V-A14B. image_encoder: CLIP ViT-B/32's.
    """

    _optional_components = []
    model_cpu_offload_seq = "text_encoder->opening->opening_2->transformer->transformer_2->image_encoder->vae"

    def __init__(
        self,
        tokenizer,
        text_encoder,
        vae,
        scheduler,
        transformer,
        transformer_2,
        opening,
        opening_2,
        image_encoder,
        boundary_ratio: float | None = BOUNDARY,
        expand_timesteps: bool = False,
        family: str = "storymem",
        default_height: int | None = None,
        default_width: int | None = None,
        default_num_inference_steps: int | None = None,
        default_guidance_scale: float | None = None,
        default_negative_prompt: str | None = None,
        max_sequence_length: int = 512,
    ):
        super().__init__(
            tokenizer,
            text_encoder,
            vae,
            scheduler,
            transformer,
            with_layouts(transformer_2),
            boundary_ratio,
            expand_timesteps,
            family,
            default_height,
            default_width,
            default_num_inference_steps,
            default_guidance_scale,
            default_negative_prompt,
            max_sequence_length,
        )
        self.register_modules(
            opening=with_layouts(opening), opening_2=with_layouts(opening_2), image_encoder=image_encoder
        )

    def _make(
        self, translation: Translation, captions, negative, steps, scale, latents, output_type, callback, timings
    ):
        if latents is not None:
            raise ValueError("StoryMem needs as much noise as it has memories, and draws it itself: leave latents out")
        shots, device = translation.storyboard.shots, self._execution_device
        length = num_latent_frames(FRAMES_PER_PART)
        parts = [(shot, part) for shot, of in enumerate(shots) for part in range(len(parts_of(of.num_frames)))]
        report, album = cancellable(callback), Album()
        made: list[torch.Tensor] = []
        finished: list[list[torch.Tensor]] = [[] for _ in shots]
        pictures = None
        with self.progress_bar(total=steps * len(parts)) as bar:

            def step_end(step: int, timestep: float, current: torch.Tensor) -> None:
                bar.update()
                if report is not None:
                    report(self, steps * len(made) + step, torch.tensor(timestep), {"latents": current})

            for number, (shot, part) in enumerate(parts):
                opens = number == 0
                with timed(timings, "denoise"):
                    known = None if opens else self._known(album, pictures[-CARRIED:] if part else None, device)
                    memories = 0 if opens else known.shape[2] - length
                    generator = torch.Generator("cpu").manual_seed(translation.storyboard.seed + number)
                    noise = torch.randn(self._noise_shape(memories + length), generator=generator).to(device)
                    latents = denoise_part(
                        (self.opening, self.opening_2) if opens else (self.transformer, self.transformer_2),
                        self.family.rules,
                        captions[shot],
                        None if negative is None else negative[shot],
                        noise,
                        known,
                        StoryMemScheduler(shift=OPENING_SHIFT) if opens else self.scheduler,
                        steps,
                        scale,
                        OPENING_BOUNDARY if opens else self.config.boundary_ratio,
                        step_end,
                    )
                check_denoised(latents)
                made.append(latents[:, :, memories:])
                if output_type == "latent" and number == len(parts) - 1:
                    break
                with timed(timings, "decode"):
                    video = self.decode_video(made[-1]).clamp(-1, 1)[:, :, CARRIED if part else 0 :].cpu()
                    finished[shot].append(video)
                    pictures = ((video[0].float() + 1) / 2 * 255).to(torch.uint8).transpose(0, 1)
                    if number < len(parts) - 1:
                        album.add(pictures, self.image_encoder)
        if output_type == "latent":
            return torch.cat(made, dim=2)[0]
        kind = "np" if output_type == "stream" else output_type  # later parts are made of the pictures of earlier ones
        with timed(timings, "decode"):
            videos = [torch.cat(of, dim=2)[:, :, : shots[n].num_frames] for n, of in enumerate(finished)]
            frames = joined_parts([self.as_output(video, kind)[0] for video in videos])
        return FrameStream(frames.shape, lambda: frames) if output_type == "stream" else frames

    def _known(self, album: Album, before: torch.Tensor | None, device) -> torch.Tensor:
        """The condition of the next part; before: the frames that it goes on from, None after a cut."""
        seen = [self._encoded(picture[None], device) for picture in remembered(album.pictures)]
        video = torch.zeros(1, 3, FRAMES_PER_PART, self.config.default_height, self.config.default_width)
        carried = 0 if before is None else len(before)
        if carried:
            video[0, :, :carried] = _signed(before).transpose(0, 1)
        return condition(torch.cat(seen, dim=2), self.encode_video(video.to(device)), carried)

    def _encoded(self, pictures: torch.Tensor, device) -> torch.Tensor:
        return self.encode_video(_signed(pictures).transpose(0, 1)[None].to(device))

    def _noise_shape(self, num_latent_frames: int) -> tuple[int, ...]:
        one, _, *rest = super()._noise_shape(num_latent_frames)
        return (one, self.vae.config.z_dim, *rest)


def _signed(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 -> [-1, 1]."""
    return pictures.float() / 255 * 2 - 1
