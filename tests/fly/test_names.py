"""What an app may be called, and what is made of it for programs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly.names import NotALabel, app_label, is_same_label, slug_of


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("@acme/web", "@acme/web"),
        ("  shop\n", "shop"),
        ("a   b", "a b"),
        ("a\u00a0b", "a b"),
        ("Bu\u0308cher", "B\u00fccher"),
        ("\uff21\uff22", "AB"),
        ("x" * 214, "x" * 214),
        ("Привет", "Привет"),
        ("店 shop", "店 shop"),
    ],
)
def test_a_name_is_kept_in_one_form(text, label):
    assert app_label(text) == label
    assert is_same_label(text, label)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x" * 215,
        "\ufdfa" * 20,
        "a\nb",
        "a\x00b",
        "a\x1bb",
        "a\u200bb",
        "a\u200db",
        "a\u00adb",
        "\ufeffa",
        "a\u2028b",
        "\u202eabc",
        "a\u2066b",
        "\u3164",
        "a\u2800",
        "a\ufe0f",
        "a\U000e0041b",
        "\ue000",
        "x\ud800",
        "\u0301a",
        "\u0430cme",
        "\u0391cme",
        "acme" + "x" * 1_000_000,
    ],
)
def test_a_name_that_nobody_can_read_or_tell_apart_is_refused(text):
    with pytest.raises(NotALabel):
        app_label(text)
    assert not is_same_label(text, "acme")


def test_what_is_typed_to_confirm_is_the_name_as_it_is_shown():
    assert is_same_label(" @acme/Web ", "@acme/Web")
    assert not is_same_label("@acme/web", "@acme/Web")


@pytest.mark.parametrize(
    ("label", "slug"),
    [
        ("@acme/web", "acme-web"),
        ("my_app", "my-app"),
        ("2048", "app-2048"),
        ("Bücher", "bucher"),
        ("日本語", "app"),
        ("x" * 214, "x" * 63),
        ("shop", "shop"),
    ],
)
def test_programs_get_the_letters_they_know(label, slug):
    assert slug_of(label) == slug


@given(st.text())
def test_whatever_is_a_name_stays_one_and_has_a_slug(text):
    try:
        label = app_label(text)
    except NotALabel:
        return
    assert app_label(label) == label
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,62}", slug_of(label))


@pytest.mark.parametrize(
    "text", ["a" + "\u0300" * 6, "x" + "\u0316\u035c" * 100, "ab" + "\u20dd" * 5 + "c", "\u0e01" + "\u0e48" * 5]
)
def test_it_refuses_marks_in_heaps_which_would_cover_the_lines_around(text):
    with pytest.raises(NotALabel):
        app_label(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u0e17\u0e35\u0e48\u0e19\u0e35\u0e48",
        "Vi\u1ec7t",
        "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
        "q\u0323\u0301",
        "\u0928\u092e\u0938\u094d\u0924\u0947",
    ],
)
def test_the_marks_of_a_script_are_taken_and_the_label_is_its_own(text):
    assert app_label(app_label(text)) == app_label(text)
