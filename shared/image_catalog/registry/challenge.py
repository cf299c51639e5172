"""Challenges: what a registry's ``WWW-Authenticate`` headers ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["Challenge", "parse_challenges"]

# The grammar of RFC 9110, section 11.6.1: what separates challenges from each
# other and parameters from each other is the same comma.
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|({_TOKEN}|[^\s,\"]+))[ \t]*(?=,|$)")
_SCHEME = re.compile(rf"({_TOKEN})(?:[ \t]+|(?=,|$))")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_SEPARATORS = re.compile(r"[ \t,]*")
_REST = re.compile(r"[^,]*")
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a server offers.

    Attributes
    ----------
    scheme
        Lower case: ``basic``, ``bearer`` or one that the catalog does not know.
    parameters
        Values by name; names are lower case, values unquoted. The first of a
        repeated name counts.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read every challenge of every header.

    Text that is no challenge is skipped up to the next comma: a scheme that
    we cannot read must not hide one that we can.

    Parameters
    ----------
    headers
        The values of all ``WWW-Authenticate`` headers; several challenges in
        one header and empty headers are both `legal
        <https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1>`__.

    Returns
    -------
    list
        The challenges in the server's order.
    """
    return [challenge for header in headers for challenge in _parse(header)]


def _parse(header: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = _skip(header, 0)
    while position < len(header):
        if challenges and (match := _PARAMETER.match(header, position)):
            name, quoted, plain = match.groups()
            parameters.setdefault(name.lower(), plain if quoted is None else _ESCAPE.sub(r"\1", quoted))
        elif match := _SCHEME.match(header, position):
            parameters = {}
            challenges.append(Challenge(match[1].lower(), parameters))
            match = _TOKEN68.match(header, match.end()) or match
        else:
            match = _REST.match(header, position)
        position = _skip(header, max(match.end() if match else 0, position + 1))
    return challenges


def _skip(header: str, position: int) -> int:
    match = _SEPARATORS.match(header, position)
    return match.end() if match else position
