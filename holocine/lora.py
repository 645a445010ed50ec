"""LoRA files -> adapters of Wan's experts, whatever names their keys have, and when a step-distilled pair acts.

Three namings are read: diffusers' (`transformer.blocks.0.attn1.to_q.lora_A.weight`), that of Wan's own code
(`diffusion_model.blocks.0.self_attn.q.lora_A.weight`) and lightx2v's, which has Wan's names with `lora_down`, `lora_up`
and `alpha`, and differences of biases (`diff_b`) and of whole weights (`diff`). kohya's underscores are read too.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holocine.errors import CheckpointError, first_line
from holocine.hub import cached_file, hub_problem

if TYPE_CHECKING:
    import torch
    from diffusers import WanPipeline

logger = logging.getLogger(__name__)

# Published pairs by the folder on the hub that they lie in, and the experts that they are for: (layers, width).
PUBLISHED = {"lightx2v/Wan2.2-Lightning": (40, 5120), "lightx2v/Wan2.2-Distill-Loras": (40, 5120)}

_PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "lora_unet_")
_EXPERTS = ("transformer.", "transformer_2.")  # diffusers' prefixes, of the high-noise and the low-noise expert
_WAN_NAMES = {
    "attn1.": "self_attn.",
    "attn2.": "cross_attn.",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "o",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
    "condition_embedder.time_embedder.linear_1": "time_embedding.0",
    "condition_embedder.time_embedder.linear_2": "time_embedding.2",
    "condition_embedder.text_embedder.linear_1": "text_embedding.0",
    "condition_embedder.text_embedder.linear_2": "text_embedding.2",
    "condition_embedder.time_proj": "time_projection.1",
    "proj_out": "head.head",
}
_PARTS = {
    "down": r"(?:lora_A|lora_down|lora\.down)(?:\.default)?\.weight",
    "up": r"(?:lora_B|lora_up|lora\.up)(?:\.default)?\.weight",
    "bias": r"(?:diff_b|lora_B(?:\.default)?\.bias)",
    "alpha": "alpha",
    "whole": "diff",
}


@dataclass
class LoraWeights:
    """A LoRA in diffusers' names: module -> what is added to it, the scale of its alpha included.

    down, up: (rank, inputs) and (outputs, rank). bias: (outputs,). unmatched: the keys of the file that fit nowhere.
    """

    down: dict[str, torch.Tensor] = field(default_factory=dict)
    up: dict[str, torch.Tensor] = field(default_factory=dict)
    bias: dict[str, torch.Tensor] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """As diffusers' `load_lora_adapter` takes it; where one module has a bias all get one, as PEFT needs it."""
        import torch

        state = {}
        for module, down in self.down.items():
            state[f"transformer.{module}.lora_A.weight"] = down
            state[f"transformer.{module}.lora_B.weight"] = up = self.up[module]
            if self.bias:
                bias = self.bias.get(module)
                state[f"transformer.{module}.lora_B.bias"] = torch.zeros_like(up[:, 0]) if bias is None else bias
        return state


def load_loras(pipeline: WanPipeline, specs: Sequence[str], distilled: str | None = None) -> None:
    """Add LoRA weights to the experts of a `HoloCinePipeline`.

    A spec is "FILE" for both experts or "HIGH,LOW", each with a ":SCALE" if need be; a scale behind the last file alone
    is that of both. FILE may be one on the hub, as owner/name/path.safetensors. `distilled` is a spec, too: of a
    step-distilled pair, which rests in the steps that a call of the pipeline takes undistilled.

    Raises `CheckpointError` for a file that is absent or does not fit. Keys that fit nowhere are listed in a warning.
    """
    experts = pipeline.experts
    scales: list[dict[str, float]] = [{} for _ in experts]
    named = [(f"lora_{number}", spec) for number, spec in enumerate(specs)]
    for name, spec in [*named, *([("distilled", distilled)] if distilled else [])]:
        for low, (text, scale) in enumerate(_files(spec, len(experts))):
            config = experts[low].config
            shape = (config.num_layers, config.num_attention_heads * config.attention_head_dim)
            _load(pipeline, experts[low], find_lora(text, shape), name, bool(low))
            scales[low][name] = scale
    for expert, of_expert in zip(experts, scales, strict=True):
        expert.set_adapters(list(of_expert), list(of_expert.values()))
    pipeline.has_distilled = bool(distilled)


