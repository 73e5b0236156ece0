"""Stages, the variables that hold in them, and what the image exposes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.instructions import DockerfileError
from buildkit.stages import Dockerfile


def exposed(text):
    return [each.text for each in Dockerfile(text).exposed()]


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("FROM node\nCMD node .", []),
        ("FROM node\nEXPOSE 3000", ["3000"]),
        ('FROM node:20\nEXPOSE "3000"', ["3000"]),
        ("from node\r\n  expose '3000'/tcp\r\n", ["3000"]),
        ("FROM node\nEXPOSE 3000/TCP 3000", ["3000"]),
        ("FROM node\nEXPOSE 3000 9229", ["3000", "9229"]),
        ("FROM node\nEXPOSE 9229\nEXPOSE 3000", ["9229", "3000"]),
        ("FROM node\nEXPOSE 5353/udp 53/UDP 132/sctp 3000", ["3000"]),
        ("FROM node\nEXPOSE 3000-3005 3000-3000", ["3000-3005", "3000"]),
        ("FROM node\nEXPOSE 80:3000 127.0.0.1:81:3001/tcp", ["3000", "3001"]),
        ("FROM node\nEXPOSE 0 65536 65535 -1 ٣٠٠٠ x 5-4 " + "9" * 5000, ["65535"]),
        ("FROM node AS base\nEXPOSE 3000\nFROM base\nCMD node .", ["3000"]),
        ("FROM node AS Base\nEXPOSE 3000\nFROM bASE AS b\nFROM b", ["3000"]),
        ("FROM node AS base\nEXPOSE 9229\nFROM base\nEXPOSE 3000", ["3000", "9229"]),
        ("FROM node AS build\nEXPOSE 9229\nFROM nginx\nCOPY --from=build /a /b", []),
        ("FROM node AS a\nEXPOSE 1\nFROM deno AS a\nEXPOSE 2\nFROM a", ["2"]),
        ("ARG BASE=base\nFROM node AS base\nEXPOSE 3000\nFROM ${BASE}", ["3000"]),
        ("FROM node:20\nENV HOST=0.0.0.0 APP_PORT=3000\nEXPOSE $APP_PORT", ["3000"]),
        ("FROM node:20\nENV PORT 3000\nEXPOSE ${PORT}/tcp", ["3000"]),
        ("FROM node:20\nENV PORT=1 OTHER=$PORT\nEXPOSE $PORT $OTHER", ["1"]),
        ('FROM node:20\nENV A="3000 9229"\nEXPOSE $A', ["3000", "9229"]),
        ("FROM node AS base\nENV PORT=3000\nFROM base\nEXPOSE $PORT", ["3000"]),
        ("FROM node AS base\nENV PORT=3000\nFROM node\nEXPOSE $PORT", []),
        ("FROM node\nARG PORT=4000\nEXPOSE $PORT", ["4000"]),
        ("ARG PORT=4000\nFROM node\nEXPOSE $PORT", []),
        ("ARG PORT=4000\nFROM node\nARG PORT\nEXPOSE $PORT", ["4000"]),
        ("ARG PORT=4000\nFROM node\nARG PORT=5000\nEXPOSE $PORT", ["5000"]),
        ("FROM node\nARG A=1 B=2\nEXPOSE $A$B", ["12"]),
        ("FROM node\nEXPOSE ${PORT:-5000}", ["5000"]),
        ("FROM node\nEXPOSE $PORT", []),
        ("FROM node\nEXPOSE '3000", []),
        ("FROM node\nRUN <<EOF\nEXPOSE 9999\nEOF\nEXPOSE 3000", ["3000"]),
        ("FROM node\nEXPOSE \\\n# for people\n\n  3000 \\\n  9229", ["3000", "9229"]),
        ("# escape=`\nFROM node\nEXPOSE `\n  3000", ["3000"]),
        ("\ufeffFROM\tnode\nEXPOSE\t3000", ["3000"]),
        ("FROM --platform=$TARGETPLATFORM node\nEXPOSE 3000", ["3000"]),
        ("FROM node\nONBUILD EXPOSE 9999\nLABEL a=EXPOSE", []),
    ],
)
def test_ports_are_exposed_as_buildkit_sees_them(text, ports):
    assert exposed(text) == ports


def test_only_env_reaches_the_image():
    text = "FROM a AS base\nENV A=1 B='x y'\nARG C=3\nFROM base\nENV D=$A$C\nENV E two  words"
    assert Dockerfile(text).environment() == {"A": "1", "B": "x y", "D": "13", "E": "two  words"}


def test_only_stages_that_the_image_needs_are_built():
    text = (
        "FROM a AS deps\nFROM a AS test\nRUN exit 1\nFROM deps AS built\nFROM b AS tools\n"
        "FROM c\nCOPY --from=BUILT /x /y\nRUN --mount=type=bind,from=3,target=/t make"
    )
    assert [stage.name for stage in Dockerfile(text).reached()] == ["deps", "built", "tools", "stage-4"]


@pytest.mark.parametrize(
    ("step", "taken"),
    [
        ("COPY . .", True),
        ("COPY ./ /app/", True),
        ("ADD / /app", True),
        ("COPY .env* ./", True),
        ("COPY ['.env', './']".replace("'", '"'), True),
        ("COPY ** ./", True),
        ("RUN --mount=type=bind,target=. make", True),
        ("COPY src package.json ./", False),
        ("COPY --from=x . .", False),
        ("RUN --mount=type=cache,target=/x make", False),
        ("RUN make", False),
    ],
)
def test_what_is_taken_from_the_context_is_known(step, taken):
    assert Dockerfile(f"FROM node\n{step}").takes(".env") is taken


def test_a_stage_that_is_not_built_takes_nothing():
    assert not Dockerfile("FROM a AS unused\nCOPY . .\nFROM b").takes(".env")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the Dockerfile cannot be empty"),
        ("\ufeff", "the Dockerfile cannot be empty"),
        ("# nothing\n\n", "file with no instructions"),
        ("ARG A=1", "dockerfile contains no stages to build"),
        ("RUN a\nFROM b", "dockerfile parse error on line 1: no build stage in current context"),
        ("FROM a\nFROB x", "dockerfile parse error on line 2: unknown instruction: FROB"),
        ("FROM a\n\nRUN", "dockerfile parse error on line 3: RUN requires at least one argument"),
        ("FROM a b", "dockerfile parse error on line 1: FROM requires either one or three arguments"),
        ("FROM $NOTHING", "dockerfile parse error on line 1: base name ($NOTHING) should not be blank"),
    ],
)
def test_what_buildkit_refuses_is_refused(text, problem):
    with pytest.raises(DockerfileError) as refused:
        Dockerfile(text)
    assert str(refused.value) == problem


_LINES = st.sampled_from(
    [
        "FROM a",
        "FROM a AS b",
        "FROM b AS a",
        "EXPOSE $P 80",
        "ENV P=$P",
        "ARG P",
        "ARG P=${P:-1",
        "COPY --from=b . .",
        "\\",
    ]
)


@given(st.lists(_LINES | st.text(max_size=20)).map("\n".join))
def test_no_dockerfile_is_too_odd(text):
    try:
        read = Dockerfile(text)
    except DockerfileError:
        return
    assert all(0 < each.port <= 65535 for each in read.exposed())
    assert read.reached()[-1] is read.last
    assert read.takes(".env") in {True, False}
