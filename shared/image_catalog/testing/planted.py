"""Secrets that are planted where real ones would be, and the search for them where none may be.

::

    planted = Planted()
    password = planted.secret("password of the pull Secret")
    ...
    assert not planted.found_in({"the log": log})
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

__all__ = ["MADE", "Planted", "spellings", "stack_leaks"]

_TOKEN = re.compile(r"^\s+token: (\S+)$", re.MULTILINE)

_SHORTEST = 10
"""Shorter texts occur by chance."""


class Planted:
    """The secrets of one run, by what they are."""

    def __init__(self) -> None:
        self._secrets: dict[str, str] = {}

    def secret(self, name: str, *, plain: bool = False) -> str:
        """Make a secret.

        Parameters
        ----------
        name
            What it is, for the message that it was found.
        plain
            Whether it is letters and digits alone, for places that take nothing
            else; others have what URLs and base64 write differently.
        """
        made = secrets.token_hex(12)
        return self.add(name, made if plain else f"{made[:8]}+{made[8:16]}/{made[16:]}=")

    def made(self, kind: str, text: str) -> str:
        """Look for one of many secrets of a kind, and return it."""
        return self.add(f"{kind} {len(self._secrets) + 1}", text)

    def add(self, name: str, text: str) -> str:
        """Look for a secret that somebody else has made, and return it."""
        if len(text) < _SHORTEST:
            raise ValueError(f"{name} is too short to be looked for")
        self._secrets[name] = text
        return text

    def forget(self) -> None:
        """Look for none of them any more."""
        self._secrets.clear()

    def __len__(self) -> int:
        return len(self._secrets)

    def found_in(self, places: Mapping[str, str | bytes]) -> list[str]:
        """Tell which secrets stand where, without repeating them.

        Parameters
        ----------
        places
            Texts by what they are.
        """
        texts = {
            place: text.decode(errors="replace") if isinstance(text, bytes) else text
            for place, text in places.items()
            if text
        }
        if not texts:
            return []
        return [
            f"{name} stands in {place}, {form}"
            for name, secret in self._secrets.items()
            for form, spelling in spellings(secret)
            for place, text in texts.items()
            if spelling in text
        ]


def stack_leaks(folder: Path, *, planted: Planted | None = None, printed: str = "") -> list[str]:
    """Tell which secrets a local stack has written that nobody may read there.

    Parameters
    ----------
    folder
        The stack's. The tokens of its kubeconfigs are looked for.
    planted
        Other secrets that it was given.
    printed
        What was printed on the way.

    Raises
    ------
    LookupError
        When there are no kubeconfigs or no logs: then nothing would be found.
    """
    planted = planted or Planted()
    for path in sorted([folder / "kubeconfig", *(folder / "kubeconfigs").iterdir()]):
        for token in _TOKEN.findall(path.read_text()):
            planted.made(f"token of {path.name}", token)
    logs = {f"the log of {path.stem}": path.read_text() for path in (folder / "logs").glob("*.log")}
    if not any(logs.values()) or not len(planted):
        raise LookupError(f"{folder} has no log, or no kubeconfig with a token")
    return planted.found_in({**logs, "what was printed": printed})


MADE = Planted()
"""Secrets that the fakes of this process have made since the test began; the tests' conftest looks for them."""


def spellings(secret: str) -> Iterator[tuple[str, str]]:
    """Yield how a secret may be written, with a name for each way: plain, in URLs, in base64.

    Parameters
    ----------
    secret
        At least ten characters.
    """
    yield from _once({"plain": secret, "URL-encoded": quote(secret, safe=""), "form-encoded": quote_plus(secret)})
    yield from _once(dict(_in_base64(secret.encode())))


def _in_base64(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield base64 of whatever has the content in it: three ways, by what stands before it."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + content)
        # The first characters hold bits of what stands before, the last ones of what follows.
        begin = -(-offset * 8 // 6)
        end = (offset + len(content)) * 8 // 6
        text = encoded[begin:end].decode()
        yield f"base64 from byte {offset}", text
        yield f"URL-safe base64 from byte {offset}", text.replace("+", "-").replace("/", "_")


def _once(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for name, text in named.items():
        if text not in seen:
            seen.add(text)
            yield name, text
