"""The desk for programs: the example client, MCP, many clients at once, and those who mean harm."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from desk.load import load
from holocine import Storyboard, read_storyboard, read_video, write_video
from holocine.video import read_settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def client(quick_desk):
    return Client(quick_desk.url, verbose=False)


def test_the_example_client_makes_and_scores_a_video(quick_desk, storyboard, tmp_path):
    (tmp_path / "scene.yaml").write_text(storyboard.to_yaml())
    script = [sys.executable, ROOT / "examples" / "client.py", quick_desk.url, "-o", tmp_path / "x.mp4"]
    options = ["--storyboard", tmp_path / "scene.yaml", "--steps", "2", "--retake", "2", "--versions", "2"]
    ran = subprocess.run([*script, *options], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    assert "17 frames, seed 11, cuts at [5, 13]" in ran.stdout and "sca " in ran.stdout
    assert "x_2.mp4: seed 12, cuts detected at" in ran.stdout
    assert read_storyboard(tmp_path / "x_2.mp4").captions == storyboard.captions
    assert "shot 2 was taken anew" in ran.stdout and "takes: [1, 2, 1]" in ran.stdout
    assert read_storyboard(tmp_path / "x.mp4") == storyboard


def test_endpoints_have_names_types_and_descriptions(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    videos = {"/storyboard_to_video", "/retake", "/continue_video"}
    assert set(endpoints) == videos | {"/compare", "/video_to_scorecard", "/plan_storyboard", "/surprise"}
    assert all(endpoint["description"] for endpoint in endpoints.values())
    parameters = {p["parameter_name"]: p for p in endpoints["/storyboard_to_video"]["parameters"]}
    assert list(parameters) == ["storyboard", "attention", "steps", "guidance", "seed", "score"]
    assert [name for name, p in parameters.items() if not p["parameter_has_default"]] == ["storyboard"]
    parameters = {p["parameter_name"]: p for p in endpoints["/video_to_scorecard"]["parameters"]}
    assert list(parameters) == ["video", "storyboard", "cuts", "align", "start"]
    assert [name for name, p in parameters.items() if not p["parameter_has_default"]] == ["video"]


def test_models_that_use_tools_find_them(quick_desk):
    tools = httpx.get(f"{quick_desk.url}/gradio_api/mcp/schema", timeout=30).json()
    named = {tool["name"]: tool for tool in tools}
    made = next(tool for name, tool in named.items() if name.endswith("storyboard_to_video"))
    assert "all shots together" in made["description"]
    assert "storyboard" in made["inputSchema"]["properties"]


def test_tools_are_described_in_whole_sentences(quick_desk):
    tools = httpx.get(f"{quick_desk.url}/gradio_api/mcp/schema", timeout=30).json()
    told = {
        f"{tool['name']} {name}": argument.get("description", "")
        for tool in tools
        for name, argument in tool["inputSchema"]["properties"].items()
    }
    ours = {name: text for name, text in told.items() if text and "progress" not in name}
    assert len(ours) > 15
    assert not {name: text for name, text in ours.items() if not text.rstrip(" )").endswith((".", "!"))}
    assert not {tool["name"]: tool["description"] for tool in tools if not tool["description"].strip().endswith(".")}


def test_tools_answer_json_and_links(quick_desk, storyboard, run_async):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def ask():
        async with (
            streamablehttp_client(f"{quick_desk.url}/gradio_api/mcp/") as (reads, writes, _),
            ClientSession(reads, writes) as session,
        ):
            await session.initialize()
            names = [tool.name for tool in (await session.list_tools()).tools]
            asked = {"storyboard": storyboard.to_json()}
            plan = await session.call_tool(_named(names, "plan_storyboard"), asked)
            made = await session.call_tool(_named(names, "storyboard_to_video"), asked | {"score": False})
            return plan, made, await session.call_tool(_named(names, "compare"), asked)

    plan, made, compared = run_async(ask())
    assert json.loads(plan.content[0].text)["valid"] is True
    assert len(made.content) == 2, made.content
    link, facts = (part.text for part in made.content)
    assert json.loads(facts)["num_frames"] == storyboard.as_run().num_frames
    assert made.structuredContent == {"result": [link, json.loads(facts)]}
    assert httpx.get(link, timeout=30).content[4:8] == b"ftyp"
    first, second, told = (part.text for part in compared.content)
    assert len(json.loads(told)["versions"]) == 2 and first != second
    assert all(httpx.get(link, timeout=30).content[4:8] == b"ftyp" for link in (first, second))


def _named(names, end):
    return next(name for name in names if name.endswith(end))


def test_a_video_is_continued_and_what_cannot_be_gone_on_from_is_a_sentence(client, storyboard, tmp_path):
    video, _ = client.predict(storyboard.to_json(), score=False, api_name="/storyboard_to_video")
    more = "shots: [{caption: A door., num_frames: 8}]"
    film, made = client.predict(handle_file(video), storyboard=more, score=False, api_name="/continue_video")
    assert made["num_frames"] == 25 and made["cuts"] == [5, 13, 17]
    assert np.array_equal(read_video(film).frames[:17], read_video(video).frames)
    write_video(tmp_path / "foreign.mp4", read_video(video).frames, 16)
    for file, name, options, says in [
        (video, "/retake", {"shot": 9}, "There is no shot 9: the scene has 3"),
        (video, "/retake", {"shot": 1.5}, "The shot is 1.5"),
        (tmp_path / "foreign.mp4", "/retake", {"shot": 1}, "The video has no storyboard in it"),
        (video, "/continue_video", {"storyboard": "shots: 3"}, "^Shots should be a list"),
        (video, "/continue_video", {"storyboard": more, "context": 0}, "see at least one shot"),
    ]:
        with pytest.raises(AppError, match=says):
            client.predict(handle_file(str(file)), **options, api_name=name)


def test_versions_of_a_scene_are_made_scored_and_told_apart(client, storyboard):
    asked = json.dumps([{"attention": "full"}, {"attention": "isolated", "steps": 1, "seed": 4}])
    videos, told = client.predict(storyboard.to_json(), versions=asked, api_name="/compare")
    made = [version["settings"] for version in told["versions"]]
    assert [(one["attention"], one["steps"], one["seed"]) for one in made] == [("full", 2, 11), ("isolated", 1, 4)]
    assert told["versions"][1]["name"] == "isolated attention, steps 1, seed 4" and told["cuts"] == [5, 13]
    assert all("sca" in version["scores"] for version in told["versions"])
    assert [read_settings(video)["attention"] for video in videos] == ["full", "isolated"]
    videos, told = client.predict(storyboard.to_json(), count=3, api_name="/compare")
    assert [version["settings"]["seed"] for version in told["versions"]] == [11, 12, 13] and len(videos) == 3


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"count": 5}, "2 to 4 versions can be compared, not 5."),
        ({"versions": "[{steps: 2}, {step: 3}]"}, "Version 2 of 2: 'step' is unknown; it can have attention"),
        ({"versions": "[{steps: 2}, {}]"}, "Two of the versions are the same"),
    ],
)
def test_versions_that_cannot_be_made_are_a_sentence(client, storyboard, asked, says):
    with pytest.raises(AppError, match=f"^{says}") as raised:
        client.predict(storyboard.to_json(), **asked, api_name="/compare")
    assert "Traceback" not in str(raised.value)


def test_a_surprise_is_a_storyboard_and_a_plan_says_what_it_costs(client, storyboard):
    assert Storyboard.from_yaml(client.predict(3, api_name="/surprise")).seed == 3
    plan = client.predict(storyboard.to_json(), api_name="/plan_storyboard")
    assert plan["valid"] and plan["plan"]["num_tokens"] == 5 * 6
    wrong = client.predict("shots: []", api_name="/plan_storyboard")
    assert not wrong["valid"] and wrong["findings"][0].endswith(".")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"storyboard": "nonsense"}, "plain words, not a storyboard"),
        ({"storyboard": "BOARD", "steps": 10**6}, "1000000 steps"),
        ({"storyboard": "BOARD", "seed": -3}, "seed is -3"),
        ({"storyboard": "LONG"}, "10,000 characters"),
        ({"storyboard": "MANY"}, "shots, but this desk makes at most"),
    ],
)
def test_what_cannot_be_made_is_a_sentence(client, storyboard, arguments, says):
    boards = {
        "BOARD": storyboard.to_json(),
        "LONG": storyboard.model_copy(update={"global_caption": "x" * 10_000}).to_json(),
        "MANY": json.dumps({"global_caption": "x", "shots": ["a"] * 40, "num_frames": 241}),
    }
    arguments["storyboard"] = boards.get(arguments["storyboard"], arguments["storyboard"])
    with pytest.raises(AppError, match=says) as raised:
        client.predict(**arguments, api_name="/storyboard_to_video")
    assert "Traceback" not in str(raised.value)


def test_many_clients_at_once_each_get_their_own(quick_desk, storyboard):
    """The short form of `python -m desk.load`. The first round may take memory: libraries, weights, and the stacks of
    as many threads as there are clients. From then on memory must not grow with the number of videos.
    """
    clients, memory = 12, []
    for _ in range(3):
        done = load(quick_desk.url, storyboard, clients, seconds=0)
        assert len(done) == clients and not [asked.error for asked in done if not asked.own]
        memory.append(quick_desk.megabytes)
    places = [[place for _, place in asked.told] for asked in done]
    assert all(told == sorted(told, reverse=True) for told in places)
    assert 1 < max(place for told in places for place in told) < clients
    assert memory[-1] - memory[0] < 100, memory


def test_visitors_who_come_and_go_leave_nothing_behind(quick_desk):
    with httpx.Client(base_url=quick_desk.url, timeout=60) as web:
        for _ in range(5):
            web.get("/config")
        before = quick_desk.megabytes
        for number in range(200):
            assert web.get("/").status_code == 200
            session = f"visitor{number}"
            with web.stream("GET", f"/gradio_api/heartbeat/{session}") as heart:
                assert heart.status_code == 200
        assert web.get("/config").status_code == 200
    assert quick_desk.megabytes - before < 150


def test_no_tab_opens_a_path_that_a_browser_sends(quick_desk):
    """Every listener of the page is sent a forged file in every place that it has."""
    with httpx.Client(base_url=quick_desk.url, timeout=60) as web:
        config = web.get("/config").json()
        for listener in config["dependencies"]:
            if not listener["inputs"] or listener["js"]:
                continue
            forged = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
            asked = {"data": [forged] * len(listener["inputs"]), "fn_index": listener["id"], "session_hash": "forger"}
            answer = web.post("/gradio_api/queue/join", json=asked)
            assert "root:" not in answer.text
        seen = []
        with web.stream("GET", "/gradio_api/queue/data", params={"session_hash": "forger"}) as events:
            for line in events.iter_lines():
                seen.append(line)
                if "close_stream" in line:
                    break
    assert len(seen) > 10 and not any("root:" in line for line in seen)
    assert not [path for path in quick_desk.outputs.rglob("*") if path.name == "passwd"]


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "app.py", "outputs/records", "/proc/self/environ"])
def test_no_file_but_finished_videos_is_served(quick_desk, path):
    root = httpx.get(f"{quick_desk.url}/gradio_api/file={path}", timeout=30)
    assert root.status_code in (403, 404)
    records = quick_desk.outputs / "records"
    assert httpx.get(f"{quick_desk.url}/gradio_api/file={records}", timeout=30).status_code == 403
    for record in list(records.glob("*.json"))[:1]:
        assert httpx.get(f"{quick_desk.url}/gradio_api/file={record}", timeout=30).status_code == 403


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("path", ["/etc/passwd", "../../../etc/passwd", "app.py"])
def test_no_path_that_a_client_sends_is_opened(quick_desk, path, place):
    data: list = [None, None]
    data[place] = {"path": path, "meta": {"_type": "gradio.FileData"}}
    with httpx.Client(base_url=quick_desk.url, timeout=60) as web:
        asked = web.post("/gradio_api/call/video_to_scorecard", json={"data": data})
        assert asked.status_code == 200
        answer = web.get(f"/gradio_api/call/video_to_scorecard/{asked.json()['event_id']}").text
    assert "event: error" in answer and "root:" not in answer


def test_uploads_are_limited_and_opened_as_video_only(quick_desk, client, tmp_path):
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    with pytest.raises(AppError, match="is no video"):
        client.predict(handle_file(str(tmp_path / "list.mp4")), api_name="/video_to_scorecard")
    write_video(tmp_path / "long.mp4", np.zeros((130, 16, 16, 3), np.uint8), 1)
    with pytest.raises(AppError, match="lasts 130 seconds"):
        client.predict(handle_file(str(tmp_path / "long.mp4")), api_name="/video_to_scorecard")

    def body(head):
        yield b'--x\r\nContent-Disposition: form-data; name="files"' + head + b"\r\n\r\n"
        for _ in range(2048):
            yield bytes(2**20)
        yield b"\r\n--x--\r\n"

    before = quick_desk.megabytes
    for head, more in ((b'; filename="../../x.mp4"', {}), (b"", {}), (b"", {"Content-Length": str(2**31)})):
        try:
            answer = httpx.post(
                f"{quick_desk.url}/gradio_api/upload",
                content=body(head),
                headers={"Content-Type": "multipart/form-data; boundary=x", **more},
                timeout=120,
            )
            assert answer.status_code == 413
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass
    assert quick_desk.megabytes - before < 600
    left = sum(path.stat().st_size for path in (quick_desk.outputs / "uploads").rglob("*") if path.is_file())
    assert left < 300 * 2**20
    assert client.predict(1, api_name="/surprise")
