import json
import os
import time

import pytest

from desk.studio.outputs import Outputs, clean_uploads


def keep(outputs, identifier, visitor="me", size=10):
    (outputs.new_folder(identifier) / "video.mp4").write_bytes(b"x" * size)
    return outputs.keep(identifier, visitor, {"title": identifier})


def test_visitors_find_their_own_videos_only_the_newest_first(outputs):
    for identifier, visitor in (("a", "me"), ("b", "you"), ("c", "me")):
        keep(outputs, identifier, visitor)
    assert [record.id for record in outputs.of("me")] == ["c", "a"]
    assert outputs.find("a", "me").content == {"title": "a"}
    assert outputs.find("b", "me") is None


@pytest.mark.parametrize("sent", ["../a", "/etc/passwd", "a/../a", "", None, 7, ["a"], {"path": "a"}])
def test_only_ids_that_are_there_are_found(outputs, sent):
    keep(outputs, "a")
    assert outputs.find(sent, "me") is None


def test_videos_outlive_the_program_and_the_visitor_is_a_hash_on_disk(outputs):
    keep(outputs, "a", "secret-token")
    again = Outputs(outputs.folder, outputs.most_bytes, outputs.most_seconds)
    assert again.of("secret-token") == outputs.of("secret-token") != []
    assert all("secret-token" not in path.read_text() for path in outputs.folder.rglob("*.json"))


def test_old_videos_are_removed_with_their_files(outputs):
    record = keep(outputs, "a")
    assert outputs.clean(now=record.created + 3599) == 0
    assert outputs.clean(now=record.created + 3601) == 1
    assert not list(outputs.files.iterdir()) and outputs.of("me") == []


def test_the_oldest_videos_make_room_for_new_ones(outputs):
    small = Outputs(outputs.folder, most_bytes=250, most_seconds=3600)
    for identifier in "abc":
        keep(small, identifier, size=100)
    assert small.clean() == 1
    assert sorted(path.name for path in small.files.iterdir()) == ["b", "c"]


def test_folders_that_an_interrupted_job_left_go_when_they_are_old(outputs):
    folder = outputs.new_folder("left")
    outputs.clean()
    assert folder.is_dir()
    outputs.clean(now=folder.stat().st_mtime + 3601)
    assert not folder.exists()


def test_damaged_records_are_left_out(outputs):
    keep(outputs, "a")
    (outputs.folder / "records" / "b.json").write_text("{")
    (outputs.folder / "records" / "c.json").write_text(json.dumps({"id": "../a", "owner": "", "created": 0}))
    assert [record.id for record in Outputs(outputs.folder, 1, 1)._records.values()] == ["a"]


def test_a_dropped_video_is_gone(outputs):
    keep(outputs, "a")
    outputs.drop("a")
    assert outputs.find("a", "me") is None and not (outputs.files / "a").exists()


def test_uploads_go_by_age_and_the_oldest_when_they_are_too_much(tmp_path):
    for age, name in enumerate(("new", "older", "oldest")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "video.mp4").write_bytes(bytes(100))
        os.utime(tmp_path / name / "video.mp4", (1000 - age, 1000 - age))
    assert clean_uploads(tmp_path / "nothing", 1, 1) == 0
    assert clean_uploads(tmp_path, most_bytes=250, most_seconds=60, now=1000) == 1
    assert not (tmp_path / "oldest" / "video.mp4").exists()
    assert clean_uploads(tmp_path, most_bytes=250, most_seconds=60, now=1060) == 1
    assert (tmp_path / "new" / "video.mp4").exists()


def test_cleaning_finished_videos_cleans_what_was_brought(outputs):
    (outputs.uploads / "x").mkdir(parents=True)
    (outputs.uploads / "x" / "video.mp4").write_bytes(b"x")
    outputs.clean()
    assert (outputs.uploads / "x" / "video.mp4").exists()
    outputs.clean(now=time.time() + 3601)
    assert not (outputs.uploads / "x" / "video.mp4").exists()
