"""Tiny random models of the real classes, so that every test runs the real pipeline in well under a second."""

import gc
import os
from collections.abc import Callable

# Tests run side by side: a thread each, as do the programs that they start. Read when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler
from hypothesis import HealthCheck, settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    PreTrainedTokenizerFast,
    UMT5Config,
    UMT5EncoderModel,
)

from holocine import HoloCinePipeline, HoloCineTransformer3DModel, Storyboard

# Property tests are judged by what they find, not by how busy the machine is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Files that take longest, begun first, so that at the end no worker waits long for another.
LONGEST = (
    "desk/test_browser_drafts.py",
    "holocine/puppet/training/test_training.py",
    "desk/test_browser_looks.py",
    "desk/test_browser_making.py",
    "desk/test_browser_retakes.py",
    "benchmarks/running/test_run_faults.py",
    "holocine/test_memory.py",
    "desk/test_browser_tabs.py",
    "benchmarks/running/test_ray.py",
    "desk/studio/test_gpu.py",
    "desk/test_browser_stays.py",
    "holocine/test_sharing.py",
    "desk/service/test_service.py",
    "desk/tabs/test_versions.py",
    "eval/test_batch.py",
)

TEXT_DIM = 32
TEXT_LENGTH = 128
CORPUS = [
    "[global caption] The scene features a young painter, [character1], in a bright art studio. "
    "This scene contains 3 shots. [per shot caption] Medium shot of [character1] standing back from a large canvas. "
    "[shot cut] Close-up of her hand holding the brush. [shot cut] Wide shot of the studio at night."
]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with a few hundred words, an end token like T5's, and character offsets."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=True),
            processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)]),
        ]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>")


def build_text_encoder() -> UMT5EncoderModel:
    config = UMT5Config(
        vocab_size=512, d_model=TEXT_DIM, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0
    )
    return UMT5EncoderModel(config).eval()


def command(main: Callable, capsys: pytest.CaptureFixture) -> Callable:
    """Call `main` with the words of a command line; returns the exit code, stdout and stderr."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def build_vae() -> AutoencoderKLWan:
    return AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()


def build_image_encoder() -> CLIPVisionModelWithProjection:
    """CLIP's, of one layer, at its own 224 pixels."""
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        patch_size=32,
        projection_dim=8,
    )
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return CLIPVisionModelWithProjection(config).eval()


def build_transformer(seed: int = 0, cls: type = HoloCineTransformer3DModel, **config):
    """Two blocks of 2 heads x 12; same seed, same weights."""
    config = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "text_dim": TEXT_DIM,
        "freq_dim": 32,
        "ffn_dim": 48,
        "num_layers": 2,
        **config,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return cls(**config).eval()


def build_pipeline(tokenizer, text_encoder, vae, experts: int = 1, **options) -> HoloCinePipeline:
    options = {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
        "transformer": build_transformer(3),
        "transformer_2": build_transformer(4) if experts == 2 else None,
        "default_height": 32,
        "default_width": 48,
        "default_num_inference_steps": 2,
        "default_negative_prompt": "blurry",
        "max_sequence_length": TEXT_LENGTH,
        **options,
    }
    pipeline = HoloCinePipeline(tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {path: place for place, path in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0].removeprefix("tests/"), len(places)))


def pytest_collection_finish() -> None:
    """What has been imported stays: the garbage collector need not look through a million objects at every turn."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


@pytest.fixture(scope="session")
def text_encoder() -> UMT5EncoderModel:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return build_text_encoder()


@pytest.fixture
def vae() -> AutoencoderKLWan:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return build_vae()


@pytest.fixture
def make_transformer():
    """Call with a seed, a class and config values to get a tiny transformer."""
    return build_transformer


@pytest.fixture
def make_pipeline(tokenizer, text_encoder, vae):
    """Call with `experts=2` for a high-noise and a low-noise transformer, and with any option of HoloCinePipeline."""

    def make(experts: int = 1, **options) -> HoloCinePipeline:
        return build_pipeline(tokenizer, text_encoder, vae, experts, **options)

    return make


@pytest.fixture(scope="session")
def model_folder(tokenizer, text_encoder, tmp_path_factory):
    """A saved pipeline of two experts, for tests that load one by its name; not to be written to."""
    folder = tmp_path_factory.mktemp("model")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        build_pipeline(tokenizer, text_encoder, build_vae(), experts=2).save_pretrained(folder)
    return folder


@pytest.fixture
def pipeline(make_pipeline) -> HoloCinePipeline:
    """A whole pipeline with one expert: 32 x 48 pixels, 2 steps."""
    return make_pipeline()


@pytest.fixture
def storyboard() -> Storyboard:
    """Three shots of 5, 8 and 4 frames."""
    return Storyboard.from_captions(
        "A young painter, [character1], in a bright studio.",
        ["Medium shot of [character1].", "Close-up of her hand.", "Wide shot of the studio at night."],
        num_frames=17,
        shot_cut_frames=[5, 13],
        seed=11,
    )


@pytest.fixture(scope="session")
def browser():
    """Chromium, driven by Playwright."""
    from desk.service.serving import CHROMIUM, CHROMIUM_OPTIONS

    if CHROMIUM is None:
        pytest.skip("there is no Chromium here; install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_OPTIONS))
        yield chromium
        chromium.close()
