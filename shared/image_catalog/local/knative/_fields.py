"""Reading a manifest's fields: each is read once, and what nobody read is refused.

A local stack that skipped a field in silence would behave unlike the cluster
that gets the same manifest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import pydantic

from image_catalog.errors import InvalidObjectError, Violation

__all__ = ["Fields"]

_Kind = TypeVar("_Kind")

_ISO_DURATION = re.compile(r"P(?=.)(\d+W|(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)")
"""https://www.rfc-editor.org/rfc/rfc3339#appendix-A without years and months, which have no fixed length."""

_DURATION = pydantic.TypeAdapter(timedelta)


class Fields:
    """A JSON object of a manifest, and the way to it.

    Parameters
    ----------
    document
        Names the document in errors, ``Trigger default/verify`` for example.
    content
        The object.
    path
        The object's dotted path inside the document; empty at its top.
    """

    def __init__(self, document: str, content: Mapping[str, Any], path: str = "") -> None:
        self._document = document
        self._content = content
        self._path = path
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return self._content.get(name) is not None

    def path(self, name: str) -> str:
        """Say where a field is."""
        return f"{self._path}.{name}" if self._path else name

    def refuse(self, name: str, message: str) -> NoReturn:
        """Raise the error about a field.

        Raises
        ------
        InvalidObjectError
            Raised always; it names the document, the field and what is wrong.
        """
        path = self.path(name)
        raise InvalidObjectError(f"{self._document}: {path}: {message}", violations=[Violation(path, message)])

    def value(self, name: str) -> Any:
        """Read a field of any type; `None` when it is absent."""
        self._read.add(name)
        return self._content.get(name)

    def text(self, name: str, default: str | None = None) -> str:
        """Read a text; without a default it is required."""
        return self._typed(name, str, "a text", default)

    def duration(self, name: str) -> timedelta | None:
        """Read an ISO 8601 duration, ``PT0.5S`` for example."""
        if name not in self:
            return None
        text = self.text(name)
        if not _ISO_DURATION.fullmatch(text):
            self.refuse(name, f"{text!r} is no ISO 8601 duration of days and less; write PT30S or PT1M")
        return _DURATION.validate_python(text)

    def count(self, name: str, default: int) -> int:
        """Read an integer that is not negative."""
        number = self._typed(name, int, "an integer", default)
        if isinstance(number, bool) or number < 0:
            self.refuse(name, "an integer of at least 0 is needed")
        return number

    def texts(self, name: str) -> dict[str, str]:
        """Read a map of texts; empty when it is absent."""
        content = self._typed(name, dict, "a map of texts", {})
        for key, value in content.items():
            if not isinstance(value, str):
                self.refuse(f"{name}.{key}", "a text is needed; quote it")
        return content

    def words(self, name: str) -> tuple[str, ...]:
        """Read a list of texts, a command for example; empty when it is absent."""
        content = self._typed(name, list, "a list of texts", [])
        for index, value in enumerate(content):
            if not isinstance(value, str):
                self.refuse(f"{name}[{index}]", "a text is needed; quote it")
        return tuple(content)

    def child(self, name: str, *, required: bool = False) -> Fields:
        """Read an object; an absent one that is not required reads as empty."""
        content = self._typed(name, dict, "an object", None if required else {})
        return Fields(self._document, content, self.path(name))

    def children(self, name: str) -> Iterator[Fields]:
        """Read a list of objects; an absent one reads as empty."""
        for index, content in enumerate(self._typed(name, list, "a list", [])):
            if not isinstance(content, dict):
                self.refuse(f"{name}[{index}]", "an object is needed")
            yield Fields(self._document, content, self.path(f"{name}[{index}]"))

    def skip(self, *names: str) -> None:
        """Name fields that have no meaning without a cluster."""
        self._read.update(names)

    def finish(self) -> None:
        """Refuse every field that nobody read.

        Raises
        ------
        InvalidObjectError
            Raised if there is one.
        """
        for name in self._content:
            if name not in self._read:
                self.refuse(name, "the local stack does not know this field")

    def _typed(self, name: str, kind: type[_Kind], description: str, default: _Kind | None) -> _Kind:
        value = self.value(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, kind):
            self.refuse(name, f"{description} is needed" + ("" if value is None else f", not {value!r}"))
        return value
