"""What is counted of many clients; that they are served is in test_service.py."""

from desk.load import Asked, place_errors, quantile, table


def jobs(*rows):
    """Jobs from (end, [(when, place)]), each of which got its own video."""
    return [Asked(seed, 0.0, end, told, own=True) for seed, (end, told) in enumerate(rows)]


def test_a_place_is_right_if_as_many_videos_come_before_ones_own():
    done = jobs((1.0, []), (2.0, [(0.5, 1)]), (3.0, [(0.5, 2), (1.5, 1)]), (4.0, [(0.5, 5), (0.6, 1), (2.5, 1)]))
    assert place_errors(done) == [0, 0, 0, 2, 1, 0]


def test_a_video_on_its_way_to_its_client_counts_as_either():
    assert place_errors(jobs((1.0, []), (2.0, [(0.9, 1)]))) == place_errors(jobs((1.0, []), (2.0, [(0.9, 0)]))) == [0]


def test_half_and_nearly_all_of_some_values():
    values = list(range(1, 101))
    assert (quantile(values, 0.5), quantile(values, 0.95), quantile([7], 0.95), quantile([], 0.5)) == (51, 96, 7, 0)


def test_the_table_counts_what_was_lost_and_mixed_up():
    done = jobs((1.0, []), (2.0, [(0.5, 1)]))
    done += [Asked(7, 0.0, 3.0, error="gone"), Asked(8, 0.0, 3.0)]
    lines = dict(line.rsplit(None, 1) for line in table(done, []).splitlines() if len(line.split()) > 1)
    assert (lines["jobs"], lines["lost"], lines["mixed up"], lines["places told"]) == ("4", "1", "1", "1")
    text = table(done, [100.0, 900.0, 500.0, 700.0, 510.0, 505.0])
    assert "100 / 505 MiB (most 900)" in text
    assert table(done, []).endswith("gone")
