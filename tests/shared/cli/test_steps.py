"""How a write is told: marks, colours, and something that moves on a terminal."""

from __future__ import annotations

import io

import pytest

from image_catalog.cli.steps import Narrator, Telling, one_line, step_text


@pytest.mark.parametrize(
    ("status", "line"),
    [
        pytest.param("ok", "\x1b[32m✓\x1b[0m said\n", id="ok"),
        pytest.param("warning", "\x1b[33m!\x1b[0m said\n", id="warning"),
        pytest.param("failed", "\x1b[31m✗\x1b[0m said\n", id="failed"),
        pytest.param("skipped", "\x1b[2m–\x1b[0m said\n", id="skipped"),
        pytest.param("tomorrow's", "? said\n", id="unknown"),
    ],
)
def test_a_mark_is_coloured_on_a_terminal(status: str, line: str) -> None:
    out = io.StringIO()
    Narrator(out, telling=Telling.CHECKING, colour=True, spinner=False).mark(status, "said")
    assert out.getvalue() == line


def test_what_moves_is_on_stderr_and_not_in_what_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    narrator = Narrator(out, telling=Telling.CHECKING, colour=False, spinner=True)
    with narrator.busy("Asking [the] registry"):
        narrator.say("told")
    assert out.getvalue() == "told\n"
    assert capsys.readouterr().out == ""


def test_a_step_that_nobody_foresaw_is_told_as_it_is() -> None:
    step = {"name": "Catalog image", "status": "ok", "message": "renamed"}
    assert step_text(step, Telling.PUBLISHING) == "Catalog image: renamed"
    assert step_text({"name": "Signature", "status": "ok"}, Telling.CHECKING) == "Signature"


def test_a_text_is_one_line_that_a_terminal_can_only_show() -> None:
    assert one_line("a\n b\t\x1b]0;title\x07c") == "a b ]0;titlec"
