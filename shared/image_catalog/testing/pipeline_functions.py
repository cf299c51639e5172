"""A function as the pipeline runs it, and an event as it reaches one."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Self

from starlette.requests import Request
from starlette.types import Message

from image_catalog.context import Context
from image_catalog.events import EventType, TriggerFilter
from image_catalog.events.serving import Handler
from image_catalog.local.knative import CloudEvent

__all__ = ["PipelineFunction", "post_request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFunction:
    """A function as the pipeline runs it.

    Attributes
    ----------
    name
        Its name, and that of its ServiceAccount.
    triggers
        What it listens to; whatever comes makes it the dead-letter sink, too.
    emits
        Types that it may emit.
    handler
        The coroutine that does the work.
    """

    name: str
    triggers: Sequence[TriggerFilter]
    emits: Sequence[EventType]
    handler: Handler[Any, Context]

    @classmethod
    def of(cls, module: ModuleType) -> Self:
        """Take a function's module ``main`` apart: the pipeline gives it a context of its own."""
        name = module.__name__.rsplit(".", 2)[-2]
        return cls(name=name, triggers=module.TRIGGERS, emits=module.EMITS, handler=inspect.unwrap(module.main))

    @property
    def takes_dead_letters(self) -> bool:
        """Whether it is the dead-letter sink."""
        return any(not trigger.attributes for trigger in self.triggers)

    def listens_to(self, attributes: Mapping[str, str]) -> bool:
        """Return whether its Trigger lets an event through; none does for the dead letters that it takes beside."""
        return any(trigger.attributes and trigger.matches(attributes) for trigger in self.triggers)


def post_request(event: CloudEvent, headers: Mapping[str, str]) -> Request:
    """Return the request that a broker would make of an event.

    Parameters
    ----------
    event
        The event, sent in binary mode.
    headers
        Headers beside those of the event.
    """
    fields = {**event.headers(), **{name: value.encode() for name, value in headers.items()}}
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": event.data, "more_body": False}

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.encode(), value) for name, value in fields.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
    }
    return Request(scope, receive)
