"""On which port an app is looked for. Pure; `docs/deploying.md` tells people the rule."""

from dataclasses import dataclass

from buildkit.instructions import DockerfileError
from buildkit.stages import Dockerfile

DEFAULT_PORT = 3000
_LAST_PORT = 65535
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The port, and sentences for the build's log that say why it is this one."""

    port: int
    told: tuple[str, ...] = ()


def choose(dockerfile: str, *, wanted: str = "") -> Choice:
    """Give the port: what PORT in `envVars` says, else the first that the Dockerfile exposes, else its PORT, else 3000.

    A Dockerfile that can't be read says nothing: the build will say why.
    """
    if port := _number(wanted.strip()):
        return Choice(port, (f"The app is looked for on port {port}, as PORT in envVars says.",))
    odd = (f"PORT in envVars is not used: it is no number from 1 to {_LAST_PORT}.",) if wanted else ()
    try:
        read = Dockerfile(dockerfile)
    except DockerfileError:
        return Choice(DEFAULT_PORT, odd)
    exposed = read.exposed()
    if exposed:
        return Choice(exposed[0].port, (*odd, *_several([each.text for each in exposed])))
    if port := _number(read.environment().get("PORT", "")):
        return Choice(port, (*odd, f"The app is looked for on port {port}, which the Dockerfile sets as PORT."))
    return Choice(
        DEFAULT_PORT,
        (
            *odd,
            (
                f"The Dockerfile exposes no port, so the app is looked for on {DEFAULT_PORT}. If it listens elsewhere, "
                "say so by EXPOSE, or by PORT in envVars."
            ),
        ),
    )


def _several(exposed: list[str]) -> tuple[str, ...]:
    if len(exposed) == 1 and "-" not in exposed[0]:
        return ()
    shown = ", ".join(exposed[:_MOST_SHOWN]) + (", …" if len(exposed) > _MOST_SHOWN else "")
    first = exposed[0].partition("-")[0]
    return (
        (
            f"The Dockerfile exposes several ports ({shown}). The app is looked for on the first, {first}; "
            "PORT in envVars names another."
        ),
    )


def _number(word: str) -> int:
    fits = word.isascii() and word.isdigit() and len(word) <= len(str(_LAST_PORT))
    return int(word) if fits and int(word) <= _LAST_PORT else 0
