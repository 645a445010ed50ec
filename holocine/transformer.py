"""Wan's diffusion transformer with a shot layout.

The weights, the config and the blocks are diffusers' `WanTransformer3DModel`; only the attention processors differ.
Wan's blocks do not hand `attention_kwargs` on, so the forward pass turns the layout into an `AttentionPlan` and shares
it with the processors until it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

# diffusers looks up the base class of a saved component in the component's own module, so both names must be here.
from diffusers import ModelMixin, WanTransformer3DModel
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from torch.utils.checkpoint import checkpoint

from .attention import AttentionSettings
from .attention_plan import AttentionPlan, collapse_padding, compute_dtype, make_plan
from .processors import AttentionContext, ShotSelfAttnProcessor, WindowCrossAttnProcessor
from .sharing import Share, Team, Ulysses
from .summary_reuse import Step, SummaryReuse

if TYPE_CHECKING:
    from .prompt import TextWindows
    from .timeline import ShotLayout

__all__ = ["HoloCineTransformer3DModel", "ModelMixin"]


class HoloCineTransformer3DModel(WanTransformer3DModel):
    """`WanTransformer3DModel` that understands shots (HoloCine, arXiv 2510.20822).

    Without layouts a forward pass is Wan's own. `attention_kwargs` may hold

    layouts: a `ShotLayout` for each item of the batch;
    windows: a `TextWindows` for each item, None for an item whose shots all see the whole text. Required while
        `settings.window` is on, and ignored inside `cache_context("uncond")`: the negative prompt has no windows;
    settings: `AttentionSettings`, HoloCine's own by default;
    reuse: a `SummaryReuse` of shots that are kept: in a step that summaries of an earlier one serve, only the other
        shots are computed and the velocity of the kept ones is 0. Steps are counted by `cache_context`;
    clean_frames: bool (batch, latent frames), those that have no noise, for weights trained with a noise level for each
        shot: the timestep of their tokens is 0.
    planner: in place of these, a function from the branch of guidance and the latents to an `AttentionPlan`, for models
        with rules of their own (`holocine.families`);
    guided: called without arguments, tells whether "uncond" follows "cond" at once, as it does in a guided step; so
        that the branches can run beside each other, if `team` does that;
    shot_guidance: called without arguments, tells how far the velocity is moved from that of shots that do not see one
        another towards their own, and beyond it; 1 is the model as it is. Nothing is moved inside "uncond".

    team: the processes that share each forward pass, see `holocine.sharing`; None for this one alone.
    """

    team: Team | None = None

    @functools.wraps(WanTransformer3DModel.__init__)
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._install_processors()

    @classmethod
    def adopt(cls, model: WanTransformer3DModel) -> HoloCineTransformer3DModel:
        """Turn a stock model into this class in place, weights, hooks and device as they are, and return it."""
        model.__class__ = cls
        model._install_processors()
        if model.is_gradient_checkpointing:
            model.enable_gradient_checkpointing()
        return model

    def _install_processors(self) -> None:
        self._attention_context = AttentionContext()
        self._branch: str | None = None
        self._step: Step | None = None
        for layer, block in enumerate(self.blocks):
            block.attn1.set_processor(ShotSelfAttnProcessor(self._attention_context, layer))
            block.attn2.set_processor(WindowCrossAttnProcessor(self._attention_context, layer))

    @contextmanager
    def cache_context(self, name: str, **kwargs) -> Iterator[None]:
        """Name the branch of guidance that runs inside: "cond", or "uncond", which turns the text windows off."""
        previous = self._branch, self._step
        index = kwargs.get("step_index")
        self._branch = name
        self._step = None if index is None else Step(index, kwargs.get("num_inference_steps"))
        try:
            with super().cache_context(name, **kwargs):
                yield
        finally:
            self._branch, self._step = previous

    def enable_gradient_checkpointing(self, gradient_checkpointing_func: Callable | None = None) -> None:
        """Recompute blocks in the backward pass, with the layout that their forward pass had."""
        recompute = gradient_checkpointing_func or functools.partial(checkpoint, use_reentrant=False)

        def with_plan(block: torch.nn.Module, *args):
            plan = self._attention_context.plan

            def run(*args):
                with self._attention_context.using(plan):
                    return block(*args)

            return recompute(run, *args)

        super().enable_gradient_checkpointing(with_plan)

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ):
        """Predict the velocity of `hidden_states`; see `WanTransformer3DModel.forward`.

        hidden_states: (batch, channels, latent frames, latent height, latent width); timestep: (batch,), 0 to 1000, or
        (batch, tokens) where shots differ in noise; encoder_hidden_states: (batch, text length, text dim), zero rows
        after the prompt.
        Raises ValueError when layouts or windows do not fit these.
        """
        attention_kwargs = dict(attention_kwargs or {})
        guided = attention_kwargs.pop("guided", None)
        shot_guidance = attention_kwargs.pop("shot_guidance", None)
        scale = 1.0 if shot_guidance is None or self._branch == "uncond" else shot_guidance()
        tensors = hidden_states, timestep, encoder_hidden_states, encoder_hidden_states_image
        given = scale, tensors, attention_kwargs
        team = self.team
        if team is None:
            velocity = self._moved_velocity(*given)
        elif team.splits_guidance and guided is not None and guided():
            velocity = team.of_branch(self._branch, hidden_states, lambda: self._moved_velocity(*given, team.half))
        else:
            velocity = self._moved_velocity(*given, team.everyone)
        return Transformer2DModelOutput(sample=velocity) if return_dict else (velocity,)

    def _moved_velocity(
        self,
        scale: float,
        tensors: tuple[torch.Tensor | None, ...],
        attention_kwargs: dict[str, Any],
        ulysses: Ulysses | None = None,
    ) -> torch.Tensor:
        """The velocity moved `scale` times as far from that of shots that do not see one another as it is.

        The model is guided by a worse version of itself (autoguidance, Karras et al., 2024): one whose shots are apart.
        """
        settings = attention_kwargs.get("settings") or AttentionSettings()
        layouts = attention_kwargs.get("layouts") or ()
        velocity = self._velocity(*tensors, dict(attention_kwargs), ulysses)
        if scale == 1 or settings.mode == "isolated" or all(layout.num_shots == 1 for layout in layouts):
            return velocity
        alone = {**attention_kwargs, "settings": replace(settings, mode="isolated")}
        return torch.lerp(self._velocity(*tensors, alone, ulysses), velocity, scale)

    def _velocity(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None,
        attention_kwargs: dict[str, Any],
        ulysses: Ulysses | None = None,
    ) -> torch.Tensor:
        """The velocity, computed by this process or by those of `ulysses` together."""
        layouts = attention_kwargs.pop("layouts", None)
        windows = attention_kwargs.pop("windows", None)
        settings = attention_kwargs.pop("settings", None) or AttentionSettings()
        reuse = attention_kwargs.pop("reuse", None)
        clean = attention_kwargs.pop("clean_frames", None)
        planner = attention_kwargs.pop("planner", None)
        plan, frames = None if planner is None else planner(self._branch, hidden_states), None
        if layouts is not None and planner is None:
            if encoder_hidden_states_image is not None:
                raise ValueError("encoder_hidden_states_image: text-to-video only with layouts; drop one")
            text_length = encoder_hidden_states.shape[1]
            self._check_layouts(layouts, hidden_states)
            encoder_hidden_states, used = collapse_padding(encoder_hidden_states)
            at = (self, self._branch, self._step, settings)
            partly = reuse is not None and reuse.can_reuse(*at)
            plan = self._plan(layouts, windows, settings, text_length, used, hidden_states, reuse if partly else None)
            if partly:
                frames = reuse.made_frames
                rotary = tuple(_of_frames(x, frames, layouts[0].tokens_per_frame) for x in self.rope(hidden_states))
                plan = replace(plan, rotary=rotary, exchange=reuse.reusing(self._branch, settings))
            elif reuse is not None:
                plan = replace(plan, exchange=reuse.keeping(*at))
            if clean is not None:
                timestep = _of_each_token(timestep, clean[:, frames or slice(None)], layouts[0].tokens_per_frame)
        share = None
        if ulysses is not None:
            if plan is None:
                raise ValueError("only a forward pass with layouts can be shared by processes; give attention_kwargs")
            share = Share(ulysses, plan.num_tokens)
            plan = plan.of_share(share)
        with self._attention_context.using(plan), self._sharing(share):
            output = super().forward(
                hidden_states=hidden_states if frames is None else hidden_states[:, :, frames],
                timestep=timestep,
                encoder_hidden_states=encoder_hidden_states,
                encoder_hidden_states_image=encoder_hidden_states_image,
                return_dict=False,
                attention_kwargs=attention_kwargs,
            )[0]
        if frames is None:
            return output
        velocity = hidden_states.new_zeros(hidden_states.shape, dtype=output.dtype)
        velocity[:, :, frames] = output
        return velocity

    @contextmanager
    def _sharing(self, share: Share | None) -> Iterator[None]:
        """Inside the block the transformer's blocks are given this process's tokens, and the last gives back all."""
        if share is None:
            yield
            return

        def before(block: torch.nn.Module, arguments: tuple) -> tuple:
            tokens, text, modulation, rotary = arguments
            tokens = share.of(tokens) if block is self.blocks[0] else tokens
            modulation = share.of(modulation) if modulation.ndim == 4 else modulation  # of each token
            return tokens, text, modulation, tuple(map(share.of, rotary))

        def after(block: torch.nn.Module, arguments: tuple, tokens: torch.Tensor) -> torch.Tensor:
            return share.ulysses.gathered(tokens, share.num_tokens)

        hooks = [block.register_forward_pre_hook(before) for block in self.blocks]
        hooks.append(self.blocks[-1].register_forward_hook(after))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _plan(
        self,
        layouts: Sequence[ShotLayout],
        windows: Sequence[TextWindows | None] | None,
        settings: AttentionSettings,
        text_length: int,
        used: int,
        hidden_states: torch.Tensor,
        reuse: SummaryReuse | None,
    ) -> AttentionPlan:
        if self._branch == "uncond" or not settings.window:
            windows = [None] * len(layouts)
        elif windows is None:
            raise ValueError("settings.window is on but no windows were given; pass windows, or set window=False")
        elif len(windows) != len(layouts):
            raise ValueError(f"{len(windows)} text windows for {len(layouts)} layouts; give one for each item")
        return make_plan(
            layouts, windows, settings, text_length, used, hidden_states.device, compute_dtype(hidden_states), reuse
        )

    def _check_layouts(self, layouts: Sequence[ShotLayout], hidden_states: torch.Tensor) -> None:
        batch, _, *size = hidden_states.shape
        if len(layouts) != batch:
            raise ValueError(f"{len(layouts)} layouts for a batch of {batch}; give one for each item")
        expected = tuple(n // patch for n, patch in zip(size, self.config.patch_size, strict=True))
        for item, layout in enumerate(layouts):
            given = (layout.num_latent_frames, layout.height, layout.width)
            if given != expected:
                raise ValueError(
                    f"layout of item {item}: {given} latent frames x rows x columns of tokens, "
                    f"but the latents make {expected}"
                )
        for block in self.blocks:
            if not isinstance(block.attn1.processor, ShotSelfAttnProcessor) or not isinstance(
                block.attn2.processor, WindowCrossAttnProcessor
            ):
                raise ValueError("an attention processor was replaced by one that knows no layouts; restore it")


def _of_frames(rotary: torch.Tensor, frames: Sequence[int], tokens_per_frame: int) -> torch.Tensor:
    """The rows of some latent frames; rotary: (1, tokens, 1, head dim) of the whole video."""
    return rotary.unflatten(1, (-1, tokens_per_frame))[:, list(frames)].flatten(1, 2)


def _of_each_token(timestep: torch.Tensor, clean: torch.Tensor, tokens_per_frame: int) -> torch.Tensor:
    """The timestep (batch,) as (batch, tokens), 0 in the frames that are clean (batch, latent frames), if any are."""
    clean = clean.to(timestep.device)
    if not clean.any():
        return timestep
    return (timestep[:, None] * ~clean).repeat_interleave(tokens_per_frame, dim=1)


def with_layouts(transformer: WanTransformer3DModel | None) -> WanTransformer3DModel | None:
    """A stock transformer made one that knows of shots, see `adopt`; any other is returned as it is."""
    if type(transformer) is WanTransformer3DModel:
        return HoloCineTransformer3DModel.adopt(transformer)
    return transformer
