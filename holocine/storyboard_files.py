"""The text of storyboard files: strict YAML and JSON, and the JSON Schema of both."""

from __future__ import annotations

import json
from typing import Any

import yaml

from holocine.storyboard_input import StoryboardError


def parse_yaml(text: str) -> Any:
    """Parse YAML into plain values. Raises StoryboardError, with line and column, if malformed or a key is repeated."""
    try:
        return _no_nothing(yaml.load(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise StoryboardError(_describe_yaml_error(error, text)) from None
    except yaml.reader.ReaderError as error:
        line, column = _line_and_column(text, error.position)
        raise StoryboardError(
            f"YAML error in line {line}, column {column}: the character {chr(error.character)!a} is not allowed"
        ) from None
    except RecursionError:
        raise StoryboardError("YAML error: the lists are nested too deeply") from None
    except StoryboardError:
        raise
    except ValueError as error:
        raise StoryboardError(f"YAML error: {_unreadable_number(error)}") from None


def parse_json(text: str) -> Any:
    """Parse JSON into plain values. Raises StoryboardError, with line and column, if malformed or a key is repeated."""
    try:
        return _no_nothing(
            json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_reject_constant) if text.strip() else None
        )
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise StoryboardError(f"JSON error in {where}: {json_expected(error)}") from None
    except RecursionError:
        raise StoryboardError("JSON error: the lists are nested too deeply") from None
    except StoryboardError:
        raise
    except ValueError as error:
        raise StoryboardError(f"JSON error: {_unreadable_number(error)}") from None


_EXPECTED = (
    ("Expecting value", "a value is expected (a text in double quotes, a number, […], {…}, true, false or null)"),
    ("Expecting ',' delimiter", "a comma is expected, or the end of the list or object"),
    ("Expecting ':' delimiter", "a colon and a value are expected after the key"),
    ("Expecting property name", "a key in double quotes is expected"),
    ("Illegal trailing comma", "another value is expected after the comma"),
    ("Unterminated string", "the double quote that ends this text is expected"),
    ("Extra data", "nothing more is expected"),
    ("Invalid control character", "a line break or tab in a text is expected as \\n or \\t"),
    ("Invalid \\", "a backslash in a text is expected as \\\\"),
)
_FOUND = 20  # characters that are shown of what stands in its place


def json_expected(error: json.JSONDecodeError) -> str:
    """What was expected where JSON is malformed, and what stands there."""
    said = next((said for message, said in _EXPECTED if error.msg.startswith(message)), error.msg.lower())
    found = " ".join(error.doc[error.pos : error.pos + _FOUND].split())
    more = "…" if len(error.doc) > error.pos + _FOUND else ""
    return f"{said}, where {f'{found}{more} stands' if found else 'the text ends'}"


def write_yaml(data: Any) -> str:
    """Return plain values as YAML that `parse_yaml` reads back unchanged."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=110)


class _Dumper(yaml.SafeDumper):
    """Writes text with Unicode's own line breaks escaped: unescaped, YAML reads them back as ordinary ones."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    style = '"' if any(char in text for char in "\r\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class _Loader(yaml.SafeLoader):
    """Loads plain values, with dates left as text, and rejects repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = super().construct_mapping(node, deep)
        if len(mapping) < len(node.value):
            seen = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is repeated", key_node.start_mark
                    )
                seen.add(key)
        return mapping


_Loader.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


def _describe_yaml_error(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return f"YAML error: {error.problem}"
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    hint = ""
    if "\t" in line[: mark.column + 1]:
        hint = " (indent with spaces, not tabs)"
    elif error.problem.startswith(("mapping values", "expected")) and ("[" in line or ": " in line):
        hint = " (put quotes around text that begins with [ or holds a colon)"
    return f"YAML error in line {mark.line + 1}, column {mark.column + 1}: {error.problem}{hint}"


def _unreadable_number(error: ValueError) -> str:
    """What Python says of a number with thousands of digits, or of text that is marked as a number."""
    return f"a number in it cannot be read ({str(error).partition(';')[0]}): write a shorter one, or quotes around text"


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _no_nothing(data: Any) -> Any:
    if data is None:
        raise StoryboardError("the storyboard is empty: it needs global_caption and shots")
    return data


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise StoryboardError(f"JSON error: the key {repeated!r} is repeated")
    return mapping


def _reject_constant(name: str) -> Any:
    raise StoryboardError(f"JSON error: {name} is not a number")


def file_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Extend the schema of Storyboard's fields with the other ways in which a file may give the shots."""
    properties = schema["properties"]
    frames = {"type": "integer", "minimum": 1}
    shot = schema["$defs"]["Shot"]
    shot["properties"]["seconds"] = {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "Length of the shot in seconds, in place of num_frames.",
    }
    shot["required"] = ["caption"]
    shot["not"] = {"required": ["num_frames", "seconds"]}
    properties["shots"]["items"] = {
        "anyOf": [{"$ref": "#/$defs/Shot"}, {"type": "string", "description": "The caption of the shot."}]
    }
    cuts = {
        "type": "array",
        "items": frames,
        "description": "First frame (0-based) of every shot but the first, if the shots have no lengths of their own. "
        "Spread evenly if absent.",
    }
    properties["shot_cut_frames"] = cuts
    properties["cuts"] = {**cuts, "description": "The same as shot_cut_frames."}
    properties["num_frames"] = {
        **frames,
        "description": "Frames of the whole video, if the shots have no lengths of their own. 241 if absent.",
    }
    properties["prompt"] = {
        "type": "string",
        "description": "HoloCine's prompt in place of global_caption and shots: "
        "[global caption] … [per shot caption] … [shot cut] …",
    }
    del schema["required"]
    schema["oneOf"] = [{"required": ["global_caption", "shots"]}, {"required": ["prompt"]}]
    return schema
