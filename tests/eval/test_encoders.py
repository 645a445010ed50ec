"""Encoders by name, on tiny models of open_clip's and timm's own classes with random weights."""

import json
import re
import socket
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from eval.__main__ import _parser
from eval.encoders import EncoderError, Encoders, describe_texts, is_of_the_theatre, list_encoders, load_encoders
from eval.encoders import split_text as split
from eval.encoders.cache import RememberingEncoder
from eval.encoders.known import KNOWN, RECOMMENDED, fetch, known, wanting
from holocine import Storyboard
from holocine.puppet.captions import to_storyboard
from holocine.puppet.world import sample_scene

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
FEW_WORDS = 14  # tokens that 16 leave for words


@pytest.fixture(autouse=True)
def _no_downloads(monkeypatch, tmp_path):
    """An empty Hub cache and no server to ask."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    """A CLIP model in open_clip's own format."""
    folder = tmp_path_factory.mktemp("tiny-clip")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip.model.CLIP(TINY["embed_dim"], TINY["vision_cfg"], TINY["text_cfg"])
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}))
    return folder


@pytest.fixture(scope="module")
def clip(tiny_folder):
    return load_encoders(tiny_folder, dino="auto").clip


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (21, 40, 64, 3), dtype=np.uint8)


def real_storyboard():
    return Storyboard.load("examples/cinema/night_train.yaml")


# --- models -----------------------------------------------------------------------------------------------------------


def test_pictures_are_embedded_as_open_clip_itself_does(clip, tiny_folder, pictures):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tiny_folder}")
    with torch.no_grad():
        inputs = torch.stack([preprocess(Image.fromarray(picture)) for picture in pictures])
        expected = model.eval().encode_image(inputs, normalize=True).numpy()
    np.testing.assert_allclose(clip.embed_images(pictures), expected, atol=1e-5)


def test_short_texts_are_embedded_as_open_clip_itself_does(clip, tiny_folder):
    model = open_clip.create_model(f"local-dir:{tiny_folder}").eval()
    texts = ["a red ball", "two blue cats on a roof"]
    with torch.no_grad():
        expected = model.encode_text(open_clip.get_tokenizer(f"local-dir:{tiny_folder}")(texts), normalize=True).numpy()
    np.testing.assert_allclose(clip.embed_texts(texts), expected, atol=1e-5)


def test_vectors_have_length_one_and_do_not_depend_on_the_batch(clip, pictures):
    together = clip.embed_images(pictures)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    one_by_one = np.concatenate([clip.embed_images(picture[None]) for picture in pictures])
    np.testing.assert_allclose(together, one_by_one, atol=1e-6)


def test_no_pictures_and_no_texts_give_no_vectors(clip, pictures):
    assert len(clip.embed_images(pictures[:0])) == 0
    assert len(clip.embed_texts([])) == 0


def test_a_long_text_is_pooled_from_its_pieces_and_its_end_matters(clip):
    start = "A man with a hat walks along a river in the evening. "
    long, other = start + "He feeds the ducks.", start + "He paints a boat."
    pieces = [start.strip(), "He feeds the ducks."]
    assert clip.count_tokens(long) > 16
    vectors = clip.embed_texts(pieces)
    pooled = np.average(vectors, axis=0, weights=[clip.count_tokens(piece) for piece in pieces])
    np.testing.assert_allclose(clip.embed_texts([long])[0], pooled / np.linalg.norm(pooled), atol=1e-6)
    assert clip.embed_texts([long])[0] @ clip.embed_texts([other])[0] < 0.9999


def test_every_encoder_says_what_it_is(clip, tiny_folder):
    assert clip.id == tiny_folder.name
    assert re.fullmatch("[0-9a-f]{64}", clip.sha256)
    assert clip.download_mb == pytest.approx((tiny_folder / "model.safetensors").stat().st_size / 1e6, abs=0.1)
    assert clip.licence


def test_weights_with_nan_give_nan_and_not_a_score(tiny_folder, tmp_path, pictures):
    state = load_file(tiny_folder / "model.safetensors")
    state["visual.proj"][:] = float("nan")
    save_file(state, tmp_path / "open_clip_model.safetensors")
    (tmp_path / "open_clip_config.json").write_text((tiny_folder / "open_clip_config.json").read_text())
    assert np.isnan(load_encoders(tmp_path).clip.embed_images(pictures[:2])).all()


