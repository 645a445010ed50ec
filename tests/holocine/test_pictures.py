"""Shots that begin from pictures and clips, and characters known from a picture: real files, a tiny random model."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from holocine import KeepError, Storyboard, StoryboardError, read_storyboard, read_video, write_video
from holocine.from_pictures import Opened, files_named, open_pictures, run_with_pictures, scene_of, with_copies
from holocine.pictures import PictureError, enclosed, read_clip, read_picture
from holocine.video import read_embedded

SIZE = (32, 48)  # height, width


def gradient(height=64, width=96, seed=0):
    """A picture whose left is red, whose right is blue, and whose top is bright."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(1, 0.3, height))
    return (255 * y[..., None] * np.stack([1 - x, np.full_like(x, 0.1 * seed), x], axis=-1)).astype(np.uint8)


# Any picture


def test_a_picture_of_the_same_shape_is_resized_and_nothing_told(work):
    Image.fromarray(gradient()).save("a.png")
    picture, notes = read_picture("a.png", SIZE)
    assert picture.shape == (*SIZE, 3) and picture.dtype == np.uint8 and notes == []
    assert picture[:, 0, 0].mean() > 100 > picture[:, 0, 2].mean()


def test_another_shape_is_cropped_around_its_middle_and_told(work):
    wide = np.zeros((64, 300, 3), np.uint8)
    wide[:, 102:198] = gradient()
    Image.fromarray(wide).save("a.png")
    picture, notes = read_picture("a.png", SIZE)
    assert picture[:, 0, 0].mean() > 100 and picture[:, -1, 2].mean() > 100
    assert notes == ["a.png (300x64) was cropped around its middle to 48x32, 68% of it lost"]


def test_what_is_stored_turned_is_taken_upright(work):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(gradient())).save("a.jpg", exif=exif, quality=95)
    picture, notes = read_picture("a.jpg", SIZE)
    assert notes == ["a.jpg is stored turned: it was turned upright"]
    expected = np.asarray(Image.fromarray(gradient()).resize((48, 32)))
    assert np.abs(picture.astype(int) - expected).mean() < 12


def test_transparent_parts_are_white_in_rgba_and_in_a_palette(work):
    pixels = np.dstack([gradient(), np.full((64, 96), 255, np.uint8)])
    pixels[:, :48, 3] = 0
    Image.fromarray(pixels).save("a.png")
    for path in ("a.png", "p.png"):
        if path == "p.png":
            Image.fromarray(pixels).quantize(64).save(path)
        picture, notes = read_picture(path, SIZE)
        assert (picture[:, :20] > 250).all() and picture[:, -1, 0].mean() < 60
        assert notes == [f"{path} has transparent parts: they are shown on white"]


@pytest.mark.parametrize(("mode", "told"), [("L", False), ("P", False), ("CMYK", False), ("I;16", True), ("F", True)])
def test_other_kinds_of_pixels_become_8_bit_colours(work, mode, told):
    grey = gradient()[..., 0]
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    else:
        image = Image.fromarray(gradient()).convert(mode)
    path = "a.tif" if mode in ("CMYK", "F") else "a.png"
    image.save(path)
    picture, notes = read_picture(path, SIZE)
    assert picture.shape == (*SIZE, 3)
    assert picture[:, 0].mean() > 40
    assert (notes == [f"{path} has more than 8 bits of brightness: they were reduced to 8"]) == told


def test_an_animation_is_its_first_picture(work):
    frames = [Image.fromarray(gradient(seed=seed)) for seed in (0, 9)]
    frames[0].save("a.gif", save_all=True, append_images=frames[1:])
    _, notes = read_picture("a.gif", SIZE)
    assert notes == ["a.gif is animated: its first picture was taken"]


def test_a_small_picture_is_enlarged_and_told(work):
    Image.fromarray(gradient(16, 24)).save("a.png")
    assert read_picture("a.png", SIZE)[1] == ["a.png (24x16) is smaller than the video: it was enlarged"]


def test_no_pictures_are_one_sentence(work):
    (work / "text.png").write_text("hello")
    Image.fromarray(gradient(1, 1)).save("dot.png")
    Image.new("1", (20_000, 20_000)).save("huge.png")
    Image.new("1", (12_000, 10_000)).save("large.png")
    Image.fromarray(gradient()).save("cut.png")
    (work / "cut.png").write_bytes((work / "cut.png").read_bytes()[:-2000])
    for path, message in {
        "text.png": "text.png is no picture that can be read: save it as PNG or JPEG",
        "dot.png": "dot.png is 1x1 pixels, but has to be 16 or more each way: take a larger picture",
        "huge.png": "huge.png has 400 megapixels, but may have 100 at most: shrink it first",
        "large.png": "large.png has 120 megapixels, but may have 100 at most: shrink it first",
        "cut.png": "cut.png is a damaged picture: save it as PNG or JPEG",
        "none.png": "none.png cannot be read: No such file or directory",
        ".": ". cannot be read: Is a directory",
    }.items():
        with pytest.raises(PictureError) as caught:
            read_picture(path, SIZE)
        assert str(caught.value) == message


