"""The page of a report in a real browser."""

import numpy as np
import pytest

from benchmarks.reporting.report import write_report
from benchmarks.reporting.results import load_run
from benchmarks.reporting.summary import summarise
from holocine import write_video

FPS = 12  # of the suite, whose scenes of 5 and 4 frames last 0.75 s


@pytest.fixture
def page_of(browser, tiny, write_run, tmp_path):
    """Call with the frames of each system's video to see the report of a run of one storyboard."""
    contexts = []

    def page_of(**frames):
        run = write_run(
            tmp_path / "run", tiny, [*frames], lambda *_: {"sca": ({"sum": 1, "count": 1}, 1, 1)}, boards=(0,)
        )
        for system, count in frames.items():
            path = run / "items" / system / tiny.ids[0] / "0" / "video.mp4"
            write_video(path, np.zeros((count, 64, 112, 3), np.uint8), FPS)
        write_report(summarise(load_run(run)), run / "report")
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto((run / "report" / "report.html").as_uri())
        page.wait_for_function("viewer.videos.length && viewer.videos.every((video) => video.readyState >= 1)")
        return page

    yield page_of
    for context in contexts:
        context.close()


def at(page, share: float) -> str:
    """What the clock says with the slider at a share of its way."""
    slide = "(share) => { byId('seek').value = share; byId('seek').dispatchEvent(new Event('input')); }"
    page.evaluate(slide, share)
    return page.locator("#clock").text_content()


def test_the_slider_reaches_the_end_of_the_longest_video_beyond_what_was_asked_for(page_of):
    page = page_of(holocine=9, isolated=36)
    assert at(page, 1).startswith("2.96 s, after the 9 frames that were asked for")
    assert at(page, 0.125).startswith("0.38 s, frame 4 of 9")
    widths = page.evaluate("[...byId('timeline').children].map((part) => part.getBoundingClientRect().width)")
    assert len(widths) == 3 and 0.6 < widths[2] / sum(widths) < 0.8, "three quarters are beyond the shots asked for"


def test_where_videos_are_as_long_as_asked_the_shots_fill_the_line(page_of):
    page = page_of(holocine=9)
    assert at(page, 1).startswith("0.71 s, frame 8 of 9") and page.locator("#beyond").is_hidden()


def test_videos_that_are_shorter_than_asked_end_the_playing_where_they_end(page_of):
    page = page_of(holocine=6)
    assert page.evaluate("[duration(), ending()].map((seconds) => seconds.toFixed(2))") == ["0.75", "0.50"]
