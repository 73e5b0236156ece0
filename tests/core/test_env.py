"""The typed readers of the environment: a bad value stops the start and is named."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

NAME = "CRAYON_TEST_VALUE"


@pytest.fixture
def given(monkeypatch):
    return lambda value: monkeypatch.setenv(NAME, value)


def refused(read):
    with pytest.raises(ImproperlyConfigured, match=NAME) as caught:
        read()
    return str(caught.value)


def test_text_is_stripped(given):
    given("  a b ")
    assert env.text(NAME) == "a b"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_text_that_is_missing_or_empty_has_its_default_or_stops_the_start(given, value):
    if value is not None:
        given(value)
    assert env.text(NAME, "default") == "default"
    assert refused(lambda: env.text(NAME)) == f"{NAME} must be set; .env.example says to what."


@pytest.mark.parametrize(
    ("value", "meant"), [("true", True), ("YES", True), ("1", True), ("on", True), ("False", False), ("0", False)]
)
def test_flags_have_their_usual_spellings(given, value, meant):
    given(value)
    assert env.flag(NAME, default=not meant) is meant


def test_an_empty_flag_has_its_default(given):
    given("")
    assert (env.flag(NAME, default=True), env.flag(NAME, default=False)) == (True, False)


@pytest.mark.parametrize("value", ["ture", "2", "t", "-"])
def test_another_flag_stops_the_start(given, value):
    given(value)
    assert "must be true or false" in refused(lambda: env.flag(NAME, default=False))


def test_integers_keep_to_their_bounds(given):
    for value in ("1", "5"):
        given(value)
        assert env.integer(NAME, 3, at_least=1, at_most=5) == int(value)
    for value in ("0", "6", "-1"):
        given(value)
        assert refused(lambda: env.integer(NAME, 3, at_least=1, at_most=5)).endswith(f"from 1 to 5, not {value}.")
    given("-1")
    assert refused(lambda: env.integer(NAME, 3)).endswith("must be at least 0, not -1.")


@pytest.mark.parametrize("value", ["1.5", "x", "1e3", "0x10", "1 2"])
def test_what_is_no_whole_number_stops_the_start(given, value):
    given(value)
    assert "must be a whole number" in refused(lambda: env.integer(NAME, 3))


def test_a_choice_is_one_of_its_words(given):
    given("open")
    assert env.choice(NAME, "closed", ["open", "closed"]) == "open"
    given("Open")
    assert "must be one of open, closed" in refused(lambda: env.choice(NAME, "closed", ["open", "closed"]))


def test_words_are_separated_by_commas(given):
    given(" a, b ,,c,")
    assert env.words(NAME) == ["a", "b", "c"]
    given("")
    assert env.words(NAME, ["x"]) == ["x"]


@pytest.mark.parametrize(
    "value", ["https://a.example", "http://127.0.0.1:3000", "https://a.example/path", "http://[::1]:1"]
)
def test_addresses_lose_their_last_slash_only(given, value):
    given(f"{value}/")
    assert env.url(NAME) == value


@pytest.mark.parametrize(
    "value",
    [
        "a.example",
        "ftp://a.example",
        "https://",
        "https://a.example?x=1",
        "https://a.example/#x",
        "http://a:port",
        "//a",
    ],
)
def test_what_is_no_address_stops_the_start(given, value):
    given(value)
    assert "http://" in refused(lambda: env.url(NAME))


def test_a_secret_may_lie_in_a_file(given, monkeypatch, tmp_path):
    given("from the environment")
    assert env.secret(NAME) == "from the environment"
    (tmp_path / "secret").write_text("from the file\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "secret"))
    assert env.secret(NAME) == "from the file"


def test_a_secret_file_that_cannot_be_read_stops_the_start(monkeypatch, tmp_path):
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "absent"))
    assert "can't be read" in refused(lambda: env.secret(NAME))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "binary"))
    assert "can't be read" in refused(lambda: env.secret(NAME))


def test_postgresql_is_the_only_database(given):
    given("postgres://crayon:only-for-tests@127.0.0.1:5432/crayon")
    read = env.database(NAME)
    assert (read["ENGINE"], read["HOST"], read["NAME"]) == ("django.db.backends.postgresql", "127.0.0.1", "crayon")
    for value in ("sqlite:///x", "mysql://a/b", "crayon"):
        given(value)
        assert "PostgreSQL is the only database" in refused(lambda: env.database(NAME))