def _files(spec: str, num_experts: int) -> list[tuple[str, float]]:
    """The file and the scale of each expert that a spec names."""
    parts = []
    for part in spec.split(","):
        match = re.fullmatch(r"(.+):(-?\d+(?:\.\d+)?)", part)
        parts.append((match[1], float(match[2])) if match else (part, None))
    if len(parts) not in (1, num_experts):
        raise CheckpointError(f"the LoRA {spec!r} names {len(parts)} files, but the model has {num_experts} expert(s)")
    if all(scale is None for _, scale in parts[:-1]):
        parts = [(text, parts[-1][1]) for text, _ in parts]
    return [(text, 1.0 if scale is None else scale) for text, scale in parts * (num_experts // len(parts))]


def check_loras(specs: Sequence[str], num_experts: int, shape: tuple[int, int], look: bool = True) -> None:
    """Raise `CheckpointError` for specs, as of `load_loras`, whose files are not there or for other experts.

    shape: (layers, width) of an expert. look: whether at files here, too. Nothing is downloaded.
    """
    for spec in specs:
        for text, _ in _files(spec, num_experts):
            path = Path(text).expanduser()
            if look and path.is_file():
                _check_readable(path)
            else:
                _on_hub(text, shape, look)


def find_lora(text: str, shape: tuple[int, int]) -> Path:
    """The file that a name stands for, downloaded if it is one on the hub; shape: (layers, width) of its expert."""
    path = Path(text).expanduser()
    return path if path.is_file() else _from_hub(*_on_hub(text, shape))


def _check_readable(path: Path) -> None:
    """Raise `CheckpointError` unless a file is a complete safetensors file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):
            return
    except SafetensorError:
        if path.suffix == ".safetensors":
            raise CheckpointError(f"{path} is damaged or cut short: download it again") from None
        kind = f"a {path.suffix} file" if path.suffix else "a file of another kind"
        raise CheckpointError(
            f"{path} is {kind}, but a LoRA has to be a .safetensors file: name one, or save its tensors as one"
        ) from None


def _on_hub(text: str, shape: tuple[int, int], look: bool = True) -> tuple[str, str]:
    """The repository on the hub and the file in it that a name that is no file here stands for.

    Raises `CheckpointError` for one of experts of another shape and, with `look`, for what is no such name.
    """
    path = Path(text).expanduser()
    hub = re.fullmatch(r"([A-Za-z0-9][\w.-]*/[\w.-]+)/(.+\.safetensors)", text)
    if hub is None or path.parent.is_dir():
        if not look:
            return "", text
        raise CheckpointError(f"the LoRA file {path} does not exist")
    if PUBLISHED.get(hub[1], shape) != shape:
        layers, width = PUBLISHED[hub[1]]
        raise CheckpointError(
            f"{text} is for experts of {layers} layers of width {width}, but this model's have {shape[0]} of "
            f"{shape[1]}: give files made for it, as --distilled HIGH,LOW or --lora HIGH,LOW, or leave the preset out"
        )
    return hub[1], hub[2]


def _from_hub(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    reason = None if cached_file(repository, (name,)) else hub_problem()
    try:
        if reason is None:
            return Path(hf_hub_download(repository, name))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = first_line(error)
    raise CheckpointError(
        f"the LoRA {repository}/{name} is no file here, and the hub did not give it ({reason}): where "
        f"there is a network run `hf download {repository} {name} --local-dir FOLDER` and name the file in it"
    )


def _load(pipeline: WanPipeline, expert: torch.nn.Module, file: Path, name: str, low: bool) -> None:
    weights = read_lora(file, linear_sizes(expert), low)
    if weights.unmatched:
        logger.warning(_unmatched(file, weights.unmatched))
    try:
        expert.load_lora_adapter(weights.state_dict(), adapter_name=name, _pipeline=pipeline)
    except Exception as error:  # PEFT raises nearly every kind for what it cannot use
        raise CheckpointError(f"{file} is not a LoRA for this model: {first_line(error)}") from error


def _unmatched(file: Path, keys: Sequence[str]) -> str:
    """What of a file is not used, in one sentence."""
    kinds: dict[str, int] = {}
    for key in keys:
        kind = re.sub(r"\d+", "N", key)
        kinds[kind] = kinds.get(kind, 0) + 1
    listed = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in sorted(kinds.items()))
    return f"{file}: {len(keys)} keys fit nothing in this model and are not used: {listed}"


# Reading


def linear_sizes(expert: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """Name -> (outputs, inputs) of every linear layer of an expert, whether or not it has adapters already."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in expert.named_modules()
        if hasattr(module, "out_features") and ".base_layer" not in name and ".lora_" not in name
    }


def wan_name(module: str) -> str:
    """The name that Wan's own code has for a module of diffusers' transformer."""
    for ours, theirs in _WAN_NAMES.items():
        module = module.replace(ours, theirs)
    return module


def read_lora(file: Path, sizes: Mapping[str, tuple[int, int]], low: bool = False) -> LoraWeights:
    """Read a LoRA for a model whose linear layers have these sizes (outputs, inputs).

    low: for the low-noise expert, of a file of diffusers that holds both. Raises `CheckpointError` if it does not fit.
    """
    from safetensors import safe_open

    if not file.is_file():
        raise CheckpointError(f"the LoRA file {file} does not exist")
    _check_readable(file)
    spellings = {spelling: name for name in sizes for spelling in _spellings(name)}
    found: dict[str, dict[str, torch.Tensor]] = {}
    weights = LoraWeights()
    with safe_open(file, framework="pt") as opened:
        keys = list(opened.keys())
        alphas = _Alphas.of(opened.metadata() or {})
        both = any(key.startswith(_EXPERTS[1]) for key in keys)
        for key in keys:
            if both and not key.startswith(_EXPERTS[low]):
                continue
            module, part = _read_key(key, spellings)
            if module is not None:
                found.setdefault(module, {})[part] = opened.get_tensor(key)
            elif not (key.endswith(".diff") and not opened.get_tensor(key).any()):
                weights.unmatched.append(key)
    for module, parts in found.items():
        if not all(part.float().isfinite().all() for part in parts.values()):
            raise CheckpointError(
                f"{file} holds values that are not finite, in {module}: it was damaged, or its training diverged, "
                "name another"
            )
        _add(weights, module, parts, sizes[module], alphas, file)
    if not weights.down:
        some = f"; it has {', '.join(keys[:3])}" if keys else ""
        raise CheckpointError(f"{file} is not a LoRA for this model: none of its keys fits the transformer{some}")
    return weights


def _spellings(module: str) -> set[str]:
    """All names of a module: diffusers' and Wan's, and both with underscores as kohya writes them."""
    names = {module, wan_name(module)}
    return names | {name.replace(".", "_") for name in names}


def _read_key(key: str, spellings: Mapping[str, str]) -> tuple[str | None, str]:
    """The module of a key, None if there is no such one, and which of `_PARTS` it is."""
    for prefix in (*_PREFIXES, *_EXPERTS):
        key = key.removeprefix(prefix)
    for part, pattern in _PARTS.items():
        if match := re.fullmatch(rf"(.+)\.{pattern}", key):
            return spellings.get(match[1]), part
    return None, ""


@dataclass(frozen=True)
class _Alphas:
    """The alphas that diffusers writes into the metadata of a file it saves: of each module, and of all others."""

    default: float | None = None
    of_module: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> _Alphas:
        try:
            adapter = json.loads(metadata.get("lora_adapter_metadata", "{}"))
            own = {key.partition(".")[2]: value for key, value in adapter.items()}
            return cls(own.get("lora_alpha"), own.get("alpha_pattern") or {})
        except (ValueError, AttributeError):
            return cls()

    def find(self, module: str) -> float | None:
        return self.of_module.get(module, self.default)


def _add(
    weights: LoraWeights,
    module: str,
    parts: Mapping[str, torch.Tensor],
    size: tuple[int, int],
    alphas: _Alphas,
    file: Path,
) -> None:
    """Add what a file has for one module of `size` (outputs, inputs)."""
    import torch

    outputs, inputs = size
    pairs = []
    if ("down" in parts) != ("up" in parts):
        raise CheckpointError(f"{file} is not a LoRA for this model: {module} has only one of its two matrices")
    if "down" in parts:
        down, up = parts["down"].flatten(1), parts["up"].flatten(1)
        alpha = float(parts["alpha"]) if "alpha" in parts else alphas.find(module)
        pairs.append((down if alpha is None else down * (alpha / len(down)), up))
    if "whole" in parts and parts["whole"].any():
        # A difference of whole weights is a LoRA of full rank whose other matrix is the identity.
        whole = parts["whole"]
        unit = torch.eye(min(size), dtype=whole.dtype)
        pairs.append((whole, unit) if outputs <= inputs else (unit, whole))
    bias = parts.get("bias")
    if bias is not None and not pairs:
        pairs.append((torch.zeros(1, inputs, dtype=bias.dtype), torch.zeros(outputs, 1, dtype=bias.dtype)))
    if not pairs:
        return
    for down, up in pairs:
        if down.shape[1:] != (inputs,) or up.shape[:1] != (outputs,) or len(down) != up.shape[1]:
            found, wanted = f"{up.shape[0]}x{down.shape[1]}", f"{outputs}x{inputs}"
            raise CheckpointError(f"{file} is not a LoRA for this model: {module} is {wanted}, but {found} there")
    weights.down[module] = torch.cat([down for down, _ in pairs])
    weights.up[module] = torch.cat([up for _, up in pairs], dim=1)
    if bias is not None:
        weights.bias[module] = bias


# Resting


@contextmanager
def resting(experts: Sequence[torch.nn.Module], undistilled: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, the adapter "distilled" of the experts rests in every pass in which `undistilled()` holds."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = {
        expert: [module for module in expert.modules() if isinstance(module, BaseTunerLayer)] for expert in experts
    }
    active = {layer: list(layer.active_adapters) for of_expert in layers.values() for layer in of_expert}
    rest: dict[torch.nn.Module, bool] = dict.fromkeys(experts, False)

    def before(expert: torch.nn.Module, *_: object) -> None:
        if (now := undistilled()) == rest[expert]:
            return
        rest[expert] = now
        for layer in layers[expert]:
            awake = [name for name in active[layer] if not (now and name == "distilled")]
            layer.set_adapter(awake, inference_mode=True)

    hooks = [expert.register_forward_pre_hook(before) for expert in experts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for layer, names in active.items():
            layer.set_adapter(names, inference_mode=True)
