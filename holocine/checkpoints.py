"""Models by name -> pipelines, see `holocine.finding`.

A folder is checked before it is loaded: the classes its configs name, and the name and shape of every tensor. What does
not fit is said in one sentence, instead of surfacing as a random weight or as an error from deep inside a loader.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.cost import TransformerShape
from holocine.errors import CheckpointError, first_line
from holocine.finding import find_model
from holocine.lazy import defer, without_collection
from holocine.loading import check_loading, gguf_files
from holocine.model_facts import SHOT_GUIDANCE_ABOVE, ModelFacts
from holocine.settings import first_of

if TYPE_CHECKING:
    import torch

    from holocine.pipeline import HoloCinePipeline

# The reference's tiles, in pixels (reference inference defaults for 480x832).
VAE_TILES = {
    "tile_sample_min_height": 240,
    "tile_sample_min_width": 416,
    "tile_sample_stride_height": 120,
    "tile_sample_stride_width": 208,
}
# Group offload: each layer is fetched while the one before it runs.
GROUPS = {"offload_type": "leaf_level", "use_stream": True}
SHIFT = 5.0  # of the noise schedule, as HoloCine's experts were run
PIPELINE_CLASSES = ("HoloCinePipeline", "WanPipeline", "FamilyPipeline", "StoryMemPipeline")
COMPONENT_CLASSES = {
    "transformer": ("HoloCineTransformer3DModel", "WanTransformer3DModel"),
    "transformer_2": ("HoloCineTransformer3DModel", "WanTransformer3DModel"),
    "opening": ("HoloCineTransformer3DModel", "WanTransformer3DModel"),
    "opening_2": ("HoloCineTransformer3DModel", "WanTransformer3DModel"),
    "vae": ("AutoencoderKLWan",),
    "text_encoder": ("UMT5EncoderModel",),
}
OPTIONAL_COMPONENTS = ("transformer_2", "opening", "opening_2")
DTYPES = ("float32", "bfloat16", "float16")

Shapes = dict[str, tuple[int, ...]]


@without_collection()
def load_pipeline(
    model: str | os.PathLike | None = None,
    *,
    dtype: str | torch.dtype | None = None,
    vae_dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    vae_tiling: bool = False,
    model_cpu_offload: bool = False,
    group_offload: bool = False,
    layerwise_casting: bool = False,
    int8: bool = False,
    gguf: str | None = None,
    drop_text_encoder: bool = False,
    lora: Sequence[str] = (),
    distilled: str | None = None,
    shift: float | None = None,
    compile: bool = False,
) -> HoloCinePipeline:
    """Load a pipeline, ready to be called.

    model: None for the embedded default, a folder in diffusers layout, or a hub id. A stock Wan folder gets HoloCine's
        noise schedule and, as it was not trained for sparse attention, "full" as its default.
    dtype: of transformer and text encoder, "float32", "bfloat16" or "float16"; by default bfloat16 on a GPU and float32
        on a CPU. The transformer's norms and time embedder are always float32.
    vae_dtype: of the VAE; float32 by default. bfloat16 halves the time of decoding where a processor knows it.
    device: where to run; a GPU if there is one.
    vae_tiling: decode in the reference's tiles of 240x416 pixels (diffusers' `enable_tiling`).
    model_cpu_offload, group_offload: keep what is not running in main memory (`enable_model_cpu_offload`,
        `enable_group_offload`); one of them, with a GPU.
    layerwise_casting, int8: store the transformers in float8 (`enable_layerwise_casting`) or int8, compute in `dtype`.
    gguf: GGUF files in place of the transformers' own weights, "HIGH,LOW", or one for a model of one expert.
    drop_text_encoder: load the text encoder when a text is to be read, and let go of it afterwards.
    lora: LoRA files for both experts, "FILE" or "FILE:SCALE"; "HIGH,LOW" gives each expert its own. See
        `holocine.lora`.
    distilled: a step-distilled LoRA or pair, named as in `lora`, for few steps without guidance.
    shift: of the noise schedule, in place of the model's; steps are then plain Euler steps without fresh noise.
    compile: fuse the element-wise work of the blocks (`holocine.fusing`), which is compiled in the first step; not with
        group_offload, and not for other families.

    Raises `CheckpointError` if the weights are not there or do not fit, or if an option needs a GPU that is not there.
    """
    options = dict(locals())
    defer("scipy.stats")  # a tenth of all importing; diffusers does it for noise schedules that no model here has

    import torch

    from holocine.fusing import fuse, why_not
    from holocine.lora import load_loras
    from holocine.storage import DroppedTextEncoder, load_gguf, store_in_float8, store_in_int8

    facts = describe(model)
    check_loading(facts, options)
    device = find_device(device)
    if (model_cpu_offload or group_offload) and not torch.cuda.is_available():
        option = "model_cpu_offload" if model_cpu_offload else "group_offload"
        raise CheckpointError(
            f"{option} moves weights between main memory and a GPU, but no GPU was found: leave it out"
        )
    if compile and (missing := why_not(device)):
        raise CheckpointError(f"compile needs {missing}, which is not here: leave it out")
    dtype = _dtype(dtype) or (torch.bfloat16 if device.type == "cuda" else torch.float32)
    replaced = gguf_files(gguf, facts) if gguf else {}
    check_folder(facts.folder, except_for=replaced)
    experts = {name: load_gguf(file, facts.folder, name, dtype) for name, file in replaced.items()}
    if drop_text_encoder:
        experts["text_encoder"] = None
    pipeline = _load_folder(facts.folder, dtype, _dtype(vae_dtype) or torch.float32, experts)
    if shift is not None:
        pipeline.scheduler = _shifted(pipeline.scheduler, shift)
    if lora or distilled:
        load_loras(pipeline, lora, distilled)
    for expert in pipeline.experts:
        if layerwise_casting:
            store_in_float8(expert, dtype)
        elif int8:
            store_in_int8(expert)
        if compile:
            fuse(expert)
    if vae_tiling:
        pipeline.vae.enable_tiling(**VAE_TILES)
    if model_cpu_offload:
        pipeline.enable_model_cpu_offload(device=device)
    elif group_offload:
        pipeline.enable_group_offload(onload_device=device, **GROUPS)
    else:
        pipeline.to(device)
    if drop_text_encoder:
        pipeline.dropped_text_encoder = DroppedTextEncoder(
            facts.folder / "text_encoder", dtype, partial(_place_alone, device=device, in_groups=group_offload)
        )
    return pipeline


def _place_alone(model: torch.nn.Module, device: torch.device, in_groups: bool) -> None:
    """Put one model where it runs, whole or in groups of layers."""
    if in_groups:
        from diffusers.hooks import apply_group_offloading

        apply_group_offloading(model, onload_device=device, **GROUPS)
    else:
        model.to(device)


def describe(model: str | os.PathLike | None = None) -> ModelFacts:
    """Find a model and read its configs, without its weights; raises `CheckpointError` as `load_pipeline` does."""
    from holocine.model_card import ModelCard
    from holocine.prompt import DEFAULT_NEGATIVE_PROMPT

    folder = find_model(model)
    index = read_config(folder / "model_index.json")
    _check_kind(folder, index)
    transformer, vae = (read_config(folder / name / "config.json") for name in ("transformer", "vae"))
    try:
        card = ModelCard.read(folder)
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    scale = vae.get("scale_factor_spatial", 8)
    _, patch_height, patch_width = transformer.get("patch_size", (1, 2, 2))
    size = _stock_size(index)
    return ModelFacts(
        folder=folder,
        height=index.get("default_height") or size[0],
        width=index.get("default_width") or size[1],
        pixels_per_token=(scale * patch_height, scale * patch_width),
        max_sequence_length=index.get("max_sequence_length") or 512,
        attention=index.get("default_attention") or "full",
        steps=index.get("default_num_inference_steps") or 50,
        guidance=first_of(index.get("default_guidance_scale"), 5.0),
        guidance_below=first_of(index.get("default_guidance_below"), 1.0),
        negative_prompt=first_of(index.get("default_negative_prompt"), DEFAULT_NEGATIVE_PROMPT),
        shift=_shift_of(folder),
        transformer=TransformerShape.of(transformer),
        guidance_2=index.get("default_guidance_scale_2"),
        boundary=index.get("boundary_ratio") or 0.0,
        distilled_below=first_of(index.get("default_distilled_below"), 1.0),
        shot_guidance=first_of(index.get("default_shot_guidance"), 1.0),
        shot_guidance_above=first_of(index.get("default_shot_guidance_above"), SHOT_GUIDANCE_ABOVE),
        num_experts=2 if (index.get("transformer_2") or [None])[0] else 1,
        max_positions=transformer.get("rope_max_seq_len", 1024),
        scheduler=_scheduler_of(folder, index),
        family=_family_of(folder, index),
        pipeline=str(index.get("_class_name")),
        expand_timesteps=bool(index.get("expand_timesteps")),
        card=card,
    )


def _check_kind(folder: Path, index: Mapping[str, Any]) -> None:
    """Raise `CheckpointError` for a pipeline that makes no video of text."""
    if index.get("_class_name") not in PIPELINE_CLASSES:
        found = index.get("_class_name", "pipeline of an unknown kind")
        raise CheckpointError(f"{folder} is a {found}, but a HoloCine or Wan text-to-video pipeline is needed")


def _family_of(folder: Path, index: Mapping[str, Any]) -> str | None:
    """The family that a model says it is of; raises `CheckpointError` for one that is not known."""
    from holocine.families import NAMES

    if (family := index.get("family")) not in (None, *NAMES):
        known = ", ".join(NAMES)
        raise CheckpointError(
            f"{folder / 'model_index.json'}: the family {family!r} is unknown; it is one of {known}: convert it again"
        )
    return family


def _stock_size(index: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width that a model is run at if its folder names none."""
    from holocine.wan import limits_of

    limits = limits_of(bool(index.get("expand_timesteps")))
    return limits.height, limits.width


