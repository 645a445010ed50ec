"""Several processes at one video, against one: real processes, connected by gloo."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.multiprocessing import start_processes

from holocine import AttentionSettings, ShotLayout, TextWindows
from holocine.__main__ import program
from holocine.families import find_family
from holocine.families.planning import Frames, planner
from holocine.families.text import join
from holocine.keeping import keep_shots
from holocine.sharing import Team, Ulysses, even_shares
from tests.programs import Program

ROOT = Path(__file__).parents[2]
CLOSE = 1e-5
# Shots of very different length; 30 tokens in all, which four processes cannot share evenly.
LAYOUT, OTHER = ShotLayout((1, 1, 3), 2, 3), ShotLayout((4, 1), 2, 3)
WINDOW, OTHER_WINDOW = TextWindows((0, 4), ((4, 7), (7, 9), (9, 13))), TextWindows((0, 2), ((2, 9), (9, 11)))
CASES = {
    "full": {"mode": "full"},
    "sparse": {},
    "sparse, a mean shown": {"summary": "mean"},
    "isolated": {"mode": "isolated"},
    "one dense mask": {"kernel": "dense"},
    "one block mask": {"kernel": "flex"},
}


def together(size, work, folder):
    """What `work(team)` returns in each of so many processes, which are forks of this one."""

    def one(rank):
        torch.set_num_threads(1)
        store = dist.FileStore(str(folder / "store"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
        dist.barrier()  # one that is done at once leaves while others still connect to it
        torch.save(work(Team.of_all), folder / f"{rank}.pt")
        dist.destroy_process_group()

    start_processes(lambda rank: one(rank), nprocs=size, start_method="fork")
    return [torch.load(folder / f"{rank}.pt") for rank in range(size)]


@torch.no_grad()
def velocities(model):
    """Forward passes of every kind."""
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(2, 16, 5, 4, 6, generator=generator)
    text = torch.randn(2, 24, 32, generator=generator)
    text[:, 15:] = 0
    timestep = torch.tensor([900.0, 500.0])

    def velocity(items, layouts, windows, settings=None, branch="cond", **others):
        kwargs = {"layouts": layouts, "windows": windows, "settings": settings or AttentionSettings(), **others}
        with model.cache_context(branch):
            return model(latents[items], timestep[items], text[items], attention_kwargs=kwargs).sample

    one = slice(0, 1)
    found = {name: velocity(one, [LAYOUT], [WINDOW], AttentionSettings(**how)) for name, how in CASES.items()}
    found["two layouts in a batch"] = velocity(slice(0, 2), [LAYOUT, OTHER], [WINDOW, OTHER_WINDOW])
    found["no windows"] = velocity(one, [LAYOUT], None, branch="uncond")
    clean = torch.tensor([[True, False, False, True, False]])
    found["a noise level for each shot"] = velocity(one, [LAYOUT], [WINDOW], clean_frames=clean)
    return found


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("size", [2, 4])
def test_processes_that_share_tokens_and_heads_compute_what_one_does(make_transformer, tmp_path, size):
    model = make_transformer(num_attention_heads=3)  # one of four processes has none

    def work(make_team):
        model.team = make_team(split_guidance=False)
        return velocities(model)

    wanted = velocities(model)
    for found in together(size, work, tmp_path):
        assert found.keys() == wanted.keys()
        for name, velocity in found.items():
            assert (velocity - wanted[name]).abs().max() <= CLOSE, name


@pytest.mark.parametrize("family", ["echoshot", "cinetrans"])
def test_the_rules_of_other_families_are_shared_too(make_transformer, tmp_path, family):
    rules = replace(find_family(family).rules, text_length=24)
    rules = replace(rules, masked_layers=rules.masked_layers and (1, 1))
    model, generator = make_transformer(num_attention_heads=3), torch.Generator().manual_seed(5)
    text = join(
        [torch.randn(n, 32, generator=generator) for n in (5, 3, 4)], rules.text_length, rules.padded, torch.float32
    )
    plan = planner(rules, Frames.of((1, 1, 3), 2, 3), {"cond": text}, 12)
    latents = torch.randn(1, 16, 5, 4, 6, generator=generator)

    @torch.no_grad()
    def velocity(make_team=None):
        model.team = make_team and make_team(split_guidance=False)
        with model.cache_context("cond"):
            return model(latents, torch.tensor([500.0]), text.rows, attention_kwargs={"planner": plan}).sample

    wanted = velocity()
    assert max((found - wanted).abs().max() for found in together(4, velocity, tmp_path)) <= CLOSE


@pytest.mark.parametrize(("size", "split"), [(2, True), (4, True), (2, False)])
def test_processes_make_the_video_that_one_makes(make_pipeline, storyboard, tmp_path, size, split):
    pipeline = make_pipeline(experts=2)
    keep = keep_shots(pipeline(storyboard, seed=1, num_inference_steps=2), [1, 3])
    calls = [
        {"num_inference_steps": 3},
        {"num_inference_steps": 3, "guidance_below": 0.9, "eta": 1.0},  # some steps without guidance
        {"num_inference_steps": 5, "keep": keep, "keep_every": 2},
        {"num_inference_steps": 5, "keep": keep, "keep_every": 2, "shot_guidance": 2.0},
    ]

    def work(make_team):
        pipeline.share(make_team(split_guidance=split))
        return [pipeline(storyboard, seed=3, output_type="latent", **call).latents for call in calls]

    wanted = [pipeline(storyboard, seed=3, output_type="latent", **call).latents for call in calls]
    found = together(size, work, tmp_path)
    for latents in found:
        for one, first, alone in zip(latents, found[0], wanted, strict=True):
            assert torch.equal(one, first), "all processes have the same video"
            assert (one - alone).abs().max() <= CLOSE


def test_each_branch_of_guidance_is_computed_by_one_half(make_pipeline, storyboard, tmp_path):
    pipeline = make_pipeline()
    passes = []
    pipeline.transformer.blocks[0].register_forward_pre_hook(lambda *_: passes.append(pipeline.transformer._branch))

    def work(make_team):
        passes.clear()
        pipeline.share(make_team(split_guidance=True))
        pipeline(storyboard, seed=3, output_type="latent")
        return list(passes)

    assert together(2, work, tmp_path) == [["cond"] * 2, ["uncond"] * 2]


@pytest.mark.parametrize("total, parts", [(30, 4), (2, 3), (40, 8), (7, 1)])
def test_shares_are_even_wherever_the_shots_are_cut(total, parts):
    shares = even_shares(total, parts)
    assert sum(shares) == total and len(shares) == parts and max(shares) - min(shares) <= 1
    spans = [Ulysses(None, index, parts).span(total) for index in range(parts)]
    assert [i for span in spans for i in span] == list(range(total))


def test_an_odd_number_of_processes_is_not_halved(tmp_path):
    def work(make_team):
        try:
            make_team(split_guidance=True)
        except ValueError as error:
            return str(error)

    assert (
        together(3, work, tmp_path)
        == ["3 processes cannot be halved for guidance: start an even number, or split tokens"] * 3
    )


# The command line


def torchrun(size, *words):
    """The program in so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={size}", "--rdzv-backend=c10d"]
    command += ["--rdzv-endpoint=localhost:0", "-m", "holocine", *map(str, words)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def launched(size, *words, first_late=0.0):
    """The same by torchrun's launcher with processes that are forks of its own, which are there at once.

    first_late: seconds that the first process is late.
    """
    return Program(launch, [size, first_late, *words])


def launch():
    size, first_late, *words = sys.argv[1:]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=int(size),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        start_method="fork",
    )
    elastic_launch(config, one_of_them)(float(first_late), *words)


