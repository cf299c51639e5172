"""What parts of a measurement run on: each on its own, or all on the same where next to nothing is measured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Shared"]

_T = TypeVar("_T")


class Shared:
    """Starts what parts ask for, and ends what they share when everything is measured.

    Parameters
    ----------
    folder
        What is started keeps its files in folders of this one.
    once
        Whether what has been started is lent again. Else each part has one that nobody has used before.
    """

    def __init__(self, folder: Path, *, once: bool) -> None:
        self._folder = folder
        self._once = once
        self._kept: dict[str, Any] = {}
        self._count = 0
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what is shared."""
        await self._exit.aclose()

    @asynccontextmanager
    async def running(self, name: str, start: Callable[[Path], AbstractAsyncContextManager[_T]]) -> AsyncIterator[_T]:
        """Lend something for a while.

        Parameters
        ----------
        name
            What parts that ask for the same call it.
        start
            Makes what runs it, from the folder that it may fill.
        """
        if not self._once:
            async with start(self._make_folder()) as started:
                yield started
            return
        if name not in self._kept:
            self._kept[name] = await self._exit.enter_async_context(start(self._make_folder()))
        yield self._kept[name]

    def _make_folder(self) -> Path:
        self._count += 1
        folder = self._folder / str(self._count)
        folder.mkdir()
        return folder
