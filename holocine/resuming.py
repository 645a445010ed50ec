"""`generate` and the state of its run: read before, written on the way, told of when it ends early, removed at last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holocine.program import UsageError, tell
from holocine.run_state import (
    RunState,
    check_same_run,
    check_same_seed,
    read_state,
    run_of,
    state_path,
    write_state,
)

if TYPE_CHECKING:
    from holocine.checkpoints import ModelFacts
    from holocine.storyboard import Storyboard


@dataclass(eq=False)
class Run:
    """One call of `generate`.

    path: where its state lies. of: what it is of, see `run_of`; None for a family's model, whose runs have no state,
    and for the other processes of a team, which write none.
    every: after how many steps the state is written, None for only when all are done. state: what is gone on from.
    warnings: what is worth telling before it begins, a sentence each.
    """

    path: Path
    of: Mapping[str, Any] | None
    every: int | None = None
    state: RunState | None = None
    warnings: list[str] = field(default_factory=list)
    written: RunState | None = None

    @classmethod
    def open(
        cls,
        out: Path,
        storyboard: Storyboard,
        settings: Mapping[str, Any],
        facts: ModelFacts,
        every: int | None,
        resume: bool,
        is_first: bool = True,
    ) -> Run:
        """Find the state beside `out`; raises `ResumeError` for that of another run if this one is to go on from it."""
        path = state_path(out)
        if facts.family is not None:
            if every or resume:
                raise UsageError(f"--checkpoint and --resume are not for {facts.family}: leave them out")
            return cls(path, None)
        run = cls(path, run_of(storyboard, settings, facts.folder), every)
        if not resume:
            if path.is_file():
                run.warnings.append(
                    f"{path} holds a run that was not finished, and is replaced: --resume goes on from it"
                )
        elif path.is_file():
            run.state, before = read_state(path)
            check_same_run(path, before, run.of)
            check_same_seed(path, run.state, storyboard.seed)
            run.written = run.state if is_first else None
        else:
            run.warnings.append(f"{path} is not there: the run begins with its first step")
        return run if is_first else replace(run, of=None)

    def with_its_seed(self, storyboard: Storyboard) -> Storyboard:
        """The storyboard with the seed of the run that is gone on from."""
        return storyboard if self.state is None else storyboard.model_copy(update={"seed": self.state.seeds[0]})

    def options(self) -> dict[str, Any]:
        """What the pipeline is called with beside all else."""
        going_on = {} if self.state is None else {"resume": self.state}
        return going_on if self.of is None else {"on_state": self._write, "state_every": self.every, **going_on}

    def _write(self, state: RunState) -> None:
        """Write the state; where that fails, the run goes on without."""
        try:
            write_state(self.path, state, self.of)
            self.written = state
        except OSError as error:
            tell("holocine", [f"warning: {self.path}: {error.strerror}: step {state.step} of {state.of} is not kept"])

    @contextmanager
    def kept_until_written(self) -> Iterator[None]:
        """Inside the block the video is made and written: then the state is not needed any more.

        An error gets a note that says where the state is.
        """
        try:
            yield
        except BaseException as error:
            if self.written is not None:
                state = self.written
                what = "all steps are done" if state.is_finished else f"{state.step} of {state.of} steps are done"
                error.add_note(f"{what}, the same command with --resume goes on from {self.path}")
            raise
        if self.written is not None:
            self.path.unlink(missing_ok=True)
