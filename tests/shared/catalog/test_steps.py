"""Steps say how long they took."""

from __future__ import annotations

from image_catalog.catalog.steps import StepLog
from image_catalog.models.events import Step, StepStatus


def test_each_step_takes_from_the_end_of_the_one_before_it() -> None:
    times = iter([10.0, 10.25, 12.0, 12.5])
    log = StepLog(clock=lambda: next(times))
    log.add("first", "done")
    checked = Step(name="checked", status=StepStatus.OK, milliseconds=1700)
    log.extend([checked])
    log.add("last", "x" * 5000, StepStatus.FAILED)
    assert [(step.name, step.status, step.milliseconds) for step in log.done] == [
        ("first", "ok", 250),
        ("checked", "ok", 1700),
        ("last", "failed", 500),
    ]
    assert len(log.done[-1].message) == 4096