def _shift_of(folder: Path) -> float:
    """The shift of a model's noise schedule; a stock Wan folder is run with HoloCine's."""
    if not (folder / "scheduler" / "scheduler_config.json").is_file():
        return SHIFT
    config = read_config(folder / "scheduler" / "scheduler_config.json")
    return float(config.get("shift", SHIFT)) if config.get("_class_name") == "HoloCineScheduler" else SHIFT


def _scheduler_of(folder: Path, index: Mapping[str, Any]) -> str:
    """The class of a model's noise schedule; a stock Wan folder is run with HoloCine's."""
    path = folder / "scheduler" / "scheduler_config.json"
    if index.get("_class_name") == "WanPipeline" or not path.is_file():
        return "HoloCineScheduler"
    return str(read_config(path).get("_class_name"))


def load_tokenizer(facts: ModelFacts):
    """The tokenizer of a model alone, for text windows without weights: of the class that the pipeline loads, too."""
    import transformers

    # AutoTokenizer would find the class by itself, but imports torch to do so.
    name = (read_config(facts.folder / "model_index.json").get("tokenizer") or ["AutoTokenizer"])[-1]
    try:
        return getattr(transformers, name).from_pretrained(facts.folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{facts.folder} has no tokenizer that can be loaded ({first_line(error)})") from None


# Checking


def check_folder(folder: Path, except_for: Iterable[str] = ()) -> None:
    """Raise `CheckpointError` unless `folder` holds a complete HoloCine or Wan pipeline that fits its own configs.

    except_for: components whose weights come from elsewhere.
    """
    import torch
    from diffusers import AutoencoderKLWan
    from transformers import UMT5Config, UMT5EncoderModel

    from holocine.transformer import HoloCineTransformer3DModel

    index = read_config(folder / "model_index.json")
    _check_kind(folder, index)
    for name, classes in COMPONENT_CLASSES.items():
        if name in OPTIONAL_COMPONENTS and not (index.get(name) or [None])[0]:
            continue
        config = read_config(folder / name / "config.json")
        found = config.get("_class_name") or next(iter(config.get("architectures") or ["of an unknown kind"]))
        if found not in classes:
            raise CheckpointError(f"{folder / name} is {found}, but has to be {' or '.join(classes)}")
        arguments = {key: value for key, value in config.items() if not key.startswith("_")}
        with torch.device("meta"):
            if name == "vae":
                model = AutoencoderKLWan.from_config(arguments)
            elif name == "text_encoder":
                model = UMT5EncoderModel(UMT5Config(**arguments))
            else:
                model = HoloCineTransformer3DModel.from_config(arguments)
        if name not in except_for:
            check_shapes(expected_shapes(model), folder_shapes(folder / name), str(folder / name))


def expected_shapes(model: torch.nn.Module) -> Shapes:
    """Name and shape of every tensor that a model's weights have to hold; tensors tied to another one are left out."""
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if name not in tied}


