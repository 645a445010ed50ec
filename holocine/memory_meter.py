"""How many bytes of tensors are alive at most while code runs: on a device, or on none with tensors of no contents.

On PyTorch's device "meta" tensors have sizes, types and lifetimes and no contents, so the model's own code says what it
allocates, without weights, a GPU or time.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class Meter(TorchDispatchMode):
    """Used as a context, counts the storages on one kind of device that operations make or touch and that are alive.

    now, peak: bytes. held: tensors that are alive already and count from the start. Memory inside a kernel, and what an
    allocator keeps for later, are not seen.
    """

    def __init__(self, device: str, held: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()
        self.device, self.now, self.peak = device, 0, 0
        self._alive: dict[int, weakref.ref] = {}
        self._sizes: dict[int, int] = {}
        for tensor in held:
            self.see(tensor)

    def see(self, tensor: torch.Tensor) -> None:
        """Count the storage of a tensor, once for as long as it lives."""
        if tensor.device.type != self.device:
            return
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        known = self._alive.get(key)
        if known is not None and known() is not None:
            return

        def freed(reference: weakref.ref, key: int = key) -> None:
            if self._alive.get(key) is reference:
                self.now -= self._sizes[key]
                del self._alive[key]

        self._alive[key], self._sizes[key] = weakref.ref(storage, freed), size
        self.now += size
        self.peak = max(self.peak, self.now)

    def leave_out(self, tensor: torch.Tensor) -> None:
        """Count the storage of a tensor no more, or never, for as long as it lives."""
        storage = tensor.untyped_storage()
        key, known = storage._cdata, self._alive.get(storage._cdata)
        if known is not None and known() is not None:
            self.now -= self._sizes[key]
        self._alive[key], self._sizes[key] = weakref.ref(storage), 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in tree_iter((args, kwargs, result)):
            if isinstance(value, torch.Tensor):
                self.see(value)
        return result


class _FusedAttention(TorchFunctionMode):
    """Attention as fused kernels allocate it: the result, laid out as the queries are, and no scores."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is not F.scaled_dot_product_attention:
            return function(*args, **(kwargs or {}))
        named: dict[str, Any] = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
        query, value = named["query"], named["value"]
        batch, heads, tokens, _ = query.shape
        return query.new_empty(batch, tokens, heads, value.shape[-1]).transpose(1, 2)


@contextmanager
def simulated(held: Iterable[torch.Tensor] = ()) -> Iterator[Meter]:
    """Inside the block, the bytes of tensors without contents are counted; attention runs as fused kernels do it."""
    with torch.no_grad(), _FusedAttention(), Meter("meta", held) as meter:
        yield meter


@contextmanager
def fetched(model: torch.nn.Module, meter: Meter, prefetch: bool) -> Iterator[None]:
    """Inside the block a model's weights are alive as group offload has them on a GPU: a leaf's while it runs.

    prefetch: and the next leaf's. What no leaf holds is there all the time. Counts models without contents.
    """

    def weights(module: torch.nn.Module) -> list[torch.Tensor]:
        return [*module.parameters(recurse=False), *module.buffers(recurse=False)]

    def there(module: torch.nn.Module) -> torch.Tensor:
        return torch.empty(sum(t.nbytes for t in weights(module)), dtype=torch.uint8, device="meta")

    modules = [module for module in model.modules() if weights(module)]
    leaves = [module for module in modules if not any(True for _ in module.children())]
    following = dict(zip(leaves, leaves[1:], strict=False)) if prefetch else {}
    for module in modules:
        for tensor in weights(module):
            meter.leave_out(tensor)
    on_gpu = {module: there(module) for module in modules if module not in leaves}

    def before(module: torch.nn.Module, *_: Any) -> None:
        on_gpu.setdefault(module, there(module))
        if module in following:
            on_gpu[following[module]] = there(following[module])

    def after(module: torch.nn.Module, *_: Any) -> None:
        on_gpu.pop(module, None)
        for tensor in weights(module):
            meter.leave_out(tensor)  # cast back, to where no GPU is

    hooks = [leaf.register_forward_pre_hook(before) for leaf in leaves]
    hooks += [leaf.register_forward_hook(after) for leaf in leaves]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def bytes_of(module: torch.nn.Module) -> int:
    """The bytes of a module's parameters and buffers, each storage once."""
    storages = {}
    for tensor in (*module.parameters(), *module.buffers()):
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage.nbytes()
    return sum(storages.values())
