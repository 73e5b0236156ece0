"""On which port an app is looked for, and what its author is told of that."""

import pytest

from deployments.ports import Choice, choose

NONE = (
    "The Dockerfile exposes no port, so the app is looked for on 3000. If it listens elsewhere, "
    "say so by EXPOSE, or by PORT in envVars."
)
ODD = "PORT in envVars is not used: it is no number from 1 to 65535."


@pytest.mark.parametrize(
    ("dockerfile", "choice"),
    [
        ("FROM node\nEXPOSE 8080", Choice(8080)),
        ("FROM node:20\nENV HOST=0.0.0.0 APP_PORT=3000\nEXPOSE $APP_PORT", Choice(3000)),
        ("FROM node:20\nRUN <<EOF\nEXPOSE 9999\nEOF\nEXPOSE 3000", Choice(3000)),
        ("FROM node:20 AS base\nEXPOSE 3000\nFROM base\nCMD node .", Choice(3000)),
        ('FROM node:20\nEXPOSE "3000"', Choice(3000)),
        (
            "FROM node:20\nEXPOSE 3000 9229",
            Choice(
                3000,
                (
                    (
                        "The Dockerfile exposes several ports (3000, 9229). The app is looked for on the first, 3000; "
                        "PORT in envVars names another."
                    ),
                ),
            ),
        ),
        (
            "FROM node:20\nEXPOSE 4000-4002/tcp 53/udp",
            Choice(
                4000,
                (
                    (
                        "The Dockerfile exposes several ports (4000-4002). The app is looked for on the first, 4000; "
                        "PORT in envVars names another."
                    ),
                ),
            ),
        ),
        ("FROM node\nCMD node .", Choice(3000, (NONE,))),
        ("FROM node\nEXPOSE $PORT", Choice(3000, (NONE,))),
        ("FROM node\nEXPOSE 53/udp", Choice(3000, (NONE,))),
        (
            "FROM node\nENV PORT=8080\nCMD node .",
            Choice(8080, ("The app is looked for on port 8080, which the Dockerfile sets as PORT.",)),
        ),
        ("", Choice(3000)),
        ("FROB x", Choice(3000)),
    ],
)
def test_the_dockerfile_says_the_port(dockerfile, choice):
    assert choose(dockerfile) == choice


@pytest.mark.parametrize("dockerfile", ["FROM node\nEXPOSE 8080", "FROM node\nEXPOSE $PORT", "FROM node", ""])
def test_port_in_the_variables_wins_and_that_is_said(dockerfile):
    assert choose(dockerfile, wanted="4000") == Choice(
        4000, ("The app is looked for on port 4000, as PORT in envVars says.",)
    )


@pytest.mark.parametrize("wanted", ["0", "65536", "http", "-1", "3000.0", "٣٠٠٠", "9" * 5000])
def test_a_port_in_the_variables_that_is_none_is_not_used_and_that_is_said(wanted):
    assert choose("FROM node\nEXPOSE 8080", wanted=wanted) == Choice(8080, (ODD,))
    assert choose("FROM node", wanted=wanted) == Choice(3000, (ODD, NONE))
