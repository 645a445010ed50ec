from desk.page import stage
from desk.studio.jobs import Job


def test_a_job_is_shown_as_it_stands(jobs, tmp_path):
    job = Job("me", lambda job: None, 60)
    job.progress = {"title": "A", "cuts": [5], "step": 2, "of": 4}
    assert stage.of_job(job, jobs, tmp_path)["progress"] == {
        "step": 2,
        "of": 4,
        "before": 0,
        "seconds_left": None,
        "stopping": False,
    }
    job._end("failed", "shot 1 is empty")
    shown = stage.of_job(job, jobs, tmp_path)
    assert (shown["state"], shown["message"], shown["title"]) == ("failed", "Shot 1 is empty.", "A")


def test_a_finished_video_offers_its_files_under_readable_names(studio, storyboard, settings, wait):
    job = wait(studio.submit("me", storyboard.model_copy(update={"title": "Tea & <cake>"}), settings))
    folder = studio.outputs.files / job.id
    shown = stage.of_job(job, studio.jobs, studio.outputs.files)
    assert shown["state"] == "done"
    assert shown["files"]["video"]["orig_name"] == "Tea____cake.mp4"
    assert shown["files"]["video"]["path"] == str(folder / "video.mp4")
    assert [shot["video"]["path"] for shot in shown["shots"]] == [str(folder / f"shot_0{i}.mp4") for i in (1, 2, 3)]
    card = stage.scene_card(studio.outputs.of("me")[0])
    assert card["name"] == "Tea & <cake>" and card["id"] == job.id and "seed 11" in card["when"]
