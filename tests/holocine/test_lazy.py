"""Modules that are loaded when something of them is asked for; those here are written for it."""

import gc
import importlib
import inspect
import sys

import pytest

from holocine.lazy import defer, without_collection


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `shelf` with a module `shelf.book`, which notes in `shelf` that it is loaded, and its own `page`."""
    (tmp_path / "shelf" / "book").mkdir(parents=True)
    (tmp_path / "shelf" / "__init__.py").write_text("loaded = []\n")
    (tmp_path / "shelf" / "book" / "__init__.py").write_text("import shelf\nshelf.loaded.append('book')\ntitle = 'A'\n")
    (tmp_path / "shelf" / "book" / "page.py").write_text("number = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module("shelf")
    for name in [name for name in sys.modules if name.partition(".")[0] == "shelf"]:
        del sys.modules[name]


def test_a_deferred_module_is_loaded_by_its_first_use(package):
    defer("shelf.book")
    book = importlib.import_module("shelf.book")
    assert package.loaded == [] and package.book is book
    assert book.title == "A" and package.loaded == ["book"]
    assert package.book is sys.modules["shelf.book"] and package.book.title == book.title
    assert package.loaded == ["book"], "once"


@pytest.mark.parametrize(
    ("code", "name", "value"),
    [
        ("from shelf.book import title", "title", "A"),
        ("from shelf.book import *", "title", "A"),
        ("from shelf.book.page import number", "number", 7),
        ("import shelf.book.page; number = shelf.book.page.number", "number", 7),
    ],
)
def test_every_form_of_import_finds_what_is_there(package, code, name, value):
    defer("shelf.book")
    names = {}
    exec(code, names)
    assert names[name] == value and package.loaded == ["book"]


def test_looking_through_all_modules_loads_nothing(package):
    defer("shelf.book")
    inspect.getmodule(package.loaded.append, "nowhere.py")
    assert not hasattr(sys.modules["shelf.book"], "__file__") and importlib.util.find_spec("shelf.book") is not None
    assert package.loaded == []


def test_what_a_module_lacks_is_said_by_itself(package):
    defer("shelf.book")
    with pytest.raises(AttributeError, match="module 'shelf.book' has no attribute 'author'"):
        _ = package.book.author


@pytest.mark.parametrize("name", ["not_there.at_all", "shelf.nothing", "json"])
def test_what_is_not_there_or_loaded_already_stays_as_it_is(package, name):
    before = sys.modules.get(name)
    defer(name)
    assert sys.modules.get(name) is before


def test_what_is_loaded_is_not_searched_for_garbage_until_it_is_there():
    begun = []
    gc.callbacks.append(lambda phase, info: begun.append(phase))
    try:
        with without_collection():
            begun.clear()
            kept = [[] for _ in range(100_000)]
            assert begun == []
        assert gc.isenabled()
        kept += [[] for _ in range(100_000)]
        assert "start" in begun
    finally:
        gc.callbacks.pop()


def test_who_does_without_collection_goes_on_without_it():
    gc.disable()
    try:
        with without_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
