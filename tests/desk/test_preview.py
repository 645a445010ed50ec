import torch

from desk.preview import clean_estimate, decode_frames, middle_frames, picture_url
from holocine import ShotLayout


def test_the_estimate_is_exact_for_a_straight_path():
    clean, noise = torch.randn(2, 3), torch.randn(2, 3)

    def at(sigma):
        return (1 - sigma) * clean + sigma * noise

    torch.testing.assert_close(clean_estimate(at(0.9), at(0.7), 0.9, 0.7), clean)
    torch.testing.assert_close(clean_estimate(at(0.3), at(0.0), 0.3, 0.0), clean)


def test_every_shot_is_seen_in_its_middle():
    assert middle_frames(ShotLayout((1, 2, 5), 1, 1)) == [0, 2, 5]


def test_single_latent_frames_become_pictures(pipeline):
    pictures = decode_frames(pipeline, torch.randn(1, 16, 5, 4, 6), [0, 3])
    assert [picture.shape for picture in pictures] == [(32, 48, 3)] * 2
    assert picture_url(pictures[0]).startswith("data:image/jpeg;base64,/9j/")