# Any clip


def test_a_clip_is_trimmed_to_its_shot_and_taken_at_its_rate(work):
    frames = np.stack([np.full((64, 96, 3), 10 * i, np.uint8) for i in range(24)])
    write_video("clip.mp4", frames, 24)
    clip, notes = read_clip("clip.mp4", 8, 12, SIZE)
    assert clip.shape == (8, *SIZE, 3)
    assert np.abs(clip.mean((1, 2, 3)) - np.arange(0, 160, 20)).max() < 4
    assert notes == [
        "clip.mp4 is longer than its shot: only the first 0.67 s were taken",
        "clip.mp4 has 24 frames a second: it was taken at 12",
    ]
    assert read_clip("clip.mp4", 24, 24, SIZE)[1] == []


def test_a_short_clip_and_no_clip_are_one_sentence(work):
    write_video("clip.mp4", np.zeros((6, 32, 48, 3), np.uint8), 12)
    with pytest.raises(PictureError, match="clip.mp4 has 6 frames at 12 a second, but its shot 8: make the"):
        read_clip("clip.mp4", 8, 12, SIZE)
    (work / "no.mp4").write_text("no")
    with pytest.raises(PictureError, match="no.mp4 is not a video that can be read"):
        read_clip("no.mp4", 8, 12, SIZE)
    with pytest.raises(PictureError, match="gone.mp4 does not exist"):
        read_clip("gone.mp4", 8, 12, SIZE)


# In a storyboard


BOARD = """
global_caption: A young painter, [character1], in a bright studio.
fps: 12
seed: 5
references: {character1: hero.png}
shots:
  - {caption: "Medium shot of [character1].", num_frames: 5, image: still.png}
  - {caption: "Close-up of her hand.", num_frames: 12, image: still.png, last_image: end.png}
  - {caption: "A clip.", num_frames: 8, clip: clip.mp4}
  - {caption: "Wide shot of the studio at night.", num_frames: 4}
"""


@pytest.fixture
def scene(work):
    """A folder with board.yaml and the files that it names."""
    folder = work / "scene"
    folder.mkdir()
    (folder / "board.yaml").write_text(BOARD)
    for name, seed in (("still", 0), ("end", 5), ("hero", 9)):
        Image.fromarray(gradient(seed=seed)).save(folder / f"{name}.png")
    write_video(folder / "clip.mp4", np.stack([gradient(seed=i) for i in range(8)]), 12)
    return folder


def test_paths_are_seen_from_the_folder_of_the_file_and_survive_every_round_trip(scene):
    board = Storyboard.load(scene / "board.yaml")
    assert board.shots[0].image == str(scene / "still.png")
    assert board.references == {"character1": str(scene / "hero.png")}
    assert board.has_pictures and hash(board) == hash(board.model_copy())
    for again in (Storyboard.from_yaml(board.to_yaml()), Storyboard.from_json(board.to_json())):
        assert again == board
    moved = board.model_copy(update={"shots": [*board.shots[:3], {"caption": "x", "num_frames": 6}]})
    assert moved.as_run().shots[2].clip == board.shots[2].clip
    assert moved.as_run().asked.shots[1].last_image == board.shots[1].last_image


def test_a_storyboard_without_pictures_is_as_ever():
    board = Storyboard.from_captions("A room.", ["a.", "b."], num_frames=17)
    assert not board.has_pictures
    assert set(json.loads(board.to_json())) == {"global_caption", "fps", "shots"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"references": {"character2": "a.png"}},
            r"references: no caption names \[character2\]; introduce it",
        ),
        ({"references": {"hero": "a.png"}}, "references: 'hero' is no character; write character1, character2"),
        ({"references": {}}, "references"),
        ({"references": {"character1": 3}}, "references"),
        ({"shots": [{"caption": "a", "clip": "a.mp4", "image": "a.png"}]}, "shot 1 of 1: give either clip"),
        ({"shots": [{"caption": "a", "image": ""}]}, "shot 1 of 1: image"),
        (
            {"shots": [{"caption": "a", "picture": "a.png"}]},
            "unknown key 'picture'; the keys of a shot are",
        ),
    ],
)
def test_wrong_pictures_in_a_storyboard_are_one_sentence(change, message):
    board = {"global_caption": "A painter, [character1].", "shots": ["a"], "num_frames": 5}
    with pytest.raises(StoryboardError, match=message):
        Storyboard.model_validate(board | change)


