"""CloudEvents SQL, by the tables of its specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_catalog.errors import InvalidExpressionError
from image_catalog.events import cesql
from image_catalog.events.cesql import ErrorKind, Value

EVENT = {
    "specversion": "1.0",
    "id": "my-id",
    "source": "https://example.org/source",
    "type": "com.example.error",
    "subject": "Ada Lovelace",
    "hop": "5",
    "ttl": "10",
    "flag": "true",
    "targets": ",raspberry-pi,qemu,",
}

VALUES: list[tuple[str, Value]] = [
    # Section 2.2: Literals
    ("TRUE", True),
    ("false", False),
    ("0", 0),
    ("-1", -1),
    ("+1", 1),
    ("2147483647", 2147483647),
    ("-2147483648", -2147483648),
    ("'aBc'", "aBc"),
    ('"aBc"', "aBc"),
    (r"'a\'b\"c'", r"a'b\"c"),
    (r'"a\"b"', 'a"b'),
    # Section 3.2: Attributes
    ("id", "my-id"),
    ("ID", "my-id"),
    ("hop", "5"),
    # Section 3.4.1: Unary operators
    ("NOT TRUE", False),
    ("NOT 'FALSE'", True),
    ("NOT flag", False),
    ("NOT 10", False),
    ("NOT NOT TRUE", True),
    ("--10", 10),
    ("-'10'", -10),
    ("-TRUE", -1),
    # Section 3.4.2: Comparison
    ("TRUE = FALSE", False),
    ("2 = 2", True),
    ("'abc' = '123'", False),
    ("'abc' != '123'", True),
    ("2 <> 2", False),
    ("1 < 2", True),
    ("2 < 2", False),
    ("2 <= 2", True),
    ("3 <= 2", False),
    ("2 > 1", True),
    ("2 >= 3", False),
    ("hop < ttl", True),
    ("hop = 5", True),
    ("5 = hop", True),
    ("true = 'TRUE'", False),
    ("'TRUE' = true", True),
    # Section 3.4.2: Arithmetic
    ("4 * 2 + 4 / 2", 10),
    ("4 * (2 + 4) / 2", 12),
    ("10 - 3 - 2", 5),
    ("4 -1", 3),
    ("4 + -1", 3),
    ("5 / 3", 1),
    ("-5 / 3", -1),
    ("5 / -3", -1),
    ("5 % 3", 2),
    ("-5 % 3", -2),
    ("5 % -3", 2),
    ("'5' + '3'", 8),
    ("5 + TRUE", 6),
    # Section 3.4.2: Logic; the right operand is left alone when the left one decides
    ("TRUE AND TRUE", True),
    ("TRUE AND FALSE", False),
    ("FALSE OR TRUE", True),
    ("FALSE OR FALSE", False),
    ("TRUE XOR TRUE", False),
    ("TRUE XOR FALSE", True),
    ("false AND (1 != 1 / 0)", False),
    ("true OR (1 != 1 / 0)", True),
    # One level, to the right: the surprise that Knative's grammar has
    ("TRUE OR FALSE AND FALSE", True),
    ("FALSE AND FALSE OR TRUE", False),
    ("(FALSE AND FALSE) OR TRUE", True),
    # Section 3.4.3: LIKE
    ("'abc' LIKE 'abc'", True),
    ("'abc' NOT LIKE 'abc'", False),
    ("'azzzbzzzc' LIKE 'a%b%c'", True),
    ("'ac' LIKE 'abc'", False),
    ("'' LIKE '%'", True),
    ("'' LIKE 'a'", False),
    ("'.ab.cde.' LIKE '.%.%.'", True),
    ("'ab.cde' LIKE '.%.%.'", False),
    ("'azbzc' LIKE 'a_b_c'", True),
    ("'abzc' LIKE 'a_b_c'", False),
    (r"'a_b_c' LIKE 'a\_b\_c'", True),
    (r"'azbzc' LIKE 'a\_b\_c'", False),
    (r"'a%b%c' LIKE 'a\%b\%c'", True),
    (r"'abc' LIKE 'a\%b\%c'", False),
    (r"'ab\c' LIKE 'ab\c'", True),
    ("'a\nb' LIKE 'a%b'", True),
    ("'a.c' LIKE 'a.c'", True),
    ("'abc' LIKE 'a.c'", False),
    ("2344 LIKE '23%'", True),
    ("FALSE LIKE 'fal%'", True),
    ("targets LIKE '%,raspberry-pi,%'", True),
    ("targets LIKE '%,raspberry,%'", False),
    # Section 3.4.4: EXISTS
    ("EXISTS subject", True),
    ("EXISTS missing", False),
    ("NOT EXISTS missing", True),
    # Section 3.4.5: IN
    ("id IN ('other', 'my-id')", True),
    ("id NOT IN ('other', 'my-id')", False),
    ("id IN ('other')", False),
    ("hop IN (4, 5)", True),
    ("5 IN ('4', hop)", True),
    # Section 3.5: Functions
    ("LENGTH('abc')", 3),
    ("LENGTH(TRUE)", 4),
    ("CONCAT('a', 'b', 'c')", "abc"),
    ("CONCAT()", ""),
    ("CONCAT(1, TRUE)", "1true"),
    ("CONCAT_WS(',', 'a', 'b')", "a,b"),
    ("CONCAT_WS(',')", ""),
    ("lower('AbC')", "abc"),
    ("UPPER('AbC')", "ABC"),
    ("TRIM('  a b  ')", "a b"),
    ("LEFT('abc', 2)", "ab"),
    ("LEFT('abc', 10)", "abc"),
    ("RIGHT('abc', 2)", "bc"),
    ("RIGHT('abc', 10)", "abc"),
    ("RIGHT('', 0)", ""),
    ("RIGHT('abc', 0)", ""),
    ("SUBSTRING('abcdef', 2)", "bcdef"),
    ("SUBSTRING('Sakila', -3)", "ila"),
    ("SUBSTRING('abcdef', 2, 4)", "bcde"),
    ("SUBSTRING('abcdef', 2, 400)", "bcdef"),
    ("SUBSTRING('Sakila', -5, 3)", "aki"),
    ("SUBSTRING('Quadratically', 0)", ""),
    ("SUBSTRING('Quadratically', 0, 1)", ""),
    ("ABS(-3)", 3),
    ("ABS(3)", 3),
    # Section 3.7: Casts
    ("INT('-1')", -1),
    ("INT(TRUE)", 1),
    ("BOOL('TRUE')", True),
    ("BOOL(0)", False),
    ("BOOL(-50)", True),
    ("STRING(FALSE)", "false"),
    ("STRING(-1)", "-1"),
    # Names that begin like keywords
    ("EXISTS notthere", False),
    ("CONCAT(subject, '')", "Ada Lovelace"),
]

ERRORS: list[tuple[str, ErrorKind]] = [
    ("missing", ErrorKind.MISSING_ATTRIBUTE),
    ("missing = 2", ErrorKind.MISSING_ATTRIBUTE),
    ("missing != 2", ErrorKind.MISSING_ATTRIBUTE),
    ("NOT missing", ErrorKind.MISSING_ATTRIBUTE),
    ("-missing", ErrorKind.MISSING_ATTRIBUTE),
    ("missing / 0", ErrorKind.MISSING_ATTRIBUTE),
    ("missing LIKE 'a%'", ErrorKind.MISSING_ATTRIBUTE),
    ("id = 'other' OR missing = 'a'", ErrorKind.MISSING_ATTRIBUTE),
    ("5 / 0", ErrorKind.MATH),
    ("5 % 0", ErrorKind.MATH),
    ("true AND (1 != 1 / 0)", ErrorKind.MATH),
    ("2147483647 + 1", ErrorKind.MATH),
    ("-INT('-2147483648')", ErrorKind.MATH),
    ("ABS(-2147483648)", ErrorKind.MATH),
    ("INT('ABC')", ErrorKind.CAST),
    ("INT('2147483648')", ErrorKind.CAST),
    ("INT(' 1')", ErrorKind.CAST),
    ("INT('1_0')", ErrorKind.CAST),
    ("INT('')", ErrorKind.CAST),
    ("BOOL('ABC')", ErrorKind.CAST),
    ("id = 5", ErrorKind.CAST),
    ("id AND TRUE", ErrorKind.CAST),
    ("5 IN ('a')", ErrorKind.CAST),
    ("LEFT('abc', -2)", ErrorKind.FUNCTION_EVALUATION),
    ("RIGHT('abc', -2)", ErrorKind.FUNCTION_EVALUATION),
    ("SUBSTRING('abcdef', 10)", ErrorKind.FUNCTION_EVALUATION),
    ("SUBSTRING('abcdef', -10, 10)", ErrorKind.FUNCTION_EVALUATION),
    ("SUBSTRING('abcdef', 1, -1)", ErrorKind.FUNCTION_EVALUATION),
]

MALFORMED = [
    "",
    "a =",
    "a == 1",
    "(TRUE",
    "'open",
    "id IN ()",
    "id LIKE other",
    "EXISTS",
    "a b",
    "1a_b",
    "data.name = 'a'",
    "2147483648",
    "UNKNOWN('a')",
    "CONCAT_WS()",
    "LENGTH('a', 'b')",
    "a = 1 AND " * 1000,
]


@pytest.mark.parametrize(("source", "value"), VALUES, ids=[source for source, _ in VALUES])
def test_an_expression_has_the_value_of_the_specification(source: str, value: Value) -> None:
    result = cesql.parse(source).evaluate(EVENT)

    assert result == cesql.Result(value)
    assert type(result.value) is type(value)


@pytest.mark.parametrize(("source", "error"), ERRORS, ids=[source for source, _ in ERRORS])
def test_an_expression_has_the_error_of_the_specification(source: str, error: ErrorKind) -> None:
    result = cesql.parse(source).evaluate(EVENT)

    assert (result.value, result.error) == (None, error)
    assert result.message


@pytest.mark.parametrize("source", MALFORMED, ids=lambda source: source[:20] or "empty")
def test_what_is_no_expression_is_refused(source: str) -> None:
    with pytest.raises(InvalidExpressionError, match=r"expression|function|32 bits"):
        cesql.parse(source)


@pytest.mark.parametrize(
    ("source", "position", "said"),
    [
        pytest.param("type == 'a'", 7, "'=' cannot stand", id="sign"),
        pytest.param("type = ", 8, "it ends where something must follow", id="end"),
        pytest.param("", 1, "it ends", id="empty"),
        pytest.param("phase = 'Available", 9, '"\'Available" cannot stand', id="quote"),
        pytest.param("a = 1\n  , b", 9, "',' cannot stand", id="second line"),
        pytest.param("a = NEAR(b)", 5, "no function NEAR of 1 arguments", id="function"),
        pytest.param("a = 2147483648", 5, "more than 32 bits", id="integer"),
        pytest.param("x" * 4097, 4097, "at most 4096 characters", id="length"),
    ],
)
def test_where_an_expression_goes_wrong_is_told(source: str, position: int, said: str) -> None:
    with pytest.raises(InvalidExpressionError, match=said) as caught:
        cesql.parse(source)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        pytest.param("TRUE", True, id="true"),
        pytest.param("FALSE", False, id="false"),
        pytest.param("1", False, id="no-boolean"),
        pytest.param("'true'", False, id="text"),
        pytest.param("missing = 'a'", False, id="error"),
        pytest.param("NOT (missing = 'a')", False, id="negated-error"),
    ],
)
def test_an_event_passes_only_when_the_value_is_true(source: str, *, passes: bool) -> None:
    assert cesql.parse(source).matches(EVENT) is passes


@given(text=st.text(max_size=12), pattern=st.text(st.sampled_from("ab%_"), max_size=8))
def test_like_agrees_with_a_plain_recursive_matcher(text: str, pattern: str) -> None:
    def matches(rest: str, wanted: str) -> bool:
        if not wanted:
            return not rest
        if wanted[0] == "%":
            return any(matches(rest[index:], wanted[1:]) for index in range(len(rest) + 1))
        return bool(rest) and wanted[0] in ("_", rest[0]) and matches(rest[1:], wanted[1:])

    assert cesql.parse(f"subject LIKE '{pattern}'").matches({"subject": text}) is matches(text, pattern)


def test_deep_nesting_is_refused_when_it_is_read_not_when_it_is_evaluated() -> None:
    assert cesql.parse("NOT " * 198 + "TRUE").evaluate({}).value is True
    for deep in ("NOT " * 200 + "TRUE", "-" * 4000 + "1", " OR ".join(["FALSE"] * 201)):
        with pytest.raises(InvalidExpressionError, match="nested"):
            cesql.parse(deep)


def test_many_wildcards_do_not_explode() -> None:
    for part in ("%a", "%_a", "%aaaaaaaa_"):
        expression = cesql.parse(f"subject LIKE '{part * 100}%b'")
        assert not expression.matches({"subject": "a" * 50_000})


@pytest.mark.parametrize(
    ("digits", "value"),
    [("1" * 5000, None), ("0" * 5000 + "5", 5), ("-" + "0" * 5000, 0), ("x" * 5000, None)],
    ids=["large", "zeros", "minus zero", "text"],
)
def test_thousands_of_digits_are_an_integer_or_none(digits: str, value: int | None) -> None:
    result = cesql.parse("INT(hop)").evaluate({"hop": digits})
    assert (result.value, result.error) == (value, None if value is not None else ErrorKind.CAST)


_WORDS = st.sampled_from(
    [
        "type",
        "hop",
        "AND",
        "OR",
        "NOT",
        "LIKE",
        "IN",
        "EXISTS",
        "=",
        "!=",
        "<",
        "+",
        "-",
        "/",
        "%",
        "(",
        ")",
        ",",
        "'a%'",
        "TRUE",
        "0",
        "99999999999",
        "ABS",
        "SUBSTRING",
        "CONCAT",
        "'",
        "é",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(_WORDS, max_size=14).map(" ".join)))
def test_any_text_is_an_expression_or_refused_with_a_place(source: str) -> None:
    position, result = 1, cesql.Result(value=True)
    try:
        result = cesql.parse(source).evaluate(EVENT)
    except InvalidExpressionError as e:
        position = e.position
    assert 1 <= position <= len(source) + 1
    assert (result.value is None) == (result.error is not None)
