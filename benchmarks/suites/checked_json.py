"""JSON of other people's files, read with its place in mind: what is not as it should be is said with file and key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from benchmarks.suites.suite import SuiteError
from holocine.storyboard_files import json_expected

_SHOWN = 60  # characters of a value in a sentence


@dataclass(frozen=True)
class Value:
    """A value of a file. story: that the file tells; where: the value's place, such as `scenes[0].cut`, "" for all."""

    content: Any
    file: Path
    format: str
    story: str
    where: str = ""

    @classmethod
    def read(cls, path: Path, format: str, story: str) -> Value:
        """The whole of a file; raises SuiteError for one that cannot be read or is no JSON."""
        try:
            content = json.loads(path.read_text(encoding="utf-8-sig"))
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            said = "it holds half a character (a lone surrogate)"
        except RecursionError:
            said = "it is nested too deeply"
        except json.JSONDecodeError as error:
            said = f"it is not JSON in line {error.lineno}, column {error.colno}: {json_expected(error)}"
        except (OSError, ValueError) as error:
            said = str(error)
        else:
            return cls(content, path, format, story)
        raise SuiteError(f"{path}: cannot be read: {said}; give a file of JSON in UTF-8, or take it away")

    def __getitem__(self, key: str) -> Value:
        """What lies under a key of an object; raises SuiteError if it is not there."""
        found = self.get(key)
        if found is None and key in self.object():
            self.fail(f"{key!r} is null in {self._place}", "give it a value")
        if found is None:
            self.fail(f"{key!r} is missing in {self._place}", "add it")
        return found

    def get(self, key: str) -> Value | None:
        """The same, None if it is not there or null."""
        found = self.object().get(key)
        return None if found is None else self._at(f"{self.where}.{key}" if self.where else key, found)

    def object(self) -> dict[str, Any]:
        return self._as(dict, "an object {…}")

    def entries(self) -> Iterator[tuple[str, Value]]:
        """Keys and values of an object."""
        for key in self.object():
            yield key, self._at(f"{self.where}.{key}" if self.where else key, self.object()[key])

    def items(self) -> list[Value]:
        """The values of a list."""
        content = self._as(list, "a list […]")
        return [self._at(f"{self.where}[{index}]", value) for index, value in enumerate(content)]

    def text(self) -> str:
        return self._as(str, "a text")

    def name(self) -> str:
        """A text, or a number as one: what things are referred to by."""
        if isinstance(self.content, int) and not isinstance(self.content, bool):
            return str(self.content)
        text = self._as(str, "a name or a number").strip()
        return text or self.fail(f"{self._place} is empty", "give a name or a number")

    def number(self) -> int:
        """A whole number of 0 or more, or a text that is one."""
        text = str(self.content) if isinstance(self.content, str | int) else ""
        if isinstance(self.content, bool) or not (text.isdecimal() and text.isascii() and len(text) < 10):
            self._refuse("a whole number")
        return int(text)

    def flag(self) -> bool:
        """true or false, or the text True or False."""
        if not isinstance(self.content, bool) and self.content not in ("True", "False", "true", "false"):
            self._refuse("true or false")
        return self.content in (True, "True", "true")

    def fail(self, what: str, remedy: str) -> NoReturn:
        raise SuiteError(f"{self.file}: is no script of {self.format}: {what}; {remedy}, or take the file away")

    @property
    def _place(self) -> str:
        return f"{self.where} of story {self.story}" if self.where else f"story {self.story}"

    def _at(self, where: str, content: Any) -> Value:
        return Value(content, self.file, self.format, self.story, where)

    def _as(self, kind: type, what: str) -> Any:
        if not isinstance(self.content, kind):
            self._refuse(what)
        return self.content

    def _refuse(self, what: str) -> NoReturn:
        shown = json.dumps(self.content, ensure_ascii=False)
        shown = shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
        self.fail(f"{self._place} is {shown}", f"it has to be {what}: put it right")
