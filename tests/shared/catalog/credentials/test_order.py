"""The first source that has something has the say; the others are told with their reasons."""

from __future__ import annotations

import pytest

from image_catalog.catalog.credentials import CredentialSources, Found, PassedOver, Source, Wanted
from image_catalog.errors import SecretError
from image_catalog.models import Reference
from image_catalog.registry import Credential

WANTED = Wanted(reference=Reference.parse("quay.io/acme/autosd:cs9"), namespace="team-a")


class Given:
    """A source that answers what it was given, and remembers whether it was asked."""

    def __init__(self, name: str, answer: Found | PassedOver | SecretError, *, renews: bool = False) -> None:
        self.name = name
        self.asked = 0
        self.dropped: list[Credential] = []
        self._answer = answer
        self._renews = renews

    async def find(self, wanted: Wanted) -> Found | PassedOver:
        assert wanted is WANTED
        self.asked += 1
        if isinstance(self._answer, SecretError):
            raise self._answer
        return self._answer

    async def drop(self, credential: Credential) -> bool:
        self.dropped.append(credential)
        return self._renews


def having(name: str, *, renews: bool = False) -> Given:
    return Given(name, Found.of(Credential(username=name, password="p", source=f"what {name} has")), renews=renews)


def lacking(name: str, *, notable: bool = True) -> Given:
    return Given(name, PassedOver(f"{name} has none", is_notable=notable))


async def test_the_first_that_has_something_has_the_say_and_later_ones_are_not_asked() -> None:
    sources = [lacking("one"), having("two"), having("three")]
    choice = await CredentialSources(sources).choose(WANTED)
    assert choice.credential
    assert choice.credential.username == "two"
    assert [source.asked for source in sources] == [1, 1, 0]
    assert choice.explain() == "what two has; one: one has none"
    assert choice.explain(every=True) == "what two has (two); one: one has none"


async def test_a_source_may_want_nothing_presented() -> None:
    nothing = Given("two", Found(None, "none, as somebody says"))
    later = having("three")
    choice = await CredentialSources([nothing, later]).choose(WANTED)
    assert choice.credential is None
    assert choice.explain(every=True) == "none, as somebody says (two)"
    assert not later.asked


async def test_where_none_has_anything_each_says_why_and_those_that_matter_say_it_always() -> None:
    sources = [lacking("one"), lacking("two", notable=False), lacking("three")]
    choice = await CredentialSources(sources).choose(WANTED)
    assert choice.credential is None
    assert choice.explain() == "none, asked anonymously; one: one has none; three: three has none"
    assert choice.explain(every=True).count("has none") == 3
    assert choice.notes == "one: one has none; three: three has none"


async def test_a_source_that_cannot_tell_its_credential_ends_the_search() -> None:
    later = having("two")
    broken = Given("one", SecretError("not there", reason="SecretNotFound"))
    with pytest.raises(SecretError, match="not there"):
        await CredentialSources([broken, later]).choose(WANTED)
    assert not later.asked


@pytest.mark.parametrize("renews", [True, False], ids=["renews", "does-not"])
async def test_a_credential_that_was_turned_down_is_dropped_where_it_came_from(*, renews: bool) -> None:
    other, source = lacking("one"), having("two", renews=renews)
    sources = CredentialSources([other, source])
    choice = await sources.choose(WANTED)
    assert await sources.drop(choice) is renews
    assert source.dropped == [choice.credential]
    assert not other.dropped


async def test_nothing_is_dropped_where_nothing_was_presented() -> None:
    source: Source = lacking("one")
    sources = CredentialSources([source])
    assert not await sources.drop(await sources.choose(WANTED))
