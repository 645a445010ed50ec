"""Kernels for self-attention over a `ShotPattern`: different speeds, one meaning.

All take query, key and value of shape (batch, tokens, heads, head dim), where all items share the pattern, and return
the shape of the query; keys and values are longer where some come from outside (`ShotPattern.num_outside`). A kernel
that cannot run raises; it never computes something else.

* per_shot: one call of diffusers' attention for each shot, over the shot's keys and all summaries. Needs no compiler.
* flex: FlexAttention with a BlockMask over keys followed by summaries; compiled on CUDA, unfused elsewhere.
* flash: flash-attn 2 or 3, or PyTorch's own variable-length attention, all shots of all items in one call.
* dense: one masked call; quadratic memory, the plainest statement of the pattern.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import accumulate, chain

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import dispatch_attention_fn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from .attention import EVERY_GROUP, KERNEL_NAMES, RunPattern, ShotPattern

FLEX_BLOCK = 128
_FLASH_3 = "flash_attn_interface"  # the module of FlashAttention-3; loaded by the search for it where it is there


class KernelError(ValueError):
    """A kernel was asked for that cannot run here; the message says what it needs and what to choose."""


def per_shot(query, key, value, pattern: ShotPattern | RunPattern, backend=None) -> torch.Tensor:
    """Attend shot by shot, or run by run; backend: a diffusers attention backend, None for the active one."""
    attend = partial(dispatch_attention_fn, backend=backend)
    if isinstance(pattern, ShotPattern) and len(pattern.group_lengths) == 1 and not pattern.num_summary_tokens:
        return attend(query, key, value)
    queries = query.split(pattern.group_tokens, dim=1)
    keys, values = (map(_joined, parts_of_each_group(x, pattern)) for x in (key, value))
    return torch.cat([attend(*qkv) for qkv in zip(queries, keys, values, strict=True)], dim=1)


def dense(query, key, value, pattern: ShotPattern, backend=None) -> torch.Tensor:
    """Attend with one boolean mask over all keys and summaries."""
    sees = torch.from_numpy(may_see(pattern)).to(query.device)
    key, value = (with_summaries(x, pattern) for x in (key, value))
    query, key, value = (x.transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=sees).transpose(1, 2)


def flex(query, key, value, pattern: ShotPattern, backend=None) -> torch.Tensor:
    """Attend with FlexAttention, which skips the blocks that nobody sees."""
    key, value = (with_summaries(x, pattern) for x in (key, value))
    attend = _compiled_flex_attention() if query.device.type == "cuda" else flex_attention
    mask = block_mask(pattern, query.device)
    return attend(*(x.transpose(1, 2) for x in (query, key, value)), block_mask=mask).transpose(1, 2)


def flash(query, key, value, pattern: ShotPattern, backend=None) -> torch.Tensor:
    """Attend with a kernel for sequences of variable length, every shot of every item a sequence of its own."""
    attend = _flash_varlen()
    if attend is None:
        raise KernelError(
            "kernel 'flash' needs flash-attn 2 or 3, or a CUDA GPU and PyTorch 2.10, and there is neither: "
            "pip install flash-attn, or choose kernel 'auto'"
        )
    if value.dtype not in (torch.float16, torch.bfloat16):
        raise KernelError(f"kernel 'flash' runs in float16 or bfloat16, not {value.dtype}; choose kernel 'auto'")
    # Summaries make each shot's keys a sequence that no memory holds yet: one copy of them is needed, and one is made.
    key, value = (_joined(list(chain(*parts_of_each_group(x, pattern)))) for x in (key, value))
    output = attend(
        *(x.flatten(0, 1).to(value.dtype) for x in (query, key, value)),
        *_sequences(pattern, query.shape[0], query.device),
    )
    output = output[0] if isinstance(output, tuple) else output
    return output.unflatten(0, (query.shape[0], -1))


KERNELS = dict(zip(KERNEL_NAMES, (dense, per_shot, flex, flash), strict=True))


def choose_kernel(name: str, query: torch.Tensor, value: torch.Tensor):
    """Return the kernel called `name`; "auto" is flash where it runs (CUDA, half precision) and is quick, or per_shot.

    On a Hopper GPU FlashAttention-2, which PyTorch's own variable-length attention is too, takes 1.6 times as long as
    a cuDNN call for each shot (`benchmarks/results/gpu`); FlashAttention-3 is made for it.
    """
    if name != "auto":
        return KERNELS[name]
    half = value.dtype in (torch.float16, torch.bfloat16)
    if query.device.type != "cuda" or not half or _flash_varlen() is None:
        return per_shot
    hopper = torch.cuda.get_device_capability(query.device) >= (9, 0)
    return per_shot if hopper and sys.modules.get(_FLASH_3) is None else flash


def may_see(pattern: ShotPattern) -> np.ndarray:
    """Return the pattern as a dense mask over keys followed by summaries: bool (num_tokens, num_tokens + summaries)."""
    keys = pattern.key_groups
    shared = np.arange(len(keys)) < pattern.num_shared_tokens
    return (pattern.query_groups[:, None] == keys) | (keys == EVERY_GROUP) | shared


@lru_cache(maxsize=64)
def block_mask(pattern: ShotPattern, device: torch.device) -> BlockMask:
    """Return the pattern as a BlockMask over keys followed by summaries.

    Blocks are found from the groups that begin and end in them, never from the whole mask: 95,160 tokens would make
    that 9 GB. A block at the ragged end is never called full, so its missing rows stay masked.
    """
    queries, keys = pattern.query_groups, pattern.key_groups
    query_first, query_last, query_whole = _block_ranges(queries)
    key_first, key_last, key_whole = _block_ranges(np.where(keys == EVERY_GROUP, len(pattern.group_lengths), keys))
    has_summary = key_last == len(pattern.group_lengths)
    starts = np.arange(0, len(keys), FLEX_BLOCK)
    has_shared, all_shared = starts < pattern.num_shared_tokens, starts + FLEX_BLOCK <= pattern.num_shared_tokens
    overlap = (query_first[:, None] <= key_last) & (key_first <= query_last[:, None])
    one_group = (query_first == query_last)[:, None] & (key_first == key_last) & (query_first[:, None] == key_first)
    seen_by_all = (key_first == len(pattern.group_lengths)) | all_shared
    full = (one_group | seen_by_all) & query_whole[:, None] & key_whole
    partial_blocks = (overlap | has_summary | has_shared) & ~full
    query_groups, key_groups = (torch.from_numpy(groups).to(device) for groups in (queries, keys))
    shared = pattern.num_shared_tokens

    def sees(batch, head, query, key):
        group = key_groups[key]
        return (query_groups[query] == group) | (group == EVERY_GROUP) | (key < shared)

    return BlockMask.from_kv_blocks(
        *_block_indices(partial_blocks, device),
        *_block_indices(full, device),
        BLOCK_SIZE=FLEX_BLOCK,
        mask_mod=sees,
        seq_lengths=(len(queries), len(keys)),
    )


def _block_ranges(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the first and the last group in each block, and whether the block is whole; groups: sorted."""
    starts = np.arange(0, len(groups), FLEX_BLOCK)
    ends = np.minimum(starts + FLEX_BLOCK, len(groups))
    return groups[starts], groups[ends - 1], ends - starts == FLEX_BLOCK