def one_of_them(first_late, *words):
    time.sleep(first_late * (os.environ["RANK"] == "0"))
    sys.argv = ["holocine", *words]
    program()


def said_by_us(err):
    """The lines of a program's own; torchrun says more."""
    return [line for line in err.splitlines() if line.startswith("holocine: ")]


@pytest.fixture
def words(board, model_folder):
    return ["generate", "board.yaml", "--model", model_folder, "--quiet", "--steps", "4"]


def test_torchrun_makes_one_video_and_the_first_process_writes_and_speaks(words, run):
    from holocine import read_video

    process = torchrun(2, *words, "-o", "a.mp4")  # without a seed: one is drawn for all
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    assert len(re.findall("^wrote a.mp4 and a.png", out, re.M)) == 1 and not said_by_us(err)
    seed = re.search(r"seed (\d+)", out)[1]
    assert run(*words, "--seed", seed, "-o", "b.mp4")[0] == 0
    one, other = (read_video(name).frames.astype(int) for name in ("a.mp4", "b.mp4"))
    assert abs(one - other).max() <= 2
    assert sorted(path.name for path in Path().iterdir()) == ["a.mp4", "a.png", "b.mp4", "b.png", "board.yaml"]


@pytest.mark.parametrize("lost", [0, 1])
def test_when_one_process_dies_all_end_with_one_line(words, lost):
    process = launched(2, *words, "--steps", "100000", "--checkpoint", "1", "-o", "a.mp4")
    state = Path("a.unfinished.safetensors")
    while not state.exists():
        assert process.poll() is None, process.errors
        time.sleep(0.05)
    os.kill(process_of(lost, process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    (line,) = said_by_us(err)
    assert line.startswith("holocine: one of the 2 processes ended, so all of them do")
    if lost == 1:
        assert "the same command with --resume goes on from a.unfinished.safetensors" in line
    assert not Path("a.mp4").exists() and state.exists()


def process_of(rank, parent):
    """The process of this rank, of those that a launcher forked in turn."""
    return sorted(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))[rank]


@pytest.mark.parametrize("first_late", [0, 2])
def test_a_fault_of_the_input_is_one_line_too(words, first_late):
    process = launched(2, *words, "--split", "guidance", "--guidance", "1", "-o", "a.mp4", first_late=first_late)
    _, err = process.communicate(timeout=300)
    assert process.returncode != 0
    assert said_by_us(err) == ["holocine: --split guidance: there is no guidance; take --split tokens"]


def test_several_processes_are_needed_to_split_anything(words, run):
    code, _, err = run(*words, "--split", "tokens", "-o", "a.mp4")
    assert code == 2 and "--split tokens is for several processes: start them with torchrun" in err
