"""What several tests of the training share."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from holocine.puppet.training import fused, optimisers
from holocine.puppet.training.reader import Reader
from holocine.puppet.training.transformer import build_transformer


@pytest.fixture
def fused_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Call with `losses` of a model and a reader, as a function of both: fused, without the compiler, loss and gradient
    in `dtype` are those of diffusers' blocks in single precision but for rounding.
    """

    def check(losses: Callable, dtype: torch.dtype = torch.float32) -> None:
        monkeypatch.setattr(optimisers, "fast_bfloat16", lambda device: False)
        torch.manual_seed(0)
        model = build_transformer()
        questions = Reader(model.config.num_attention_heads * model.config.attention_head_dim)

        def learn() -> tuple[float, torch.Tensor]:
            torch.manual_seed(1)
            model.zero_grad()
            loss, frame_loss, reading = losses(model, questions)
            (loss + frame_loss + reading).backward()
            gradients = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
            return float(loss.detach()), torch.cat(gradients)

        loss, gradient = learn()
        pieces = {piece.__name__: piece for piece in fused.PIECES}
        monkeypatch.setattr(fused, "compiled", lambda: SimpleNamespace(**pieces))
        monkeypatch.setattr(fused, "fast_bfloat16", lambda device: True)
        monkeypatch.setattr(fused, "working_dtype", lambda device: dtype)
        monkeypatch.setattr("shutil.which", lambda program: program)
        assert fused.fuse(model)
        fused_loss, fused_gradient = learn()
        near, alike = (2e-3, 0.03) if dtype == torch.bfloat16 else (1e-5, 1e-3)
        assert fused_loss == pytest.approx(loss, rel=near)
        assert (fused_gradient - gradient).norm() < alike * gradient.norm()

    return check
