import numpy as np
import pytest

from eval.active_picture import ActivePicture, Region, picture_region


def lit(height=240, width=426, top=0, bottom=0, left=0, right=0) -> np.ndarray:
    picture = np.zeros((height, width), bool)
    picture[top : height - bottom, left : width - right] = True
    return picture


def test_a_frame_without_bars_is_all_picture():
    assert picture_region(lit()) == Region(0, 240, 0, 426)
    assert picture_region(np.zeros((240, 426), bool)) == Region(0, 240, 0, 426), "black from beginning to end"


@pytest.mark.parametrize("bars", [(33, 33, 0, 0), (0, 0, 146, 146), (33, 33, 53, 53), (0, 20, 0, 0), (0, 0, 9, 0)])
def test_bars_are_left_out_to_the_pixel_and_what_spills_over_their_ends(bars):
    top, bottom, left, right = bars
    region = picture_region(lit(top=top, bottom=bottom, left=left, right=right))
    for found, bar in zip((region.top, 240 - region.bottom, region.left, 426 - region.right), bars, strict=True):
        assert found == 0 if bar == 0 else 0 < found - bar <= 2


def test_specks_that_compression_leaves_in_a_bar_do_not_make_it_picture():
    picture = lit(top=30, bottom=30)
    picture[np.random.default_rng(0).random(picture.shape) < 0.002] = True
    assert picture_region(picture) == picture_region(lit(top=30, bottom=30))


def test_a_strip_whose_darkness_fades_is_picture():
    height, width = 240, 426
    chance = np.clip((np.arange(height) - 40) / 120, 0, 1)[:, None]
    assert picture_region(np.random.default_rng(0).random((height, width)) < chance) == Region(0, height, 0, width)


def test_frames_add_to_what_is_known_until_nothing_can_change_it():
    picture = ActivePicture(240, 426)
    dark, light = (np.where(lit(top=bar, bottom=bar), 90, 0).astype(np.uint8) for bar in (60, 30))
    picture.look(dark)
    assert picture.update() and not picture.is_settled
    assert picture.region.of(dark).shape == (240 - 2 * 61, 426)
    picture.look(light)
    assert picture.update() and picture.region == Region(31, 209, 0, 426)
    assert not picture.update()
    picture.look(np.full((240, 426), 60, np.uint8))
    assert picture.update() and picture.is_settled and picture.region == Region(0, 240, 0, 426)
