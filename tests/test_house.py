"""The house stands: imports run in one direction only, and the README's map of the code is true.

The code is read, not run, so that imports inside functions count as well.
"""

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("holocine", "eval", "benchmarks", "desk")

# From the top down: what is in a room uses what is in the same room or below. What is named in none stands above all.
FLOORS = (
    ("app",),
    ("desk",),
    ("desk.service",),
    ("desk.tabs",),
    ("desk.page",),
    ("desk.scene",),
    ("desk.studio",),
    ("benchmarks",),
    ("benchmarks.speed",),
    ("benchmarks.reporting",),
    ("benchmarks.running",),
    ("benchmarks.systems",),
    ("benchmarks.suites",),
    ("eval.calibration", "eval.theatre", "eval.__main__"),
    ("eval.report",),
    ("eval",),
    ("holocine.puppet.__main__",),
    ("holocine.puppet.training",),
    ("holocine.puppet",),
    ("holocine",),
)


def sources() -> dict[str, str]:
    """Every module of the product by its dotted name; a package goes by that of its folder."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    parts = {path: path.relative_to(ROOT).with_suffix("").parts for path in [*files, ROOT / "app.py"]}
    return {".".join(p[:-1] if p[-1] == "__init__" else p): path.read_text("utf-8") for path, p in parts.items()}


def imports(modules: dict[str, str]) -> dict[str, set[str]]:
    """Which of the modules each one imports, itself not counted."""
    found = {}
    for name, source in modules.items():
        is_package = any(other.startswith(f"{name}.") for other in modules)
        asked: set[str] = set()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                asked |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                around = name.split(".")[: len(name.split(".")) + is_package - node.level] if node.level else []
                base = ".".join([*around, *([node.module] if node.module else [])])
                inside = {f"{base}.{alias.name}" for alias in node.names}
                asked |= inside & set(modules) or {base}
        found[name] = (asked & set(modules)) - {name}
    return found


def floor(module: str) -> int:
    """How far down a module is: the floor that names it most closely."""
    rooms = [(len(room), number) for number, rooms in enumerate(FLOORS) for room in rooms if _is_in(module, room)]
    return max(rooms)[1]


def _is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def faults(modules: dict[str, str]) -> list[str]:
    """Every import that runs upwards, and the first circle."""
    graph = imports(modules)
    found = [
        f"{name} imports {other}, which stands above it"
        for name, others in graph.items()
        for other in sorted(others)
        if floor(other) < floor(name)
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append("imports run in a circle: " + " <- ".join(error.args[1]))
    return found


def test_imports_run_downwards_and_in_no_circle():
    assert faults(sources()) == []


@pytest.mark.parametrize(
    ("module", "line", "says"),
    [
        ("eval.shots", "from benchmarks.suites import suite", "eval.shots imports benchmarks.suites.suite, which"),
        ("desk.studio.jobs", "def f():\n    import desk.tabs.how", "desk.studio.jobs imports desk.tabs.how, which"),
        ("benchmarks.suites.suite", "from ..running.run import run", "suites.suite imports benchmarks.running.run,"),
        ("holocine.puppet.world", "from holocine.puppet.training import vae", "imports holocine.puppet.training.vae"),
        ("eval.metric", "import eval.metrics", "imports run in a circle: "),
    ],
)
def test_an_import_upwards_or_in_a_circle_is_named(module, line, says):
    modules = sources()
    modules[module] += f"\n{line}\n"
    assert any(says in fault for fault in faults(modules))


def folders() -> list[str]:
    """The folders with code in them, as the README writes them."""
    return sorted(
        {f"{path.parent.relative_to(ROOT)}/" for package in PACKAGES for path in ROOT.glob(f"{package}/**/*.py")}
    )


def test_every_folder_opens_with_a_sentence():
    silent = [name for name in folders() if not ast.get_docstring(ast.parse((ROOT / name / "__init__.py").read_text()))]
    assert silent == []


def test_the_readme_maps_every_folder():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## The code\n.*?```\n(.*?)```", readme, re.DOTALL)[1]
    drawn, above = [], {}
    for line in block.splitlines():
        indent, name, text = re.fullmatch(r"( *)(\S+) +(\S.*)", line).groups()
        above[len(indent)] = name
        path = "".join(above[depth] for depth in sorted(above) if depth <= len(indent))
        assert (ROOT / path).exists(), f"{path} is not there"
        drawn.append(path)
    assert [name for name in folders() if name not in drawn] == []
    assert len(drawn) == len(set(drawn))