def test_dino_by_timm_name_and_checkpoint(tmp_path, pictures):
    model = timm.create_model("test_vit", num_classes=0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    dino = load_encoders("auto", dino=f"test_vit:{tmp_path / 'weights.safetensors'}").dino
    config = timm.data.resolve_model_data_config(model)
    preprocess = timm.data.create_transform(**config, is_training=False)
    with torch.no_grad():
        expected = model.eval()(torch.stack([preprocess(Image.fromarray(p)) for p in pictures[:3]])).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(dino.embed_images(pictures[:3]), expected, atol=1e-5)
    assert dino.id == "test_vit:weights.safetensors"


# --- names ------------------------------------------------------------------------------------------------------------


def test_open_clip_name_with_a_checkpoint_of_ones_own(tiny_folder, tmp_path, clip, pictures):
    config = tmp_path / "tiny-for-tests.json"
    config.write_text(json.dumps(TINY))
    open_clip.add_model_config(config)
    named = load_encoders(f"tiny-for-tests:{tiny_folder / 'model.safetensors'}").clip
    assert named.id == "tiny-for-tests:model.safetensors" and named.sha256 == clip.sha256
    np.testing.assert_array_equal(named.embed_images(pictures[:2]), clip.embed_images(pictures[:2]))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nonsense", "'nonsense' is no encoder: name one as ViT-B-32:"),
        ("ViT-B-32", "'ViT-B-32' is no encoder"),
        ("ViT-B-32:nowhere", "'nowhere' is neither a file nor weights of ViT-B-32 (known: openai, "),
        ("ViT-B-32:openai", "the weights of ViT-B-32:openai (605 MB) cannot be downloaded"),
    ],
)
def test_a_name_that_cannot_be_had_is_an_error_that_says_what_to_do(spec, message):
    with pytest.raises(EncoderError, match=re.escape(message)):
        load_encoders(spec)


def test_a_folder_without_a_model_is_an_error_that_names_it(tmp_path):
    with pytest.raises(EncoderError, match="has no open_clip_config.json"):
        load_encoders(tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(EncoderError, match="has no weights"):
        load_encoders(tmp_path)


def test_damaged_weights_are_an_error_that_names_the_encoder(tiny_folder, tmp_path):
    (tmp_path / "open_clip_config.json").write_text((tiny_folder / "open_clip_config.json").read_text())
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EncoderError, match=re.escape(f"{tmp_path} cannot be loaded")):
        load_encoders(tmp_path)


@pytest.mark.parametrize("dino", ["nothing_of_timm", "test_vit:/no/such/file"])
def test_a_dino_that_does_not_exist_is_an_error(dino):
    with pytest.raises(EncoderError):
        load_encoders("auto", dino=dino)


def test_a_real_video_without_a_real_clip_has_no_encoder_and_one_sentence_says_how_to_get_one():
    for spec in ("auto", "puppet"):
        encoders = load_encoders(spec, real_storyboard())
        assert encoders.clip is None and encoders.dino is None and encoders.aesthetic is None
        assert "ViT-B-32:laion2b_s34b_b79k" in encoders.missing["clip"] and "605 MB" in encoders.missing["clip"]
        assert "vit_base_patch16_224.dino" in encoders.missing["dino"]
        for role in ("clip", "dino"):  # wherever that is read, the command is there
            told = encoders.missing[role].partition("`")[2].partition("`")[0]
            assert told == "python -m eval encoders --download"
            assert _parser().parse_args(told.split()[3:]).download
        assert "ViT-L-14:openai" in encoders.missing["aesthetic"]


def test_auto_takes_a_known_model_that_was_downloaded_before(monkeypatch, tiny_folder, tmp_path):
    first = KNOWN[1]
    folder = tmp_path / "hub" / f"models--{first.hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    weights = folder / "snapshots" / "abc" / "open_clip_model.safetensors"
    weights.write_bytes(b"weights")
    assert first.weights() == weights
    assert {row["spec"] for row in list_encoders() if row["here"]} == {"puppet", first.spec}
    with pytest.raises(EncoderError, match=re.escape(f"{first.spec} cannot be loaded")):
        load_encoders("auto", real_storyboard())


def in_the_hub_cache(encoder, hub, content):
    folder = hub / f"models--{encoder.hub.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    names = {"clip": "open_clip_model.safetensors", "dino": "model.safetensors"}
    save_file(content, folder / "snapshots" / "abc" / names[encoder.role])


