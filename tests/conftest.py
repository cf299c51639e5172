"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from image_catalog.loading import collector_paused
from image_catalog.testing.planted import MADE

if TYPE_CHECKING:
    from image_catalog.testing.postgres import Postgres

# No deadline: a busy machine is slow, not wrong. In CI the same examples every time: a find is made on a laptop, and
# gets a test of its own.
settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# For an hour to spare: pytest --hypothesis-profile=deep
settings.register_profile("deep", deadline=None, max_examples=5_000)
# What `make fuzz` loads: with a dozen properties more than 100,000 examples.
settings.register_profile("fuzz", deadline=None, max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector away from thousands of tests, and all that they import, while they come and later."""
    with collector_paused():
        return (yield)


def pytest_runtest_setup() -> None:
    """Look for the secrets of one test at a time."""
    MADE.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test that printed or logged a secret which one of the fakes has made: nothing may show those."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what a wrapper is sent is what it wraps
    if call.when == "teardown" and report.passed and MADE:
        leaks = MADE.found_in({name.lower(): text for name, text in report.sections})
        if leaks:
            report.outcome = "failed"
            report.longrepr = "\n".join(leaks)
    return report  # type: ignore[return-value]  # the same


# What a shell starts in its background ignores interrupts, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a real PostgreSQL, started for the first test that asks for it; each test takes a database of its own."""
    from image_catalog.testing.postgres import NoPostgresError, running_postgres  # noqa: PLC0415 - few tests need it

    try:
        with running_postgres() as server:
            yield server
    except NoPostgresError as e:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(e))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of an empty database, of each kind that there is."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'audit.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url
