"""Reads a Dockerfile into the stages and steps that BuildKit would show."""

import re
from dataclasses import dataclass, field

from sandbox.flyctl.console import Failed

_SHOWN = {"RUN", "COPY", "ADD", "WORKDIR"}
_SILENT = {
    "ARG", "CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL",
    "STOPSIGNAL", "USER", "VOLUME",
}  # fmt: skip
_HEREDOC = re.compile(r"<<-?\s*[\"']?(\w+)[\"']?")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: the line it begins on, its word in capitals, and the rest."""

    line: int
    word: str
    rest: str

    @property
    def text(self) -> str:
        """The instruction in one line."""
        return f"{self.word} {self.rest}"


@dataclass(slots=True)
class Stage:
    """A FROM and the steps after it."""

    name: str
    steps: list[Step] = field(default_factory=list)


def read_dockerfile(text: str) -> list[Stage]:
    """Give the stages. Raises Failed as BuildKit's parser does."""
    stages: list[Stage] = []
    for step in _instructions(text):
        if step.word == "FROM":
            words = step.rest.split()
            named = len(words) >= 3 and words[-2].upper() == "AS"  # noqa: PLR2004 - FROM image AS name
            stages.append(Stage(name=words[-1] if named else f"stage-{len(stages)}", steps=[step]))
        elif step.word not in _SHOWN | _SILENT:
            raise Failed(f"dockerfile parse error on line {step.line}: unknown instruction: {step.word}")
        elif not stages and step.word != "ARG":
            raise Failed(f"dockerfile parse error on line {step.line}: no build stage in current context")
        elif step.word in _SHOWN:
            stages[-1].steps.append(step)
    if not stages:
        raise Failed("failed to read dockerfile: the Dockerfile cannot be empty")
    return stages


def _instructions(text: str) -> list[Step]:
    found: list[Step] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        begin = number
        line = lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        while line.endswith("\\") and number < len(lines):
            following = lines[number].strip()
            number += 1
            if not following.startswith("#"):
                line = f"{line[:-1].rstrip()} {following}"
        if heredoc := _HEREDOC.search(line):
            while number < len(lines) and lines[number].strip() != heredoc[1]:
                number += 1
            number += 1
        word, _, rest = line.partition(" ")
        found.append(Step(line=begin + 1, word=word.upper(), rest=rest.strip()))
    return found