def test_references_may_be_written_with_brackets():
    board = Storyboard(global_caption="A [character1].", shots=["a"], references={"[character1]": "a.png"})
    assert board.references == {"character1": "a.png"}


def test_the_schema_knows_pictures():
    schema = Storyboard.model_json_schema()
    assert {"image", "last_image", "clip"} <= set(schema["$defs"]["Shot"]["properties"])
    assert "references" in schema["properties"]


def test_a_pipeline_opens_no_files(pipeline, scene):
    with pytest.raises(KeepError, match="names picture files, which a pipeline does not open: open them with"):
        pipeline(Storyboard.load(scene / "board.yaml"))


def test_a_reference_is_a_hidden_shot_after_the_last(pipeline, storyboard):
    hero = gradient(*SIZE)
    board = storyboard.model_copy(update={"references": {"character1": "hero.png"}})
    scene, hidden = scene_of(board, ["character1"])
    assert hidden == 1 and scene.num_shots == 4 and scene.num_frames == 21
    assert scene.captions[3] == "Medium shot of [character1] standing still. The camera is static."
    with_hero = run_with_pictures(pipeline, board, Opened(references=[("character1", hero)]))
    other = run_with_pictures(pipeline, board, Opened(references=[("character1", 255 - hero)]))
    assert with_hero.frames[0].shape == (17, *SIZE, 3) and with_hero.latents.shape[2] == 5
    assert with_hero.storyboards == [board]
    assert not torch.equal(with_hero.latents, other.latents), "all shots see it"
    latent = run_with_pictures(pipeline, board, Opened(references=[("character1", hero)]), output_type="latent")
    assert torch.equal(latent.frames, with_hero.latents)
    tensor = run_with_pictures(pipeline, board, Opened(references=[("character1", hero)]), output_type="pt")
    assert tensor.frames.shape == (1, 17, 3, *SIZE)


def test_a_video_is_made_of_pictures_and_made_again_of_itself(scene, run, model_folder, work):
    code, _, err = run(
        "generate", scene / "board.yaml", "-o", "a.mp4", "--size", "native", "--model", model_folder, "--quiet"
    )
    assert (code, err) == (0, "")
    video, embedded = read_video("a.mp4"), read_embedded("a.mp4")
    assert len(video.frames) == 29
    still, _ = read_picture(scene / "still.png", SIZE)
    assert np.abs(video.frames[0].astype(int) - still).mean() < 8
    assert np.abs(video.frames[5].astype(int) - still).mean() < 8
    assert np.abs(video.frames[16].astype(int) - read_picture(scene / "end.png", SIZE)[0]).mean() < 8
    assert np.abs(video.frames[17:25].astype(int) - read_clip(scene / "clip.mp4", 8, 12, SIZE)[0]).mean() < 8
    assert set(embedded.pictures) == {str(scene / name) for name in ("still.png", "end.png", "hero.png", "clip.mp4")}
    for name in ("still", "hero"):
        (scene / f"{name}.png").unlink()
    Image.fromarray(gradient(seed=2)).save(scene / "end.png")
    code, _, err = run("generate", "a.mp4", "-o", "b.mp4", "--quiet")
    assert code == 0
    assert err.count("is gone: its copy in the video was taken") == 2
    assert err.count("end.png is not the picture that the video was made with: its copy in the video was taken") == 1
    assert np.array_equal(read_video("b.mp4").frames, video.frames)
    assert read_embedded("b.mp4").pictures == embedded.pictures
    code, _, err = run("retake", "a.mp4", "--shot", "2", "-o", "c.mp4", "--quiet")
    assert code == 0
    again = read_video("c.mp4").frames
    assert np.abs(again[5].astype(int) - still).mean() < 8 and np.array_equal(again[:5], video.frames[:5])
    assert read_storyboard("c.mp4").shots[1].image == str(scene / "still.png")


