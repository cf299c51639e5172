import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.registry.challenge import parse_challenges

Parsed = list[tuple[str, dict[str, str]]]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], [], id="no-header"),
        pytest.param([""], [], id="empty-header"),
        pytest.param([" , ,"], [], id="commas-alone"),
        pytest.param(["Basic"], [("basic", {})], id="scheme-alone"),
        pytest.param(['Basic realm="Registry"'], [("basic", {"realm": "Registry"})], id="basic"),
        pytest.param(['BASIC Realm="x"'], [("basic", {"realm": "x"})], id="case"),
        pytest.param(
            ['Bearer realm="https://r.test/token",service="r",scope="repository:a/b:pull,push"'],
            [("bearer", {"realm": "https://r.test/token", "service": "r", "scope": "repository:a/b:pull,push"})],
            id="comma-inside-scope",
        ),
        pytest.param(
            ['Bearer realm="https://r.test/token" , error="invalid_token"'],
            [("bearer", {"realm": "https://r.test/token", "error": "invalid_token"})],
            id="space-around-comma",
        ),
        pytest.param(['Bearer realm = "x"'], [("bearer", {"realm": "x"})], id="space-around-equals"),
        pytest.param(
            [r'Basic realm="a \"quoted\" name, and a \\"'],
            [("basic", {"realm": r'a "quoted" name, and a \ '.strip()})],
            id="escapes",
        ),
        pytest.param(["Bearer realm=plain,service=r"], [("bearer", {"realm": "plain", "service": "r"})], id="tokens"),
        pytest.param(
            ["Bearer realm=https://r.test/token?x=1,service=r"],
            [("bearer", {"realm": "https://r.test/token?x=1", "service": "r"})],
            id="url-without-quotes",
        ),
        pytest.param(
            ['Basic realm="a", Bearer realm="b",service="c"'],
            [("basic", {"realm": "a"}), ("bearer", {"realm": "b", "service": "c"})],
            id="two-in-one-header",
        ),
        pytest.param(
            ["Negotiate", 'Basic realm="a"'], [("negotiate", {}), ("basic", {"realm": "a"})], id="two-headers"
        ),
        pytest.param(
            ['Negotiate a87421000492aa874209af8bc028==, Basic realm="a"'],
            [("negotiate", {}), ("basic", {"realm": "a"})],
            id="token68",
        ),
        pytest.param(
            ['NTLM, Negotiate, Bearer realm="a"'],
            [("ntlm", {}), ("negotiate", {}), ("bearer", {"realm": "a"})],
            id="schemes-without-parameters",
        ),
        pytest.param(['Bearer realm="a",realm="b"'], [("bearer", {"realm": "a"})], id="first-of-a-repeated-name"),
        pytest.param(['Bearer ,realm="a"'], [("bearer", {"realm": "a"})], id="comma-after-scheme"),
        pytest.param(['Bearer realm=""'], [("bearer", {"realm": ""})], id="empty-value"),
        pytest.param(['"noise", Bearer realm="a"'], [("bearer", {"realm": "a"})], id="noise-before"),
        pytest.param(['Bearer realm="a", @!, service="b"'], [("bearer", {"realm": "a", "service": "b"})], id="noise"),
        pytest.param(['Bearer realm="open'], [("bearer", {})], id="open-quote"),
    ],
)
def test_challenges_are_read_as_the_specification_says(headers: list[str], expected: Parsed) -> None:
    assert [(found.scheme, dict(found.parameters)) for found in parse_challenges(headers)] == expected


@given(st.lists(st.text(alphabet='Bearer realm=",\\ \tx68=', max_size=60), max_size=3))
def test_no_text_makes_the_parser_fail_or_hang(headers: list[str]) -> None:
    for challenge in parse_challenges(headers):
        assert challenge.scheme == challenge.scheme.lower()


def test_long_headers_take_no_time_to_speak_of() -> None:
    assert parse_challenges(['Bearer realm="' + '\\"' * 40_000]) is not None
    assert len(parse_challenges(["a " * 40_000])) >= 1
