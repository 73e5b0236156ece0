"""Environment variables: what is taken, who gets which, and what a .env file makes of them."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fly import env_vars
from fly.env_vars import InvalidEnvironment

PREFIXES = ["NEXT_PUBLIC_", "VITE_", "PUBLIC_"]
CREDENTIALS = '{\n  "type": "service_account",\n  "key": "-----BEGIN\\nnot-a-secret\\n-----END"\n}'
# Whole values, in the order that dotenv's documentation gives: each kind of quotes, or the rest of the line.
_LINE = re.compile(
    r"""^[ \t]*(?P<name>[\w.-]+)[ \t]*=[ \t]*"""
    r"""(?P<value>'(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`|[^#\r\n]+)?[ \t]*(?:\#.*)?$""",
    re.MULTILINE,
)


def read_as_dotenv_does(text: str) -> dict[str, str]:
    """A reader after the rules of dotenv (https://github.com/motdotla/dotenv) and dotenv-expand."""
    found = {}
    for line in _LINE.finditer(re.sub(r"\r\n?", "\n", text)):
        value = (line["value"] or "").strip()
        quote = value[:1]
        if len(value) > 1 and quote in {"'", '"', "`"} and value.endswith(quote):
            value = value[1:-1]
            if quote == '"':
                value = value.replace("\\n", "\n").replace("\\r", "\r")
        assert not re.search(r"(?<!\\)\$", value), "would be expanded"
        found[line["name"]] = value.replace("\\$", "$")
    return found


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ([], "envVars: This must be an object of names and texts."),
        ("A=1", "envVars: This must be an object of names and texts."),
        (7, "envVars: This must be an object of names and texts."),
        ({"A": 1}, "envVars.A: Not a valid string."),
        ({"A": None}, "envVars.A: Not a valid string."),
        ({"A": True}, "envVars.A: Not a valid string."),
        ({"A": {"b": "c"}}, "envVars.A: Not a valid string."),
        ({"A": "\ud800"}, "envVars.A: Not a valid string."),
        ({"A": "not-a-secret\0"}, "envVars.A: Null characters are not allowed."),
        ({"A": "é" * 32_769}, "envVars.A: The value is larger than 64 KB."),
        ({f"A{n}": "x" for n in range(301)}, "envVars: There are more than 300 variables."),
        ({f"A{n}": "x" * 60_000 for n in range(9)}, "envVars: The variables are larger than 512 KB together."),
    ],
)
def test_what_is_no_environment_is_refused_and_named(sent, sentence):
    with pytest.raises(InvalidEnvironment) as refused:
        env_vars.read(sent)
    assert refused.value.sentence == sentence
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", '""'),
        ("1A", "1A"),
        ("A-B", "A-B"),
        ("A B", "A B"),
        ("A=B", "A=B"),
        ("A\nB", "A?B"),
        ("A\n", "A?"),
        ("A\0", "A?"),
        ("É", "É"),
        ("A" * 201, "A" * 40),
    ],
)
def test_a_name_that_no_shell_would_take_is_left_out_and_told(name, shown):
    sent = {name: "not-a-secret", "GOOD": "1"}
    assert env_vars.read(sent) == {"GOOD": "1"}
    assert env_vars.odd_names(sent) == (
        f"Left out of the environment: {shown}. A variable's name has letters, digits and underscores, "
        "no digit first, 200 at most."
    )


def test_of_many_odd_names_a_few_are_told():
    told = env_vars.odd_names({f"{n}": "not-a-secret" for n in range(9)})
    assert told.startswith("Left out of the environment: 0, 1, 2, 3, 4 and 4 more. ")
    assert env_vars.odd_names({"GOOD": "1"}) == env_vars.odd_names(None) == env_vars.odd_names([]) == ""


def test_ordinary_variables_are_taken_as_they_are():
    sent = {"A": "", "_b2": " x ", "GOOGLE_CREDENTIALS": CREDENTIALS, "LONG": "x" * 65_536}
    assert env_vars.read(sent) == sent
    assert env_vars.read(None) == env_vars.read({}) == {}


def test_all_are_secrets_and_those_of_the_browser_are_known_to_the_build():
    sent = {"DATABASE_URL": "x", "VITE_A": "1", "NEXT_PUBLIC_B": "2", "PUBLIC_C": "3", "MY_VITE_D": "4", "VITE": "5"}
    split = env_vars.split(sent, build_prefixes=PREFIXES)
    assert split.secrets == sent
    assert split.build_time == {"VITE_A": "1", "NEXT_PUBLIC_B": "2", "PUBLIC_C": "3"}
    assert env_vars.split(sent, build_prefixes=[]).build_time == {}


def test_what_the_platform_says_is_left_to_it():
    sent = {"PORT": "3000", "FLY_APP_NAME": "x", "PRIMARY_REGION": "ams", "FLY_API_TOKEN": "not-a-secret", "PORT2": "1"}
    split = env_vars.split(sent, build_prefixes=PREFIXES)
    assert split.secrets == {"FLY_API_TOKEN": "not-a-secret", "PORT2": "1"}


def test_values_are_not_shown():
    split = env_vars.split({"VITE_A": "not-a-secret"}, build_prefixes=PREFIXES)
    assert "not-a-secret" not in repr(split)


@pytest.mark.parametrize(
    "value",
    [
        "", " ", "plain", " spaces around ", "a#b", "# no comment", "a=b", "it's", 'say "hi"', "`tick`", "it's `so`",
        "$HOME", "${HOME}", "a$b$c", "\\$HOME", "$$", "price: 5$", "line\nline", "\n", "a\n#b\n", CREDENTIALS,
        "C:\\path\\name", "C:\\path\\", "\\", "\\n", "it's\\n", "a\r\nb", "\r", "'\r'", "é😀\u2028", "\t", "export A=1",
        "a\nVITE_B='evil'", "'", '"', "`", "''", "'\"", "'`",
    ],
)  # fmt: skip
def test_a_dotenv_file_reads_back_the_same(value):
    variables = {"VITE_A": value, "VITE_B": "# it's `not` this", "VITE_C": ""}
    assert read_as_dotenv_does(env_vars.render_dotenv(variables)) == variables


@pytest.mark.parametrize("value", ["'\"`", "'`\\n", 'a\r"', "a\r\\n", "#\\", "a\n\\", "a\r\\"])
def test_what_no_dotenv_file_can_hold_is_refused_when_it_is_pushed(value):
    with pytest.raises(InvalidEnvironment) as refused:
        env_vars.split({"VITE_A": value}, build_prefixes=PREFIXES)
    assert refused.value.sentence == (
        "envVars.VITE_A: A .env file can't hold this value: it mixes too many kinds of quotes."
    )
    # At run time it is a secret, where anything goes.
    assert env_vars.split({"A": value}, build_prefixes=PREFIXES).secrets == {"A": value}


AWKWARD = st.text(st.sampled_from("ab'\"`\\$#=\n\r {}nr\t"), max_size=12)


@given(st.dictionaries(st.sampled_from(["VITE_A", "VITE_B", "PUBLIC_C"]), AWKWARD | st.text(max_size=20)))
def test_no_value_becomes_another_variable(variables: Mapping[str, str]):
    try:
        rendered = env_vars.render_dotenv(variables)
    except InvalidEnvironment:
        return
    assert read_as_dotenv_does(rendered) == variables
