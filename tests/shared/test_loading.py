from __future__ import annotations

import gc
import importlib
import json
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


# What is imported, in this order, and what may not have been by then: each is slow to load, and few need it.
NOT_YET = {
    "image_catalog.context": [
        *("functions_framework", "flask"),  # for who is a function
    ],
    "image_catalog_functions.verify.main": [
        "rich",  # for who draws on terminals
        "lark",  # for who filters
    ],
    "image_catalog.cluster": [
        *("kubernetes.aio", "aiohttp"),  # for who asks an API server
    ],
    "image_catalog.catalog.checker": [
        *("boto3", "botocore"),  # for who has an image at AWS
    ],
    # FastAPI imports OpenTelemetry's front page; what makes and sends spans is imported by nobody.
    "image_catalog_functions.api.main": [
        *("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto", "google.protobuf", "requests")
    ],
}


def test_what_few_need_is_loaded_by_those_alone() -> None:
    script = (
        "import importlib, json, sys\n"
        "for module in sys.argv[1:]:\n"
        "    importlib.import_module(module)\n"
        "    print(json.dumps(list(sys.modules)))\n"
        # What was left out is not left out for those who ask for it themselves.
        "import rich"
    )
    command = [sys.executable, "-c", script, *NOT_YET]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for (module, absent), line in zip(NOT_YET.items(), done.stdout.splitlines(), strict=True):
        loaded = json.loads(line)
        assert module in loaded
        assert [name for name in loaded if any(f"{name}.".startswith(f"{each}.") for each in absent)] == []
