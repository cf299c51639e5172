"""What holds for every test."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from coverage import Coverage
from coverage.exceptions import CoverageWarning
from hypothesis import settings
from xdist import get_xdist_worker_id, is_xdist_controller, is_xdist_worker

from image_catalog.loading import collector_paused
from image_catalog.testing.planted import MADE

if TYPE_CHECKING:
    from image_catalog.testing.postgres import Postgres

# No deadline: a busy machine is slow, not wrong. In CI the same examples every time: a find is made on a laptop, and
# gets a test of its own.
# Half of the usual examples: those that matter come early, and `make fuzz` and the profile below look for the others.
settings.register_profile("laptop", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
# For an hour to spare: pytest --hypothesis-profile=deep
settings.register_profile("deep", deadline=None, max_examples=5_000)
# What `make fuzz` loads: with a dozen properties more than 100,000 examples.
settings.register_profile("fuzz", deadline=None, max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")


# Python 3.11 runs at less than half its speed while coverage looks on. So it looks on where a test stands close to the
# code, which is in these folders, and there at tests and fixtures alone, not at pytest's way from one to the next. It
# looks away from what shows that the parts fit together, so from the other folders and from what is marked as a story,
# from what is long and takes lines that others take as well, which has that mark, too, and from hypothesis's many
# examples. Nor does it look at what tests start: few of those processes end by themselves, and what the others have run
# is lost. What it tells is at most too little: it counts nothing that it did not see.
_MEASURED_FOLDERS = frozenset({"functions", "shared", "simulation"})
_LONG_FOLDERS = frozenset({"bench", "e2e", "integration", "simulation"})
_UNMEASURED_MARKERS = ("story", "hypothesis")
_COVERAGE = Coverage.current()
"""What measures this process, if anything does."""
_MEASURED = pytest.StashKey[bool]()
"""Whether coverage looks at the test that runs."""
_ALLOCATIONS = 20_000
"""Objects that come before the collector does."""

_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""What coverage tells the processes that a measured one starts."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let coverage look away until it is told to look, and keep it from what this process starts."""
    controller, worker = is_xdist_controller(session), is_xdist_worker(session)
    # Where one process runs all the tests, coverage walks through all that is imported each time that it starts to
    # look, and so it had better look on.
    if _COVERAGE is not None and (controller or worker):
        _COVERAGE.stop()
        # Or each time that it looks it would tell those processes to be measured.
        _COVERAGE.set_option("run:patch", [])
    if not controller:
        os.environ.pop(_CHILDREN, None)
    if not worker:
        _trust_one_authority(session.config)


def _trust_one_authority(config: pytest.Config) -> None:
    """Let this process, and those that it starts, trust an authority that signs nothing.

    No test speaks to a server out there, and the authorities that a system trusts are a quarter of a megabyte, which
    takes each TLS context 25 ms and more to read.
    """
    folder = TemporaryDirectory(prefix="image-catalog-tests-")
    config.add_cleanup(folder.cleanup)
    bundle = Path(folder.name, "ca.pem")
    trustme.CA().cert_pem.write_to_path(str(bundle))
    os.environ["SSL_CERT_FILE"] = str(bundle)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Import the tests, and all that they import, under coverage in the first process alone: each does the same.

    The garbage collector is kept away from all that, while it comes and later, and comes seldom from then on: tests
    make much, and little of it needs the collector to go.
    """
    with collector_paused(), _looking(get_xdist_worker_id(session) in {"master", "gw0"}):
        collected = yield
    gc.set_threshold(_ALLOCATIONS)
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: at the end a process would be left alone with it."""
    items.sort(key=lambda item: _folder(item) not in _LONG_FOLDERS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Find out whether coverage looks at a test, and at the fixtures that it is the first to need."""
    measured = _folder(item) in _MEASURED_FOLDERS and not any(map(item.get_closest_marker, _UNMEASURED_MARKERS))
    item.session.stash[_MEASURED] = measured
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
    """Set a fixture of ours up under coverage or not."""
    with _looking(request.session.stash[_MEASURED] and bool(fixturedef.baseid)):
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Run a test under coverage or not."""
    with _looking(pyfuncitem.session.stash[_MEASURED]):
        return (yield)


def _folder(item: pytest.Item) -> str:
    """Return which part of the tests one is of."""
    return item.path.relative_to(Path(__file__).parent).parts[0]


@contextmanager
def _looking(measured: bool) -> Iterator[None]:  # noqa: FBT001 - its one question
    """Let coverage look, where something is measured; it goes on looking at a fixture that a test asks for itself."""
    if _COVERAGE is None or not measured or Coverage.current() is _COVERAGE:
        yield
        return
    with warnings.catch_warnings():
        # What was imported meanwhile it takes for a mistake.
        warnings.simplefilter("ignore", CoverageWarning)
        _COVERAGE.start()
    try:
        yield
    finally:
        _COVERAGE.stop()


def pytest_runtest_setup() -> None:
    """Look for the secrets of one test at a time."""
    MADE.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a test that printed or logged a secret which one of the fakes has made: nothing may show those."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what a wrapper is sent is what it wraps
    if call.when == "teardown" and report.passed and MADE:
        leaks = MADE.found_in({name.lower(): text for name, text in report.sections})
        if leaks:
            report.outcome = "failed"
            report.longrepr = "\n".join(leaks)
    if report.passed and is_xdist_worker(item):
        # Nobody reads what a test has logged that passed, and each of its three reports would carry it to the process
        # that hands out tests. The report of one that fails has what it logged before as well.
        report.sections.clear()
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