def _block_indices(blocks: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return for each row how many blocks are set, and their columns first: (1, 1, rows), (1, 1, rows, columns)."""
    counts = blocks.sum(axis=1).astype(np.int32)
    columns = np.argsort(~blocks, axis=1, kind="stable").astype(np.int32)
    return tuple(torch.from_numpy(x)[None, None].to(device) for x in (counts, columns))


def summaries_of(x: torch.Tensor, pattern: ShotPattern, groups: Sequence[int]) -> list[torch.Tensor]:
    """Return the summary frames that some groups show; x: keys (or values) of all tokens."""
    shots = x[:, : pattern.num_tokens].split(pattern.group_tokens, dim=1)
    return _summaries([shots[group] for group in groups], [pattern.summaries[group] for group in groups], pattern)


def _summaries(
    shots: Sequence[torch.Tensor], summaries: Sequence[tuple[tuple[int, ...], ...]], pattern: ShotPattern
) -> list[torch.Tensor]:
    """Return the summary frames of groups; shots: (batch, tokens of the group, heads, head dim) each."""
    frames = []
    for shot, summary in zip(shots, summaries, strict=True):
        shot_frames = shot.unflatten(1, (-1, pattern.tokens_per_frame))
        for members in summary:
            frames.append(shot_frames[:, members[0]] if len(members) == 1 else shot_frames[:, list(members)].mean(1))
    return frames


def with_summaries(x: torch.Tensor, pattern: ShotPattern) -> torch.Tensor:
    """Append the summaries to the keys (or values) of all tokens."""
    own, outside = x.tensor_split([pattern.num_tokens], dim=1)
    return torch.cat([own, *summaries_of(own, pattern, range(len(pattern.summaries))), outside], dim=1)


def keys_of_each_group(x: torch.Tensor, pattern: ShotPattern | RunPattern) -> list[torch.Tensor]:
    """Return the keys (or values) that each group sees: its own, all summaries, and what is shared by the first."""
    return list(map(_joined, parts_of_each_group(x, pattern)))


def parts_of_each_group(x: torch.Tensor, pattern: ShotPattern | RunPattern) -> list[list[torch.Tensor]]:
    """Return the same in parts, in order, without a copy unless a summary is a mean of frames."""
    if isinstance(pattern, RunPattern):
        n = pattern.tokens_per_frame
        return [[x[:, n * start : n * stop] for start, stop in sees] for _, sees in pattern.runs]
    own, outside = x.tensor_split([pattern.num_tokens], dim=1)
    shots = own.split(pattern.group_tokens, dim=1)
    summaries = _summaries(shots, pattern.summaries, pattern)
    shared = [own[:, : pattern.num_shared_tokens]] if pattern.num_shared_tokens else []
    outside = [outside] if pattern.num_outside else []
    return [[shot, *summaries, *(shared if group else []), *outside] for group, shot in enumerate(shots)]


def _joined(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate along the tokens; a part alone is handed on as it is, which `torch.cat` would copy."""
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


@lru_cache(maxsize=64)
def _sequences(pattern: ShotPattern, batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, int, int]:
    """Return where each shot's queries and its keys begin (int32, with the end), and the longest run of both.

    Kept, because a copy to a GPU in every layer makes the host wait for it.
    """
    queries, keys = pattern.group_tokens * batch, pattern.key_counts * batch
    with torch.inference_mode(False):
        return _offsets(queries, device), _offsets(keys, device), max(queries), max(keys)


def _offsets(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)


@lru_cache(maxsize=1)
def _compiled_flex_attention():
    return torch.compile(flex_attention, dynamic=False)


_found_varlen: list[Callable | None] = []  # a list, which compiled code reads; a cached search would be traced anew


def _flash_varlen():
    """Return what `_find_varlen` does, searched for once."""
    if not _found_varlen:
        _found_varlen.append(_find_varlen())
    return _found_varlen[0]


def _find_varlen():
    """Return a variable-length attention: FlashAttention-3's, -2's or PyTorch's; None where there is none of them."""
    for module in (_FLASH_3, "flash_attn"):
        try:
            return importlib.import_module(module).flash_attn_varlen_func
        except (ImportError, AttributeError):
            continue
    return _torch_varlen() if torch.cuda.is_available() else None


def _torch_varlen():
    """Return PyTorch's variable-length attention, called as flash-attn's is; None before PyTorch 2.10."""
    try:
        attend = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):
        return None

    def attend_on_gpu(query, key, value, *sequences):
        if query.device.type != "cuda":
            raise KernelError(f"kernel 'flash' runs on a CUDA GPU, not on {query.device}; choose kernel 'auto'")
        return attend(query, key, value, *sequences)

    return attend_on_gpu