def test_auto_takes_the_best_that_is_here_and_vit_b_32_and_a_real_dino_see_a_video(tmp_path, pictures):
    """Weights of the real size, by chance, where a download leaves them."""
    b32, small = (known(spec) for spec in ("ViT-B-32:laion2b_s34b_b79k", "vit_small_patch16_224.dino"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = open_clip.create_model("ViT-B-32").state_dict()
        in_the_hub_cache(b32, tmp_path / "hub", {name: value.contiguous() for name, value in weights.items()})
        in_the_hub_cache(small, tmp_path / "hub", timm.create_model(small.spec, num_classes=0).state_dict())
    encoders = load_encoders("auto", real_storyboard())
    assert (encoders.clip.id, encoders.dino.id) == (b32.spec, small.spec)
    assert encoders.clip.embed_images(pictures).shape == (len(pictures), 512)
    assert encoders.clip.embed_texts(["a cat"]).shape == (1, 512)
    assert encoders.dino.embed_images(pictures).shape == (len(pictures), 384)
    assert wanting() == ()
    in_the_hub_cache(KNOWN[0], tmp_path / "hub", {"better": torch.zeros(1)})
    with pytest.raises(EncoderError, match=re.escape(f"{KNOWN[0].spec} cannot be loaded")):
        load_encoders("auto", real_storyboard())


def test_the_environment_names_what_auto_takes_outside_the_theatre(monkeypatch, tiny_folder, tmp_path):
    monkeypatch.setenv("HOLOCINE_ENCODERS", f"{tiny_folder}, test_vit:/no/such/file")
    with pytest.raises(EncoderError, match="/no/such/file is not a file"):
        load_encoders("auto", real_storyboard())
    monkeypatch.setenv("HOLOCINE_ENCODERS", "nonsense")
    with pytest.raises(EncoderError, match="'nonsense' is no encoder.*HOLOCINE_ENCODERS names"):
        load_encoders("auto", real_storyboard())
    assert load_encoders("none", real_storyboard()).missing["clip"] == "no CLIP model was wanted"
    monkeypatch.setenv("HOLOCINE_ENCODERS", str(tiny_folder))
    assert load_encoders("auto", real_storyboard()).clip.id == tiny_folder.name
    assert load_encoders("auto", to_storyboard(sample_scene(1))).clip.id == "puppet-clip"


def test_what_is_wanting_is_named_with_its_size_where_it_cannot_be_downloaded():
    clip, dino = wanting()
    assert (clip.spec, dino.spec) == RECOMMENDED
    with pytest.raises(OSError, match=re.escape("ViT-B-32:laion2b_s34b_b79k (605 MB, huggingface.co/laion/")):
        fetch(clip)


def test_where_the_hub_is_not_reached_one_sentence_says_so_and_nothing_is_tried_again(monkeypatch, caplog, capfd):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        hub = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        names = "ViT-B-32:laion2b_s34b_b79k (605 MB, huggingface.co/laion/CLIP-ViT-B-32-laion2B-s34B-b79K)"
        with pytest.raises(OSError, match=re.escape(f"{names} cannot be downloaded: {hub} cannot be reached")):
            fetch(wanting()[0])
        with pytest.raises(
            EncoderError, match=r"ViT-B-32:openai \(605 MB\) cannot be downloaded: .* cannot be reached"
        ):
            load_encoders("ViT-B-32:openai", real_storyboard())
        with pytest.raises(EncoderError, match=r"dino cannot be loaded: .* cannot be reached"):
            load_encoders("none", real_storyboard(), dino="vit_base_patch16_224.dino")
    assert "try" not in caplog.text and capfd.readouterr().err == ""


def test_encoders_that_are_loaded_already_are_taken_as_they_are(clip):
    ready = Encoders(clip=clip)
    assert load_encoders(ready, real_storyboard()) is ready


def test_the_list_of_encoders_loads_no_model():
    code = "import sys, eval.encoders as e; e.list_encoders(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_aesthetic_weights_need_the_clip_that_they_were_made_for(tmp_path, clip):
    head = tmp_path / "head.pth"
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, head)
    encoders = load_encoders("auto", real_storyboard(), aesthetic=head)
    assert encoders.aesthetic is None and "ViT-L-14:openai" in encoders.missing["aesthetic"]


def test_aesthetic_is_the_linear_layer_on_unit_vectors_out_of_ten(tmp_path, tiny_folder, pictures, clip):
    config = tmp_path / "ViT-L-14.json"
    config.write_text(json.dumps(TINY))
    head = tmp_path / "head.pth"
    weight = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    torch.save({"weight": weight, "bias": torch.tensor([5.0])}, head)
    before = open_clip.get_model_config("ViT-L-14")
    open_clip.add_model_config(config)
    try:
        encoders = load_encoders(f"ViT-L-14:{tiny_folder / 'model.safetensors'}", aesthetic=head)
    finally:
        open_clip.factory._MODEL_CONFIGS["ViT-L-14"] = before
        open_clip.factory._MODEL_CONFIG_PATHS.remove(config)
    rated = encoders.aesthetic.rate_images(pictures[:3])
    np.testing.assert_allclose(rated, (clip.embed_images(pictures[:3]) @ weight[0].numpy() + 5) / 10, atol=1e-6)
    torch.save({"weight": torch.zeros(1, 7), "bias": torch.zeros(1)}, head)


def test_a_file_that_is_no_aesthetic_predictor_is_an_error(tmp_path, tiny_folder):
    wrong = tmp_path / "wrong.pth"
    torch.save({"something": torch.zeros(1)}, wrong)
    config = tmp_path / "ViT-L-14-tiny.json"
    config.write_text(json.dumps(TINY))
    from eval.encoders.loading import load_aesthetic

    with pytest.raises(EncoderError, match="is not LAION's predictor .*: it has no bias or weight, but something"):
        load_aesthetic(wrong, load_encoders(tiny_folder).clip)
    wrong.write_text("<html>")
    with pytest.raises(EncoderError, match=r"is not LAION's predictor .* damaged or cut short, download it again$"):
        load_aesthetic(wrong, load_encoders(tiny_folder).clip)


# --- the cache --------------------------------------------------------------------------------------------------------


class Counting:
    """An encoder that counts what it computes."""

    id, sha256 = "counting", "0" * 64

    def __init__(self, value=1.0):
        self.computed, self.value = 0, value

    def embed_images(self, pictures):
        self.computed += len(pictures)
        return np.full((len(pictures), 4), self.value, np.float32)


def test_embeddings_on_disk_are_not_computed_again(tmp_path, pictures):
    first, second = Counting(), Counting()
    vectors = RememberingEncoder(first, tmp_path).embed_images(pictures)
    np.testing.assert_array_equal(RememberingEncoder(second, tmp_path).embed_images(pictures), vectors)
    assert (first.computed, second.computed) == (len(pictures), 0)


def test_other_pictures_and_other_encoders_are_computed(tmp_path, pictures):
    RememberingEncoder(Counting(), tmp_path).embed_images(pictures)
    encoder = Counting()
    RememberingEncoder(encoder, tmp_path).embed_images(pictures[1:])
    encoder.sha256 = "1" * 64
    RememberingEncoder(encoder, tmp_path).embed_images(pictures)
    assert encoder.computed == 2 * len(pictures) - 1


@pytest.mark.parametrize("damage", ["cut short", "another shape", "not numbers", "something else"])
def test_a_damaged_file_is_computed_again_and_replaced(tmp_path, pictures, damage):
    RememberingEncoder(Counting(), tmp_path).embed_images(pictures)
    (file,) = tmp_path.rglob("*.npy")
    if damage == "cut short":
        file.write_bytes(file.read_bytes()[:150])
    elif damage == "another shape":
        np.save(file, np.zeros((2, 4), np.float32))
    elif damage == "not numbers":
        np.save(file, np.full((len(pictures), 4), np.nan, np.float32))
    else:
        file.write_text("something else")
    again, after = Counting(), Counting()
    assert (RememberingEncoder(again, tmp_path).embed_images(pictures) == 1).all()
    RememberingEncoder(after, tmp_path).embed_images(pictures)
    assert (again.computed, after.computed) == (len(pictures), 0)


def test_nan_is_not_kept(tmp_path, pictures):
    RememberingEncoder(Counting(np.nan), tmp_path).embed_images(pictures)
    assert not list(tmp_path.rglob("*.npy"))


def test_a_folder_that_cannot_be_written_does_not_stop_anything(tmp_path, pictures, caplog):
    file = tmp_path / "file"
    file.write_text("")
    assert len(RememberingEncoder(Counting(), file).embed_images(pictures)) == len(pictures)
    assert "cannot be kept" in caplog.text


def test_a_cache_folder_is_used_by_loaded_encoders(tmp_path, tiny_folder, pictures):
    vectors = load_encoders(tiny_folder, cache=tmp_path).clip.embed_images(pictures)
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    encoder = load_encoders(tiny_folder, cache=tmp_path).clip
    np.testing.assert_array_equal(encoder.embed_images(pictures), vectors)
    assert encoder.embed_texts(["a cat"]).shape == (1, 16)


# --- texts ------------------------------------------------------------------------------------------------------------


def describe(global_caption, caption="Close-up of [character1]."):
    return describe_texts(Storyboard.from_captions(global_caption, [caption], num_frames=5))


@pytest.mark.parametrize(
    ("global_caption", "scene", "shot"),
    [
        (
            "A beach. [character1] is a red round puppet with a golden crown. It is sunny.",
            "A beach. A red round puppet with a golden crown. It is sunny.",
            "Close-up of a red round puppet with a golden crown.",
        ),
        (
            "[character1], a tall man in a raincoat, waits. It rains.",
            "A tall man in a raincoat, waits. It rains.",
            "Close-up of a tall man in a raincoat.",
        ),
        ("[character1]: a tall man. He is old.", "A tall man. He is old.", "Close-up of a tall man."),
        ("In a street [character1] (a tall man) waits.", "In a street a tall man waits.", "Close-up of a tall man."),
        (
            "The story of a tall man named [character1]. He waits.",
            "The story of a tall man. He waits.",
            "Close-up of a tall man.",
        ),
        ("Nobody knows [character1].", "Nobody knows [character1].", "Close-up of [character1]."),
    ],
)
def test_tags_become_descriptions(global_caption, scene, shot):
    texts = describe(global_caption)
    assert texts.scene == scene and texts.shots == (shot,)


def test_later_mentions_are_described_again_and_the_number_of_shots_is_left_out():
    texts = describe("[character1] is a man. [character2] is a dog. [character1] calls [character2].")
    assert texts.scene == "A man. A dog. A man calls a dog."
    for count in ("1 shot", "1 shots", "12 shots"):
        texts = describe(f"[character1] is a man. This scene contains {count}. It is late.")
        assert texts.scene == "A man. It is late."


def test_the_whole_is_the_global_caption_and_every_shot():
    storyboard = Storyboard.from_captions("A street", ["A man walks", "A dog barks."], num_frames=17)
    assert describe_texts(storyboard).whole == "A street. A man walks. A dog barks."


def fits(text):
    return len(text.split()) <= 5


def test_texts_are_split_at_sentence_ends_first():
    text = "One two three. Four five. Six seven eight nine."
    assert split(text, fits) == ("One two three. Four five.", "Six seven eight nine.")


def test_long_sentences_are_split_at_commas_and_long_clauses_between_words():
    assert split("One two three four, five six seven.", fits) == ("One two three four,", "five six seven.")
    assert split("a b c d e f g", fits) == ("a b c d e", "f g")


def test_no_word_is_lost_whatever_fits():
    text = "The man, who waits; sees a dog! And unbelievablylongword: yes. " * 3
    for most in (1, 2, 3, 7, 100):
        pieces = split(text, lambda part, most=most: len(part.split()) <= most)
        assert " ".join(pieces).split() == text.split()
        assert all(len(piece.split()) <= most for piece in pieces)


def test_a_word_longer_than_the_model_reads_is_divided():
    pieces = split("abcdefgh", lambda part: len(part) <= 3)
    assert "".join(pieces) == "abcdefgh" and max(map(len, pieces)) <= 3


def test_every_piece_of_a_real_prompt_fits_the_model(clip):
    whole = describe_texts(real_storyboard()).whole
    pieces = split(whole, lambda part: clip.count_tokens(part) <= 16)
    assert " ".join(pieces).split() == whole.split()
    assert max(map(clip.count_tokens, pieces)) <= 16


# --- the theatre ------------------------------------------------------------------------------------------------------


def test_the_theatres_storyboards_are_recognised_whatever_their_wording():
    for seed in range(60):
        assert is_of_the_theatre(to_storyboard(sample_scene(seed), wording=seed))
    for name in ("beach", "lanterns", "there_and_back"):
        assert is_of_the_theatre(Storyboard.load(f"examples/{name}.yaml"))


def test_other_worlds_are_not_the_theatre():
    for name in ("night_train", "clockmaker", "harbour_race"):
        assert not is_of_the_theatre(Storyboard.load(f"examples/cinema/{name}.yaml"))
    marionettes = "An old theatre in Prague, lit by gas lamps. [character1] is a carved wooden puppet with moving jaws."
    assert not is_of_the_theatre(Storyboard.from_captions(marionettes, ["Close-up of [character1] bowing."], 5))