def folder_shapes(folder: Path) -> Shapes:
    """Name and shape of every tensor in a folder's safetensors files, shards or a single one."""
    from safetensors import SafetensorError, safe_open

    indices = sorted(folder.glob("*.safetensors.index.json"))
    names = (
        set(read_config(indices[0])["weight_map"].values())
        if indices
        else {f.name for f in folder.glob("*.safetensors")}
    )
    if not names:
        raise CheckpointError(f"{folder} has no .safetensors file: the download is not complete")
    shapes: Shapes = {}
    for name in sorted(names):
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder / name} is missing: the download is not complete")
        try:
            with safe_open(folder / name, framework="pt") as file:
                shapes |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise CheckpointError(f"{folder / name} is damaged or cut short, download it again ({error})") from None
    return shapes


def check_shapes(expected: Shapes, found: Shapes, where: str, shown_as: Mapping[str, str] | None = None) -> None:
    """Raise `CheckpointError` naming the first tensors of `found` that are missing, misshapen or not expected.

    `shown_as` translates names to those that stand in the file `where`.
    """

    def listed(names: Iterable[str]) -> str:
        names = list(names)
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return ", ".join(names[:3]) + more

    def shown(name: str) -> str:
        return (shown_as or {}).get(name, name)

    problems = []
    if missing := [name for name in expected if name not in found]:
        problems.append(f"missing {listed(missing)}")
    misshapen = [name for name in expected if name in found and found[name] != expected[name]]
    if misshapen:
        sizes = (f"{shown(name)} is {_by(found[name])} instead of {_by(expected[name])}" for name in misshapen)
        problems.append(f"misshapen {listed(sizes)}")
    if extra := [name for name in found if name not in expected and not name.startswith("encoder.embed_tokens")]:
        problems.append(f"not expected {listed(map(shown, extra))}")
    if problems:
        raise CheckpointError(f"{where} does not fit the model: {'; '.join(problems)}")


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a single number"


