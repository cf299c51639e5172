from __future__ import annotations

import gc
import importlib
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from image_catalog.loading import collector_paused, leave_front_page_unread, leave_out, left_out


class Ring:
    """An object that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_nothing_is_collected_while_code_is_loaded() -> None:
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_collector_runs_again_after_an_import_that_failed() -> None:
    with pytest.raises(ImportError), collector_paused():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_somebody_else_has_stopped_stays_stopped() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()


def test_what_was_loaded_is_left_alone_and_what_comes_later_is_collected() -> None:
    with collector_paused():
        loaded = weakref.ref(Ring())
    later = weakref.ref(Ring())
    gc.collect()
    assert loaded() is not None
    assert later() is None
    gc.unfreeze()


@pytest.fixture
def chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a package whose front page cannot be read."""
    folder = tmp_path / "a_book_of_chapters"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise AssertionError('the front page was read')\n")
    (folder / "one.py").write_text("from a_book_of_chapters import two\n\nTITLE = two.TITLE\n")
    (folder / "two.py").write_text("TITLE = 'two'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in (folder.name, f"{folder.name}.one", f"{folder.name}.two"):
        # Forgotten afterwards: another test may come to this process.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    return folder.name


def test_a_package_whose_front_page_is_left_unread_gives_its_modules(chapters: str) -> None:
    leave_front_page_unread(chapters)

    from a_book_of_chapters import one  # type: ignore[import-not-found]  # noqa: PLC0415 - made by the fixture

    assert one.TITLE == "two"


def test_a_package_that_was_imported_already_stays_as_it_is() -> None:
    before = sys.modules["image_catalog"]
    leave_front_page_unread("image_catalog")
    assert sys.modules["image_catalog"] is before


def test_a_package_that_does_not_exist_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_book_that_nobody_wrote"):
        leave_front_page_unread("a_book_that_nobody_wrote")


def test_an_optional_package_is_left_out_and_can_be_imported_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "colours_that_nobody_sees"
    (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with left_out(name), pytest.raises(ImportError):
        importlib.import_module(name)
    assert importlib.import_module(name)
    with left_out(name):
        assert importlib.import_module(name), "what is there stays"
    leave_out(name)
    assert importlib.import_module(name), "what is there stays"
    del sys.modules[name]
    leave_out(name)
    with pytest.raises(ImportError):
        importlib.import_module(name)
    del sys.modules[name]


def test_a_function_starts_without_what_draws_on_terminals() -> None:
    script = "import sys, image_catalog_functions.verify.main as _; print('rich' in sys.modules); import rich"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("False\n", "")
