"""What the command line of the API refuses, and in which words."""

from __future__ import annotations

import pytest

from image_catalog_functions.api.__main__ import run


def refused(arguments: tuple[str, ...], environment: dict[str, str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that say why it does not start."""
    with pytest.raises(SystemExit) as ended:
        run(arguments, environment)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104 - it is refused
def test_letting_everybody_in_is_for_loopback_alone(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refused(("--auth", "none", "--host", host), {}, capsys)
    assert host in line


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        pytest.param(("--port", "99999"), {}, "'99999' is no port", id="port"),
        pytest.param((), {"PORT": "http"}, "'http' is no port", id="PORT"),
        pytest.param((), {"IMAGE_CATALOG_API_PORT": "http"}, "IMAGE_CATALOG_API_PORT: ", id="setting"),
        pytest.param(("--auth", "basic"), {}, "'kubernetes', 'none'", id="auth"),
    ],
)
def test_what_cannot_be_is_told_in_the_last_line(
    arguments: tuple[str, ...], environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(arguments, environment, capsys)[-1]