# Loading


def _load_folder(
    folder: Path, dtype: torch.dtype, vae_dtype: torch.dtype, components: Mapping[str, torch.nn.Module | None]
) -> HoloCinePipeline:
    from holocine.pipeline import HoloCinePipeline
    from holocine.scheduler import HoloCineScheduler

    ours, kind = dict(components), HoloCinePipeline
    index = read_config(folder / "model_index.json")
    name = index["_class_name"]
    if name == "WanPipeline":
        size = dict(zip(("default_height", "default_width"), _stock_size(index), strict=True))
        size = {key: value for key, value in size.items() if not index.get(key)}
        ours |= {"scheduler": HoloCineScheduler(shift=SHIFT), "default_attention": "full", **size}
    elif name == "FamilyPipeline":
        from holocine.families.pipeline import FamilyPipeline as kind
    elif name == "StoryMemPipeline":
        from holocine.families.storymem.pipeline import StoryMemPipeline as kind
    try:
        return kind.from_pretrained(folder, dtype={"default": dtype, "vae": vae_dtype}, local_files_only=True, **ours)
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise CheckpointError(f"{folder} cannot be loaded: {first_line(error)}") from error


def _shifted(scheduler, shift: float):
    """HoloCine's schedule with another shift, as step-distilled weights were trained for: no fresh noise in a step."""
    from holocine.scheduler import HoloCineScheduler

    return HoloCineScheduler.from_config(scheduler.config, shift=shift, stochastic_sampling=False)


@without_collection()
def hide_loading_bars() -> None:
    """Turn off the progress bars that diffusers and transformers show while they load weights."""
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    import torch

    if isinstance(dtype, str):
        if dtype not in DTYPES:
            raise CheckpointError(f"dtype is {dtype!r}, but has to be one of {', '.join(DTYPES)}")
        return getattr(torch, dtype)
    return dtype


def find_device(device: str | torch.device | None = None) -> torch.device:
    """The device of a name, a GPU if there is one by default; raises `CheckpointError` for one that is not here."""
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise CheckpointError(f"device is {device!r}, but has to be a name such as cpu, cuda or cuda:1") from None
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise CheckpointError(f"device is {found}, but there are {torch.cuda.device_count()} GPUs here")
    try:
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError):
        raise CheckpointError(f"device is {found}, which cannot be used here: take cpu, or a GPU as cuda") from None
    return found


def read_config(path: Path) -> dict[str, Any]:
    """A JSON file of a model's folder; raises `CheckpointError` if it is not there or is no config."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing: {path.parent} is not a complete pipeline in diffusers layout "
            "(released HoloCine files become one with `python -m holocine convert`)"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {first_line(error)}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is not a config: it holds a {type(content).__name__}")
    return content