def test_the_first_frame_may_be_given_on_the_command_line(scene, run, model_folder, work):
    (work / "plain.yaml").write_text("global_caption: A room.\nnum_frames: 9\nshots: [A chair., A table.]\n")
    options = ("-o", "a.mp4", "--size", "native", "--model", model_folder, "--quiet")
    code, _, err = run("generate", "plain.yaml", "--first-frame", scene / "still.png", *options)
    assert (code, err) == (0, "")
    still, _ = read_picture(scene / "still.png", SIZE)
    assert np.abs(read_video("a.mp4").frames[0].astype(int) - still).mean() < 8
    code, _, err = run("generate", "plain.yaml", "--first-frame", "none.png", *options)
    assert code == 2 and err == (
        "holocine: none.png, from which a shot begins or a character is known, does not exist: put the picture there, "
        "or name another\n"
    )


def test_a_continuation_may_begin_from_a_picture_too(scene, run, model_folder, work):
    (work / "plain.yaml").write_text("global_caption: A room.\nnum_frames: 9\nshots: [A chair., A table.]\nfps: 12\n")
    (scene / "more.yaml").write_text("shots:\n- {caption: A lamp., num_frames: 8, image: still.png}\n")
    assert run("generate", "plain.yaml", "-o", "a.mp4", "--size", "native", "--model", model_folder, "--quiet")[0] == 0
    code, _, err = run("continue", "a.mp4", scene / "more.yaml", "-o", "b.mp4", "--quiet")
    assert (code, err) == (0, "")
    still, _ = read_picture(scene / "still.png", SIZE)
    assert np.abs(read_video("b.mp4").frames[9].astype(int) - still).mean() < 8
    assert set(read_embedded("b.mp4").pictures) == {str(scene / "still.png")}


def test_a_clip_that_is_gone_is_said(scene):
    board = Storyboard.load(scene / "board.yaml").as_run()
    (scene / "clip.mp4").unlink()
    with pytest.raises(PictureError, match="clip.mp4 does not exist"):
        open_pictures(board, SIZE)


def with_pictures_inside(board):
    """The storyboard of the folder with its pictures in it, and without its clip."""

    def inside(path):
        return path and enclosed(open(path, "rb").read(), "image/png")

    shots = [
        shot.model_copy(update={"image": inside(shot.image), "last_image": inside(shot.last_image), "clip": None})
        for shot in board.shots
    ]
    references = {name: inside(path) for name, path in board.references.items()}
    return board.model_copy(update={"shots": shots, "references": references})


def test_a_storyboard_may_have_its_pictures_in_it(scene, work):
    named = Storyboard.load(scene / "board.yaml")
    board = with_pictures_inside(named)
    assert files_named(board) == [] and len(files_named(named)) == 4
    (work / "elsewhere.yaml").write_text(board.to_yaml())
    assert Storyboard.load(work / "elsewhere.yaml") == board, "and no folder is put before a data URL"
    inside = open_pictures(board.as_run(), SIZE)
    files = open_pictures(named.as_run(), SIZE)
    assert inside.stored == {}
    for one, other in zip(inside.kept, [kept for kept in files.kept if kept.part != "whole"], strict=True):
        assert (one.shot, one.part) == (other.shot, other.part) and np.array_equal(one.frames, other.frames)
    assert np.array_equal(inside.references[0][1], files.references[0][1])


def test_what_a_video_remembers_takes_the_place_of_files(scene):
    named = Storyboard.load(scene / "board.yaml")
    files = open_pictures(named.as_run(), SIZE)
    board = with_copies(named, files.stored)
    assert files_named(board) == [str(scene / "clip.mp4")], "a clip is not remembered"
    for name in ("still", "end", "hero"):
        (scene / f"{name}.png").unlink()
    copies = open_pictures(board.as_run(), SIZE)
    for one, other in zip(copies.kept, files.kept, strict=True):
        assert np.array_equal(one.frames, other.frames)
    assert with_copies(named, None) == named


@pytest.mark.parametrize(
    "picture", ["data:image/png;base64,%%%", "data:text/html,<b>", "data:,", "data:image/png;base64"]
)
def test_a_data_url_that_holds_no_picture_is_one_sentence(picture):
    board = Storyboard(global_caption="A room.", shots=[{"caption": "a", "num_frames": 5, "image": picture}])
    with pytest.raises(PictureError, match="the first picture of shot 1 is no picture: a data URL begins with"):
        open_pictures(board, SIZE)


def test_only_the_pictures_of_some_shots_are_opened(scene):
    opened = open_pictures(Storyboard.load(scene / "board.yaml").as_run(), SIZE, shots=[2])
    assert [(kept.shot, kept.part) for kept in opened.kept] == [(2, "first"), (2, "last")]
    assert [character for character, _ in opened.references] == ["character1"]
