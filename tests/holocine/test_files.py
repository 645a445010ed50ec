import errno
import os

import pytest

from holocine.files import check_writable, replacing


def test_a_finished_file_takes_its_place(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("reason", [ValueError, KeyboardInterrupt])
def test_an_interrupted_file_leaves_what_was_there_and_nothing_else(tmp_path, reason):
    target = tmp_path / "out.txt"
    target.write_text("old")
    with pytest.raises(reason), replacing(target) as temporary:
        temporary.write_text("half")
        raise reason
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupted_folder_is_removed(tmp_path):
    with pytest.raises(RuntimeError), replacing(tmp_path / "out") as temporary:
        (temporary / "part").mkdir(parents=True)
        (temporary / "part" / "file").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_writable_checks_leave_nothing_behind(tmp_path):
    check_writable(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="a file name is needed"):
        check_writable(tmp_path)


def test_a_missing_folder_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="create it first"):
        check_writable(tmp_path / "missing" / "out.mp4")


def test_a_folder_that_takes_no_files_is_found_out_before_the_work():
    with pytest.raises(OSError) as caught:
        check_writable("/proc/out.mp4")
    assert caught.value.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS)
    assert caught.value.filename == "/proc/out.mp4"


def test_an_error_of_the_temporary_file_names_the_file_that_was_asked_for(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError) as missing, replacing(out) as temporary:
        temporary.read_text()
    with pytest.raises(OSError, match="No space") as full, replacing(out):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert missing.value.filename == full.value.filename == str(out)
    with pytest.raises(FileNotFoundError) as other, replacing(out):
        (tmp_path / "other").read_text()
    assert other.value.filename == str(tmp_path / "other")
