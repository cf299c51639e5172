from __future__ import annotations

import gc
import weakref

import pytest

from image_catalog.loading import collector_paused


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
