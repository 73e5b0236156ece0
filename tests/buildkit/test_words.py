"""Words and what becomes of their variables, as BuildKit's shell lexer has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.words import BadWord, expand, split

SET = {"A": "x", "EMPTY": "", "B_2": "y"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b\tc", ["a", "b", "c"]),
        ("  a  ", ["a"]),
        ("", []),
        ("A=\"x y\" B='p q'", ['A="x y"', "B='p q'"]),
        ("A=x\\ y B", ["A=x\\ y", "B"]),
        ('a"b \\" c"d e', ['a"b \\" c"d', "e"]),
        ('"never closed', ['"never closed']),
    ],
)
def test_blanks_within_quotes_part_nothing(text, words):
    assert split(text) == words


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("$A", "x"),
        ("${A}-$B_2.", "x-y."),
        ("$UNSET", ""),
        ("${UNSET:-5}", "5"),
        ("${EMPTY:-5}", "5"),
        ("${EMPTY-5}", ""),
        ("${A:+5}", "5"),
        ("${UNSET:+5}", ""),
        ("${UNSET:-${A}}", "x"),
        ("${UNSET:-${UNSET:-z}}", "z"),
        ('"$A b"', "x b"),
        ("'$A b'", "$A b"),
        ("\\$A", "$A"),
        ('"\\$A \\n"', "$A \\n"),
        ("a\\b", "ab"),
        ("$", "$"),
        ("$.", "$."),
        ('"3000"', "3000"),
        ("'it'\"s\"", "its"),
        ('"it\'s $A"', "it's x"),
        ("\"'$A'\"", "'x'"),
    ],
)
def test_variables_are_put_in_and_quotes_taken_off(word, text):
    assert expand(word, SET) == text


def test_the_escape_directives_letter_takes_the_place_of_the_backslash():
    assert expand("`$A C:\\x", SET, escape="`") == "$A C:\\x"
    assert split("a` b c", escape="`") == ["a` b", "c"]


@pytest.mark.parametrize("word", ["'a", '"a', "${A", "${}", "${A:=1}", "${A%x}", "${UNSET:?}", "${A:-" * 30 + "}" * 30])
def test_what_buildkit_refuses_is_refused(word):
    with pytest.raises(BadWord):
        expand(word, {})


def test_values_that_double_come_to_an_end():
    variables = {"a": "x"}
    for _ in range(15):
        variables["a"] = expand("$a$a", variables)
    with pytest.raises(BadWord):
        expand("$a$a", variables)


@given(st.text(alphabet="ab$ {}:-+?'\"\\`\n"), st.sampled_from("\\`"))
def test_no_word_is_too_odd(word, escape):
    for each in [word, *split(word, escape=escape)]:
        try:
            assert isinstance(expand(each, SET, escape=escape), str)
        except BadWord:
            continue


@given(st.text(alphabet="ab $'\"\\"))
def test_nothing_but_blanks_is_lost_in_splitting(text):
    assert "".join("".join(split(text)).split()) == "".join(text.split())
