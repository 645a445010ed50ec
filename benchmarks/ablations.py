"""`python -m benchmarks ablations`: HoloCine's Table 2 on the puppet world, the paper's numbers beside ours.

Beside its rows stand the mechanisms of other families, which no paper compares on equal data. Each variant of the
attention gets its own training, all from the same weights and for as many minutes, then makes the same storyboards. The
same command goes on where it stopped: training from its checkpoint, videos item by item.

FOLDER/training/VARIANT/   checkpoint
FOLDER/VARIANT/            the model, a pipeline folder
FOLDER/run/                videos and scorecards, a run like any other
"""

from __future__ import annotations

import argparse
import json
import logging
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

from benchmarks.reporting.published import TABLE_2, TABLE_2_COLUMNS
from benchmarks.reporting.render import markdown
from benchmarks.reporting.results import Results, load_run
from benchmarks.reporting.significance import Comparison, in_words
from benchmarks.reporting.summary import Summary, summarise
from benchmarks.reporting.tables import LEVEL, NONE, Table, Text, cell_text, number
from benchmarks.running.items import RunError
from benchmarks.running.scoring import Scoring
from benchmarks.suites.suite import Suite
from benchmarks.systems.models import ModelSettings, folder_sha256, transformer_sha256
from holocine.attention import AttentionSettings
from holocine.files import replacing
from holocine.plurals import are, counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A row of the table: its label in the paper, our system of the same attention, and how it is trained.

    mechanism: of another family, in place of the settings; such a row has no numbers in the paper.
    """

    name: str
    label: str
    system: str
    settings: AttentionSettings = AttentionSettings()
    mechanism: str | None = None


VARIANTS = (
    Variant("no-window", "no window", "no-window", AttentionSettings("sparse", window=False)),
    Variant("full", "full + window", "holocine-full", AttentionSettings("full")),
    Variant("isolated", "sparse, no summary", "isolated", AttentionSettings("isolated")),
    Variant("sparse", "sparse + summary", "holocine", AttentionSettings("sparse")),
    Variant("phases", "phases, as EchoShot", "phases", mechanism="phases"),
    Variant("block-mask", "block mask, as CineTrans", "block-mask", mechanism="block-mask"),
    Variant("causal", "causal, as ShotStream", "causal", mechanism="causal"),
)
PAPER = tuple(variant for variant in VARIANTS if variant.label in TABLE_2)
# Our metrics, and the column of the paper's table that each stands beside. It has one semantic score, we have two.
COLUMNS = (
    ("sca", "SCA", "ours"),
    ("character_consistency", "inter-shot", "ours"),
    ("aesthetic", "aesthetic", "ours"),
    ("text_video", "semantic", "ours, all text"),
    ("text_shot", "semantic", "ours, each shot"),
)


@dataclass(frozen=True)
class Training:
    """What a variant's training has taken."""

    steps: int
    minutes: float


def train(
    folder: Path, latents: Path, text: Path, start: Path, minutes: float, most_steps: int | None = None
) -> dict[str, Training]:
    """Train every variant for `minutes` of computing and write its pipeline folder; returns what each has taken.

    latents, text: folders of the training recipe. start: pipeline folder that all go on from. most_steps: ends each
    training early, for trials. Raises `RunError` for a folder whose training began from other weights.
    """
    import torch

    from holocine.checkpoints import hide_loading_bars
    from holocine.puppet.training.assemble import assemble
    from holocine.puppet.training.transformer import train_transformer

    hide_loading_bars()
    _check_start(folder, start)
    for path, what in (
        (latents, "latents"),
        (text / "text_encoder", "text encoder"),
        (text / "tokenizer", "tokenizer"),
    ):
        if not path.is_dir():
            makes = "--encode makes them" if what == "latents" else "python -m holocine.puppet train makes it"
            raise RunError(f"{path} holds no {what}: {makes}")
    taken, banks = {}, _Banks(latents, text, start)
    for variant in VARIANTS:
        logger.info("training %s for %g minutes", variant.label, minutes)
        checkpoint = folder / "training" / variant.name
        torch.manual_seed(0)  # the same noise for all
        train_transformer(
            checkpoint,
            banks.of(variant),
            minutes,
            variant.settings,
            still_share=0.0,
            most_steps=most_steps,
            start=start / "transformer",
        )
        state = torch.load(checkpoint / "state.pt", weights_only=True)
        taken[variant.name] = Training(state["step"], state["spent"] / 60)
        # guidance by the other shots would be for some rows alone: the mechanisms' shots cannot be set apart
        assemble(text, start / "vae", checkpoint / "model", folder / variant.name, by_shots=False)
    return taken


