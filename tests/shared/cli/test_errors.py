from __future__ import annotations

from pathlib import Path

import pytest
import typer

from image_catalog.cli.errors import ExitCode, NotFoundError, report
from image_catalog.errors import (
    AlreadyExistsError,
    AuthenticationError,
    ClusterUnavailableError,
    ForbiddenError,
    PermanentError,
    WriteConflictError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("it is not there"), ExitCode.NOT_FOUND),
        (ForbiddenError("it is not there"), ExitCode.DENIED),
        (AuthenticationError("it is not there"), ExitCode.DENIED),
        (AlreadyExistsError("it is not there"), ExitCode.CONFLICT),
        (WriteConflictError("it is not there"), ExitCode.CONFLICT),
        (TimeoutError("it is not there"), ExitCode.TIMED_OUT),
        (PermanentError("it is not there"), ExitCode.ERROR),
        (ClusterUnavailableError("it is not there"), ExitCode.ERROR),
        (OSError("it is not there"), ExitCode.ERROR),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_is_one_line_and_the_code_that_scripts_go_by(
    error: Exception, code: ExitCode, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(**_: object) -> None:
        raise error

    assert report(command) == code
    assert capsys.readouterr() == ("", "Error: it is not there\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()], ids=["Ctrl-C", "abort"])
def test_who_interrupts_a_command_is_told_nothing(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    def command(**_: object) -> None:
        raise error

    assert report(command) == ExitCode.INTERRUPTED
    assert capsys.readouterr() == ("", "")


def test_a_file_that_is_not_there_is_named_without_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def command(**_: object) -> None:
        (tmp_path / "audit.log").read_text()

    assert report(command) == ExitCode.ERROR
    assert capsys.readouterr().err == f"Error: {tmp_path / 'audit.log'}: No such file or directory\n"


def test_a_usage_error_of_several_lines_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    def command(**_: object) -> None:
        raise typer.BadParameter("Not this. Choose from:\n\tpassed,\n\tfailed")

    assert report(command) == ExitCode.USAGE
    assert capsys.readouterr().err == "Error: invalid value: Not this. Choose from: passed, failed\n"


def test_a_usage_error_without_a_command_is_still_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command(**_: object) -> None:
        raise typer.BadParameter("Not this.")

    assert report(command) == ExitCode.USAGE
    assert capsys.readouterr().err == "Error: invalid value: Not this\n"


def test_a_fault_of_ours_is_not_hidden() -> None:
    def command(**_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        report(command)
