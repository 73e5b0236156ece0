"""Our fly.toml says what we mean, whatever the names are."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import fly_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_an_app_is_described():
    rendered = fly_toml.render(app="crayon-0123456789abcdef", region="iad", port=3000, commit="abc123")
    assert tomllib.loads(rendered) == {
        "app": "crayon-0123456789abcdef",
        "primary_region": "iad",
        "build": {"dockerfile": "Dockerfile"},
        "env": {"PORT": "3000", "CRAYON_COMMIT": "abc123"},
        "http_service": {
            "internal_port": 3000,
            "force_https": True,
            "auto_stop_machines": "stop",
            "auto_start_machines": True,
            "min_machines_running": 0,
        },
        "vm": [{"size": "shared-cpu-1x", "memory": "512mb"}],
    }


def test_without_a_commit_the_app_is_told_of_none():
    rendered = fly_toml.render(app="a", region="iad", port=8080, commit="")
    assert tomllib.loads(rendered)["env"] == {"PORT": "8080"}


@given(app=TEXT, region=TEXT, commit=TEXT)
def test_no_text_gets_out_of_its_quotes(app, region, commit):
    read = tomllib.loads(fly_toml.render(app=app, region=region, port=8080, commit=commit))
    assert (read["app"], read["primary_region"], read["env"].get("CRAYON_COMMIT", "")) == (app, region, commit)
    assert read.keys() == {"app", "primary_region", "build", "env", "http_service", "vm"}
    assert read["build"] == {"dockerfile": "Dockerfile"}


@pytest.mark.parametrize(
    "text", ['"', "\\", '\\"', "\n", "\r\n", "\0", "\x7f", "\u2028", '"""', "é😀", '"\n[build]\nimage="evil"']
)
def test_awkward_text_is_read_back(text):
    assert tomllib.loads(f"x = {fly_toml.quoted(text)}") == {"x": text}


def test_an_app_is_told_where_it_finds_its_credentials():
    rendered = fly_toml.render(app="a", region="iad", port=80, commit="", server_url="https://crayon.example.com")
    assert tomllib.loads(rendered)["env"] == {"PORT": "80", "CRAYON_SERVER_URL": "https://crayon.example.com"}
