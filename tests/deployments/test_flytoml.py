"""Our fly.toml says what we mean, whatever the names are."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments import flytoml

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_an_app_is_described():
    rendered = flytoml.render(app="crayon-0123456789abcdef", region="iad", port=3000, commit="abc123")
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
    rendered = flytoml.render(app="a", region="iad", port=8080, commit="")
    assert tomllib.loads(rendered)["env"] == {"PORT": "8080"}


@given(app=TEXT, region=TEXT, commit=TEXT)
def test_no_text_gets_out_of_its_quotes(app, region, commit):
    read = tomllib.loads(flytoml.render(app=app, region=region, port=8080, commit=commit))
    assert (read["app"], read["primary_region"], read["env"].get("CRAYON_COMMIT", "")) == (app, region, commit)
    assert read.keys() == {"app", "primary_region", "build", "env", "http_service", "vm"}
    assert read["build"] == {"dockerfile": "Dockerfile"}


@pytest.mark.parametrize(
    "text", ['"', "\\", '\\"', "\n", "\r\n", "\0", "\x7f", "\u2028", '"""', "é😀", '"\n[build]\nimage="evil"']
)
def test_awkward_text_is_read_back(text):
    assert tomllib.loads(f"x = {flytoml.quoted(text)}") == {"x": text}


@pytest.mark.parametrize(
    ("dockerfile", "port"),
    [
        ("", 3000),
        ("FROM node\nCMD node .", 3000),
        ("FROM node\nEXPOSE 3000", 3000),
        ("from node\r\n  expose 3000/tcp\r\n", 3000),
        ("FROM node\nEXPOSE 3000/TCP", 3000),
        ("FROM node\nEXPOSE 3000\nEXPOSE 3000/tcp", 3000),
        ("FROM node\nEXPOSE \\\n  3000", 3000),
        ("FROM node\nEXPOSE 3000 # for people", 3000),
        ("FROM node\n# EXPOSE 3000", 3000),
        ("FROM node\nEXPOSE 3000 9229", 3000),
        ("FROM node\nEXPOSE 3000\nEXPOSE 9229", 3000),
        ("FROM node\nEXPOSE 3000 5353/udp", 3000),
        ("FROM node\nEXPOSE 3000-3005", 3000),
        ("FROM node\nEXPOSE 0", 3000),
        ("FROM node\nEXPOSE 65536", 3000),
        ("FROM node\nEXPOSE 65535", 65535),
        ("FROM node\nEXPOSE ٣٠٠٠", 3000),
        ("FROM node\nEXPOSE " + "9" * 5000, 3000),
        ("FROM node\nEXPOSE -1", 3000),
        ("FROM node AS build\nEXPOSE 9229\nFROM nginx\nEXPOSE 80", 80),
        ("FROM node AS build\nEXPOSE 9229\nFROM nginx", 3000),
        ("FROM node\nENV PORT=3000\nEXPOSE $PORT", 3000),
        ('FROM node\nENV PORT "3000"\nEXPOSE ${PORT}', 3000),
        ("FROM node\nARG PORT=4000\nEXPOSE ${PORT}/tcp", 4000),
        ("FROM node\nEXPOSE ${PORT:-5000}", 5000),
        ("FROM node\nEXPOSE $PORT", 3000),
        ("FROM node\nEXPOSE $PORT 3000", 3000),
    ],
)
def test_the_port_is_the_one_that_the_last_stage_exposes(dockerfile, port):
    assert flytoml.port_of(dockerfile) == port


@given(st.text())
def test_no_dockerfile_is_too_odd(text):
    assert 0 < flytoml.port_of(text) <= 65535


def test_an_app_is_told_where_it_finds_its_credentials():
    rendered = flytoml.render(app="a", region="iad", port=80, commit="", server_url="https://crayon.example.com")
    assert tomllib.loads(rendered)["env"] == {"PORT": "80", "CRAYON_SERVER_URL": "https://crayon.example.com"}
