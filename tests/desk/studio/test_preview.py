import torch

from desk.studio.preview import decode_frames, middle_frames, picture_url
from holocine import ShotLayout


def test_every_shot_is_seen_in_its_middle():
    assert middle_frames(ShotLayout((1, 2, 5), 1, 1)) == [0, 2, 5]


def test_single_latent_frames_become_pictures(pipeline):
    pictures = decode_frames(pipeline, torch.randn(1, 16, 5, 4, 6), [0, 3])
    assert [picture.shape for picture in pictures] == [(32, 48, 3)] * 2
    assert picture_url(pictures[0]).startswith("data:image/jpeg;base64,/9j/")
