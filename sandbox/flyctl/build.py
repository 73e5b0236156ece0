"""Prints what BuildKit prints (`--progress=plain`) for a Dockerfile, and fails where it says so."""

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from buildkit import words
from buildkit.instructions import DockerfileError, Instruction
from buildkit.stages import Dockerfile, Stage
from sandbox.flyctl.console import Failed, Interrupted, err
from sandbox.flyctl.context import Context

_MOMENT = 0.03
_SHOWN = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})
_SHELLS = frozenset({"sh", "bash", "/bin/sh", "/bin/bash"})
_SOURCES_AND_TARGET = 2
_ADDRESS = re.compile(r"(?:https?|git|ssh)://|git@")
_SEPARATORS = re.compile(r"&&|;")
_AMOUNT = re.compile(r"\d{1,9}(?:\.\d+)?")
_WRAPPED = "failed to fetch an image or build from source: error building: "


class _Ended(Exception):
    """A command of a RUN ended with another code than 0."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Build:
    """One build of a context. Numbers count vertices, as BuildKit does."""

    def __init__(self, context: Path, dockerfile: Path) -> None:
        self._context = Context(context)
        self._dockerfile = dockerfile
        self._number = 0
        self._open: list[int] = []

    def run(self, image: str) -> None:
        """Build and push as `image`. Raises Failed; when interrupted, says so of what was not done."""
        try:
            self._run(image)
        except Interrupted:
            for number in self._open:
                err(f"#{number} CANCELED")
            raise

    def _run(self, image_name: str) -> None:
        try:
            text = self._dockerfile.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise Failed(f"{_WRAPPED}failed to solve: failed to read dockerfile: {error.strerror}") from error
        self._vertex("[internal] load build definition from Dockerfile", f"transferring dockerfile: {len(text)}B done")
        try:
            read = Dockerfile(text)
        except DockerfileError as error:
            raise Failed(f"{_WRAPPED}failed to solve: {error}") from error
        stages = read.reached()
        for image in dict.fromkeys(stage.base for stage in stages if _has_image(stage)):
            self._vertex(f"[internal] load metadata for {_full_name(image)}")
        self._vertex("[internal] load .dockerignore", "transferring context: 2B done")
        self._vertex(
            "[internal] load build context", f"transferring context: {self._context.size / 1000:.2f}kB 0.0s done"
        )
        for stage in stages:
            self._stage(read, stage, text)
        self._export(image_name, text)

    def _stage(self, read: Dockerfile, stage: Stage, text: str) -> None:
        shown = sum(step.word in _SHOWN for step in stage.steps)
        count = shown + _has_image(stage)
        prefix = "" if len(read.stages) == 1 else f"{stage.name} "
        position = 0
        if _has_image(stage):
            position += 1
            self._from(f"[{prefix}{position}/{count}] ", stage.base)
        for owner, step, variables in read.walk(stage):
            if owner is stage and step.word in _SHOWN:
                position += 1
                self._step(f"[{prefix}{position}/{count}] ", step, variables, text)

    def _from(self, place: str, image: str) -> None:
        digest = hashlib.sha256(image.encode()).hexdigest()
        number = self._begin(f"{place}FROM {_full_name(image)}@sha256:{digest}")
        err(f"#{number} sha256:{digest} 0B / 29.13MB 0.1s")
        err(f"#{number} sha256:{digest} 29.13MB / 29.13MB 0.2s done")
        self._end(number)

    def _step(self, place: str, step: Instruction, variables: Mapping[str, str], text: str) -> None:
        title = f"{place}{_title(step, variables)}"
        number = self._begin(title)
        began = time.monotonic()
        try:
            if step.word == "RUN":
                for command in _commands(step, variables):
                    self._command(number, *command)
            elif step.word in {"COPY", "ADD"}:
                self._copied(step, variables)
        except _Ended as end:
            if end.code:
                shell = "" if step.rest.startswith("[") else "/bin/sh -c "
                shown = " ".join(step.arguments()) if step.rest.startswith("[") else step.rest
                problem = f'process "{shell}{shown}" did not complete successfully: exit code: {end.code}'
                self._fail(number, title, step, text, problem)
        except Failed as error:
            self._fail(number, title, step, text, str(error))
        self._end(number, time.monotonic() - began)

    def _fail(self, number: int, title: str, step: Instruction, text: str, problem: str) -> None:
        self._open.remove(number)
        err(f"#{number} ERROR: {problem}")
        err("------")
        err(f" > {title}:")
        err("------")
        lines = text.split("\n")
        err(f"Dockerfile:{step.line}")
        err("--------------------")
        for at in range(max(1, step.line - 2), min(len(lines), step.line + 2) + 1):
            err(f"{at:4} | {'>>>' if at == step.line else '   '} {lines[at - 1]}")
        err("--------------------")
        raise Failed(f"{_WRAPPED}failed to solve: {problem}")

    def _command(self, number: int, name: str, *arguments: str) -> None:
        first = arguments[0] if arguments else ""
        if name == "exit":
            raise _Ended(int(first) if first.isdigit() else 0)
        if name == "sleep":
            self._sleep(number, _amount(first))
        elif name == "silence":
            time.sleep(_amount(first))
        elif name == "flood":
            for at in range(int(_amount(first))):
                err(f"#{number} 0.1 line {at} of a flood that says nothing")
        elif name == "echo":
            err(f"#{number} 0.101 {' '.join(arguments)}")
        elif name == "cat":
            self._cat(number, first)
        elif name == "npm":
            err(f"#{number} 0.242 added 57 packages in 1s")

    def _sleep(self, number: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1))
            err(f"#{number} {seconds - left:.1f} still at it")

    def _cat(self, number: int, name: str) -> None:
        text = self._context.read(name)
        if text is None:
            err(f"#{number} 0.101 cat: can't open '{name}': No such file or directory")
            raise _Ended(1)
        for line in text.splitlines():
            err(f"#{number} 0.101 {line}")

    def _copied(self, step: Instruction, variables: Mapping[str, str]) -> None:
        given = [_expanded(word, step, variables) for word in step.arguments()]
        if len(given) < _SOURCES_AND_TARGET:
            raise Failed(f"{step.word} requires at least two arguments, but only one was provided")
        if step.flag("from"):
            return  # what another stage or image has in it, nobody knows here
        for source in given[:-1]:
            if source.lstrip("0123456789").startswith("<<"):
                continue
            if _ADDRESS.match(source):
                if step.word == "COPY":
                    raise Failed("source can't be a URL for COPY")
            elif not self._context.has(source):
                problem = f'"/{source.strip("/")}": not found'
                raise Failed(f"failed to calculate checksum of ref sandbox::sandbox: {problem}")

    def _export(self, image: str, text: str) -> None:
        number = self._begin("exporting to image")
        digest = hashlib.sha256(text.encode()).hexdigest()
        err(f"#{number} exporting layers")
        err(f"#{number} exporting manifest sha256:{digest} done")
        err(f"#{number} naming to {image} done")
        err(f"#{number} pushing layers")
        self._end(number)

    def _vertex(self, title: str, detail: str = "") -> None:
        number = self._begin(title)
        if detail:
            err(f"#{number} {detail}")
        self._end(number, 0)

    def _begin(self, title: str) -> int:
        self._number += 1
        self._open.append(self._number)
        err("")
        err(f"#{self._number} {title}")
        return self._number

    def _end(self, number: int, took: float = _MOMENT) -> None:
        time.sleep(_MOMENT)
        self._open.remove(number)
        err(f"#{number} DONE {took:.1f}s")


def _has_image(stage: Stage) -> bool:
    """Whether the stage begins with an image, and not with another stage."""
    return stage.parent is None


def _title(step: Instruction, variables: Mapping[str, str]) -> str:
    """The instruction as it is shown: what it copies by name, what it runs as it stands there."""
    if step.word == "RUN":
        return step.text
    given = (_expanded(word, step, variables) if "$" in word else word for word in step.words())
    return " ".join((step.word, *step.flags, *given))


def _commands(step: Instruction, variables: Mapping[str, str]) -> Iterator[list[str]]:
    """The commands of a RUN, one after the other, each with its arguments."""
    if step.rest.startswith("["):
        yield step.arguments()
        return
    script = step.rest
    first, *others = step.words()
    if step.heredocs and (first.startswith("<<") or (first in _SHELLS and others[0].startswith("<<"))):
        script = "\n".join(heredoc.text for heredoc in step.heredocs)
    for line in script.split("\n"):
        for command in [] if line.lstrip().startswith("#") else _SEPARATORS.split(line):
            if given := words.split(command):
                yield [_expanded(word, step, variables) for word in given]


def _expanded(word: str, step: Instruction, variables: Mapping[str, str]) -> str:
    try:
        return words.expand(word, variables, escape=step.escape)
    except words.BadWord:
        return word


def _amount(word: str) -> float:
    return float(word) if _AMOUNT.fullmatch(word) else 0


def _full_name(image: str) -> str:
    named = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
    return named if "/" in named else f"docker.io/library/{named}"