class _Banks:
    """The batches that variants are trained on, of one data set that is read once for each kind."""

    def __init__(self, latents: Path, text: Path, start: Path) -> None:
        from holocine.puppet.training.batches import LatentBank
        from holocine.puppet.training.mechanisms import MechanismBank

        self._shots, self._mechanisms = LatentBank.open(latents, text), MechanismBank.open(latents, text)
        config = json.loads((start / "transformer" / "config.json").read_text(encoding="utf-8"))
        self._size = config["attention_head_dim"], config["num_layers"]

    def of(self, variant: Variant):
        from holocine.families.mechanisms import MECHANISMS

        if variant.mechanism is None:
            return self._shots
        return self._mechanisms.follow(MECHANISMS[variant.mechanism], *self._size)


def encode(latents: Path, start: Path, shards: int) -> None:
    """Make the latents to train on with the video autoencoder of `start`: so many shards of scenes, and of stills a
    quarter as many. What is there already is kept.
    """
    import torch
    from diffusers import AutoencoderKLWan

    from holocine.puppet.training.latents import encode_scenes, encode_stills

    vae = AutoencoderKLWan.from_pretrained(start / "vae", torch_dtype=torch.float32).eval()
    latents.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        logger.info("encoding shard %d of %d", shard + 1, shards)
        encode_scenes(vae, latents, shard)
        if shard % 4 == 0:
            encode_stills(vae, latents, shard // 4)


def _check_start(folder: Path, start: Path) -> None:
    """Keep in `folder` which weights training began from, and hold on to them."""
    if not (start / "transformer").is_dir():
        raise RunError(f"{start} is no pipeline folder: it holds no transformer to go on from")
    note, found = folder / "training" / "start.sha256", folder_sha256(start)
    if note.exists() and note.read_text(encoding="utf-8").strip() != found:
        raise RunError(f"{folder} holds training that began from other weights than {start}: choose another folder")
    note.parent.mkdir(parents=True, exist_ok=True)
    with replacing(note) as temporary:
        temporary.write_text(found + "\n", encoding="utf-8")


def run_variants(
    folder: Path, suite: Suite, settings: ModelSettings, scoring: Scoring, limit: int | None, workers: int
):
    """Run all variants over the suite's first `limit` storyboards, and return how it ended."""
    from benchmarks.running.local_engine import run_local
    from benchmarks.running.progress import ProgressLine
    from benchmarks.running.run import Plan, run
    from benchmarks.systems.systems import parse_systems

    specs = [f"{variant.name}={variant.system}@{folder / variant.name}" for variant in VARIANTS]
    systems = parse_systems(specs, settings)
    plan = Plan(suite, systems, specs, settings, scoring, limit=limit, changed="rerun")
    with ProgressLine() as line:
        return run(plan, folder / "run", partial(run_local, workers=workers), line.show)


# What came of it


def report(results: Results, taken: Mapping[str, Training], minutes: float, start: str, command: str) -> str:
    """The page: both tables in one, and in words how far the orders agree; start: the weights that all began from."""
    summaries = {variant.name: summarise(results, variant.name) for variant in VARIANTS}
    boards = len(results.entries)
    suite = results.suite
    steps = ", ".join(f"{taken[v.name].steps:,} ({v.label})" for v in VARIANTS)
    spent = ", ".join(f"{taken[v.name].minutes:.1f}" for v in VARIANTS)
    parts = [
        "# Ablations: the paper's Table 2 on the puppet world",
        "",
        "Each variant of the attention is trained on its own, all from the same weights and for as many minutes of "
        "computing, and makes the same storyboards with the attention that it was trained with. The paper "
        "(arXiv 2510.20822) trained a base of 5B on films and measured with ViCLIP: its numbers and ours are not of "
        "one scale, only their orders can be compared. The weights that all variants begin from were trained with "
        "sparse attention, summaries and windows, so the others have to get used to theirs within their minutes.",
        "",
        "The last three rows are what tells shots apart in other families (`docs/baselines.md`), here on the same "
        "data, text encoder, video autoencoder, lengths and sampler as the others: rotary phases for each shot; masks "
        "in the middle blocks that leave a shot itself and the video's first frame; and one shot after the other, in "
        "blocks of three latent frames, from six latent frames of the shots before. They are no measurement of those "
        "models. The causal one sees a shot of each scene a step, and hands on latent frames where ShotStream encodes "
        "pictures.",
        "",
        markdown(_table(results, summaries["sparse"])),
        "## Does the order agree?",
        "",
        *(f"* {sentence}" for sentence in order_in_words(results, summaries)),
        "",
        "## How it was made",
        "",
        f"* storyboards: {boards} of the suite `{suite.name}` {suite.version} ({suite.sha256[:12]}), one video each",
        f"* every variant began from {start}",
        f"* training: {minutes:g} minutes of one processor core for each variant ({spent}); steps: {steps}",
        "* no window: every shot sees all captions, with the attention between shots of sparse + summary",
        "* every row is sampled with guidance by the text alone: the embedded model is also guided by its other shots, "
        "which neither isolated shots nor the other families' mechanisms can be",
        "",
        "```sh",
        command,
        "```",
        "",
    ]
    return "\n".join(parts)


def _table(results: Results, summary: Summary) -> Table:
    head = ["variant"]
    for column in TABLE_2_COLUMNS:
        head += [f"{column}, paper", *(f"{column}, {title}" for _, of, title in COLUMNS if of == column)]
    rows = []
    for variant in VARIANTS:
        row = [Text(variant.label)]
        for number_, column in enumerate(TABLE_2_COLUMNS):
            paper = TABLE_2.get(variant.label)
            row.append(Text(NONE if paper is None else number(paper[number_])))
            for metric, of, _ in COLUMNS:
                if of == column:
                    cell = summary.table.get(metric, {}).get(variant.name)
                    row.append(cell_text(cell) if cell else Text(NONE))
        rows.append(tuple(row))
    failed = len(results.failures)
    pairs = [cell.comparison.pairs for row in summary.table.values() for cell in row.values() if cell.comparison]
    notes = [
        "More is better in every column. Ours: value ± standard error over storyboards; best in bold, runner-up "
        f"underlined. † differs from sparse + summary at {100 * LEVEL:.0f} % ({in_words(pairs)}, Holm).",
        *(f"{counted(failed, 'video')} failed and {are(failed)} left out." for _ in range(bool(failed))),
        *(f"No {what}: {reason}." for what, reason in _absent(results, summary)),
    ]
    return Table("ablations", "Table 2", tuple(head), tuple(rows), " ".join(notes))


def _absent(results: Results, summary: Summary) -> Iterator[tuple[str, str]]:
    """The columns without a value, and what most scorecards give as the reason."""
    for metric, column, title in COLUMNS:
        if metric not in summary.table:
            cards = [item.scorecard[metric] for item in results.items if metric in (item.scorecard or {})]
            reasons = Counter(score.reason for score in cards if score.reason).most_common(1)
            yield f"{column} of {title.replace('ours, ', '')}", reasons[0][0] if reasons else "no scorecard has it"


def order_in_words(results: Results, summaries: Mapping[str, Summary]) -> list[str]:
    """A sentence for every column that has numbers, and one for all of them together.

    summaries: by variant, each with that variant as the baseline of its comparisons.
    """
    sentences, agree, compared = [], 0, 0
    for metric, column, title in COLUMNS:
        row = summaries["sparse"].table.get(metric)
        name = column if title == "ours" else f"{column} ({title.removeprefix('ours, ')})"
        measured = [variant for variant in PAPER if row and row[variant.name].value is not None]
        if len(measured) < 2:
            sentences.append(f"**{name}**: cannot be compared, there is no value of ours.")
            continue
        paper = {v.name: TABLE_2[v.label][TABLE_2_COLUMNS.index(column)] for v in measured}
        ours = {v.name: row[v.name].value for v in measured}
        pairs = list(combinations(measured, 2))
        wrong = [(a, b) for a, b in pairs if (paper[a.name] - paper[b.name]) * (ours[a.name] - ours[b.name]) <= 0]
        agree, compared = agree + len(pairs) - len(wrong), compared + len(pairs)
        text = f"**{name}**: paper {_chain(measured, paper)}; ours {_chain(measured, ours)}. "
        if not wrong:
            sentences.append(text + "The order is the same.")
            continue
        reversed_ = "; ".join(
            _reversed(a, b, ours, summaries[b.name].table[metric][a.name].comparison) for a, b in wrong
        )
        sentences.append(
            f"{text}{len(pairs) - len(wrong)} of {len(pairs)} pairs stand as in the paper, not: {reversed_}."
        )
    if compared:
        how = "agrees with" if agree == compared else "agrees in part with" if 2 * agree > compared else "is not"
        verdict = f"In all, {agree} of {compared} pairs stand as in the paper: our order {how} the paper's."
        tested = any(cell.comparison for row in summaries["sparse"].table.values() for cell in row.values())
        few = "" if tested else " With so few storyboards no difference can be tested."
        sentences.append(verdict + few)
    return sentences


def _chain(variants: Sequence[Variant], values: Mapping[str, float]) -> str:
    """Labels from the greatest value to the least, with = where two are the same."""
    order = sorted(variants, key=lambda variant: -values[variant.name])
    text = order[0].label
    for above, below in zip(order, order[1:], strict=False):
        text += f" {'=' if values[above.name] == values[below.name] else '>'} {below.label}"
    return text


def _reversed(a: Variant, b: Variant, ours: Mapping[str, float], comparison: Comparison | None) -> str:
    difference = f"{a.label} and {b.label}, {ours[a.name] - ours[b.name]:+.4f}"
    if comparison is None or comparison.holm is None:
        return f"{difference} (not tested)"
    kind = "more than chance" if comparison.holm < LEVEL else "within chance"
    return f"{difference} ({kind}, p = {comparison.holm:.3f})"


# The command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `python -m benchmarks ablations`."""
    from benchmarks.options import add_scoring
    from holocine.program import whole_number

    add = parser.add_argument
    add("--folder", type=Path, default=Path("runs/ablations"), help="checkpoints, models, run (default: %(default)s)")
    add("--latents", type=Path, default=Path("runs/puppet/latents"), help="of the training recipe (%(default)s)")
    add("--encode", type=whole_number, metavar="N", help="first make N shards of --latents with the VAE of --start")
    add("--text", type=Path, help="folder of its tokenizer and text_encoder (default: those of --start)")
    add("--start", type=Path, help="pipeline folder that every variant goes on from (default: the embedded model)")
    add("--minutes", type=float, default=60.0, metavar="M", help="of training for each variant (default: %(default)s)")
    add("--most-steps", type=whole_number, metavar="N", help="end each training after N steps of this call, for trials")
    add("--suite", default="puppet", help="name of a suite or a .jsonl file (%(default)s)")
    add("--limit", type=whole_number, metavar="N", help="only the suite's first N storyboards")
    add("--steps", type=whole_number, metavar="N", help="denoising steps (the model's own)")
    add("--workers", type=whole_number, default=1, metavar="N", help="processes that make and score videos (1)")
    add("--out", type=Path, default=Path(__file__).with_name("ABLATIONS.md"), help="page to write (%(default)s)")
    add_scoring(parser)
    parser.set_defaults(device=None)


def run(options: argparse.Namespace) -> int:
    """Train, run and report all variants."""
    from benchmarks.options import chosen_scoring
    from benchmarks.running.progress import conclude
    from benchmarks.suites.suite import load_suite
    from holocine.checkpoints import find_model
    from holocine.files import check_writable

    if not options.minutes > 0:
        raise RunError(f"--minutes {options.minutes:g} leaves no time to train: give more than 0")
    check_writable(options.out)
    suite = load_suite(options.suite)
    logging.getLogger("holocine.puppet").setLevel(logging.INFO)
    logger.setLevel(logging.INFO)
    start = options.start or find_model(None)
    if options.encode:
        _check_start(options.folder, start)
        encode(options.latents, start, options.encode)
    taken = train(options.folder, options.latents, options.text or start, start, options.minutes, options.most_steps)
    settings = ModelSettings(str(start), num_inference_steps=options.steps)
    summary = run_variants(options.folder, suite, settings, chosen_scoring(options), options.limit, options.workers)
    code = conclude(summary, options.folder / "run")
    page = report(
        load_run(options.folder / "run"), taken, options.minutes, _named(options.start, start), _command(options)
    )
    with replacing(options.out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(options.out)
    return code


def _named(given: Path | None, start: Path) -> str:
    """The weights that training began from, as a page names them: without a folder of this machine."""
    name = "the embedded model" if given is None else f"the model `{given.name}`"
    steps = "; its `transformer`, not the distilled `transformer_2`" if (start / "transformer_2").is_dir() else ""
    transformer, whole = transformer_sha256(str(start)), folder_sha256(start)[:12]
    return f"{name} (sha256 of the transformer {transformer}, of the whole folder {whole}{steps})"


def _command(options: argparse.Namespace) -> str:
    """The command as it can be given anywhere: without folders of this machine, but with all that counts."""
    words = ["python", "-m", "benchmarks", "ablations", "--minutes", f"{options.minutes:g}"]
    for name in ("encode", "limit", "most_steps", "steps"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    if options.suite != "puppet":
        words += ["--suite", Path(options.suite).name]
    return shlex.join(words)
