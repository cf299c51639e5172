"""What looks for secrets finds them, however they are written."""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import quote, urlencode

import pytest

from image_catalog.testing.planted import Planted

SECRET = f"{secrets.token_hex(6)}+/{secrets.token_hex(6)}=~"

WAYS = {
    "plain": f"password={SECRET}!",
    "json": json.dumps({"a": [SECRET]}),
    "url": f"https://x/?q={quote(SECRET, safe='')}&b",
    "form": urlencode({"password": SECRET}),
    **{f"base64-{n}": base64.b64encode(f"{'u' * n}:{SECRET}{'x' * n}".encode()).decode() for n in range(6)},
    **{f"urlsafe-{n}": base64.urlsafe_b64encode(f"{'?' * n}{SECRET}".encode()).decode().rstrip("=") for n in range(3)},
}


@pytest.mark.parametrize("text", WAYS.values(), ids=list(WAYS))
def test_a_secret_is_found_however_it_is_written(text: str) -> None:
    planted = Planted()
    planted.add("it", SECRET)
    found = planted.found_in({"the log": text, "another": "nothing"})
    assert found
    assert all(line.startswith("it stands in the log, ") for line in found)
    assert SECRET not in "".join(found)
    assert planted.found_in({"the log": text.encode()}) == found


def test_what_is_not_there_is_not_found() -> None:
    planted = Planted()
    made = {planted.secret("one"), planted.secret("two"), planted.secret("three", plain=True)}
    assert len(made) == len(planted) == 3
    assert not planted.found_in({"the log": f"{SECRET} {base64.b64encode(SECRET.encode()).decode()}"})
    planted.forget()
    assert not planted.found_in({"the log": " ".join(made)})


def test_texts_that_occur_by_chance_are_not_looked_for() -> None:
    with pytest.raises(ValueError, match="too short"):
        Planted().add("it", "token")
