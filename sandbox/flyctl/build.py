"""Prints what BuildKit prints (`--progress=plain`) for a Dockerfile, and fails where it says so."""

import glob
import hashlib
import json
import re
import shlex
import time
from pathlib import Path

from sandbox.flyctl.console import Failed, Interrupted, err
from sandbox.flyctl.dockerfile import Stage, Step, read_dockerfile

_MOMENT = 0.03
_FLAG = re.compile(r"(?<!\S)--[a-z-]+=\S+\s+")
_SOURCES_AND_TARGET = 2
_WRAPPED = "failed to fetch an image or build from source: error building: "


class _Ended(Exception):
    """A command of a RUN ended with another code than 0."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Build:
    """One build of a context. Numbers count vertices, as BuildKit does."""

    def __init__(self, context: Path, dockerfile: Path) -> None:
        self._context = context
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

    def _run(self, image: str) -> None:
        try:
            text = self._dockerfile.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise Failed(f"{_WRAPPED}failed to solve: failed to read dockerfile: {error.strerror}") from error
        self._vertex("[internal] load build definition from Dockerfile", f"transferring dockerfile: {len(text)}B done")
        try:
            stages = read_dockerfile(text)
        except Failed as error:
            raise Failed(f"{_WRAPPED}failed to solve: {error}") from error
        for stage in stages:
            name = stage.steps[0].rest.split()[0] if stage.steps[0].rest else "scratch"
            self._vertex(f"[internal] load metadata for {_full_name(name)}")
        self._vertex("[internal] load .dockerignore", "transferring context: 2B done")
        size = sum(path.stat().st_size for path in self._context.rglob("*") if path.is_file() and not path.is_symlink())
        self._vertex("[internal] load build context", f"transferring context: {size / 1000:.2f}kB 0.0s done")
        for stage in stages:
            self._stage(stage, text, alone=len(stages) == 1)
        self._export(image, text)

    def _stage(self, stage: Stage, text: str, *, alone: bool) -> None:
        count = len(stage.steps)
        for position, step in enumerate(stage.steps, start=1):
            place = f"{position}/{count}" if alone else f"{stage.name} {position}/{count}"
            if step.word == "FROM":
                self._from(f"[{place}] ", step)
            else:
                self._step(f"[{place}] {step.text}", step, text)

    def _from(self, place: str, step: Step) -> None:
        image = step.rest.split()[0] if step.rest else "scratch"
        digest = hashlib.sha256(image.encode()).hexdigest()
        number = self._begin(f"{place}FROM {_full_name(image)}@sha256:{digest}")
        err(f"#{number} sha256:{digest} 0B / 29.13MB 0.1s")
        err(f"#{number} sha256:{digest} 29.13MB / 29.13MB 0.2s done")
        self._end(number)

    def _step(self, title: str, step: Step, text: str) -> None:
        number = self._begin(title)
        began = time.monotonic()
        try:
            if step.word == "RUN":
                self._commands(number, step.rest)
            elif step.word in {"COPY", "ADD"}:
                self._copied(step.rest)
        except _Ended as end:
            problem = f'process "/bin/sh -c {_bare(step.rest)}" did not complete successfully: exit code: {end.code}'
            self._fail(number, title, step, text, problem)
        except Failed as error:
            self._fail(number, title, step, text, str(error))
        self._end(number, time.monotonic() - began)

    def _fail(self, number: int, title: str, step: Step, text: str, problem: str) -> None:
        self._open.remove(number)
        err(f"#{number} ERROR: {problem}")
        err("------")
        err(f" > {title}:")
        err("------")
        lines = text.splitlines()
        err(f"Dockerfile:{step.line}")
        err("--------------------")
        for at in range(max(1, step.line - 2), min(len(lines), step.line + 2) + 1):
            err(f"{at:4} | {'>>>' if at == step.line else '   '} {lines[at - 1]}")
        err("--------------------")
        raise Failed(f"{_WRAPPED}failed to solve: {problem}")

    def _commands(self, number: int, rest: str) -> None:
        for command in re.split(r"&&|;", _bare(rest)):
            name, *arguments = _words(command) or [""]
            first = arguments[0] if arguments else ""
            if name == "exit":
                code = int(first) if first.isdigit() else 0
                if code:
                    raise _Ended(code)
                return
            self._command(number, name, arguments)

    def _command(self, number: int, name: str, arguments: list[str]) -> None:
        first = arguments[0] if arguments else ""
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
        path = (self._context / name.lstrip("/")).resolve()
        if not path.is_relative_to(self._context.resolve()) or not path.is_file():
            err(f"#{number} 0.101 cat: can't open '{name}': No such file or directory")
            raise _Ended(1)
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            err(f"#{number} 0.101 {line}")

    def _copied(self, rest: str) -> None:
        words = _words(_FLAG.sub("", rest)) if "--from=" not in rest else []
        sources = words[:-1] if len(words) >= _SOURCES_AND_TARGET else []
        for source in sources:
            if "://" in source or source.startswith("<<"):
                continue
            pattern = source.strip("/") or "."
            if not glob.glob(pattern, root_dir=self._context, include_hidden=True):  # noqa: PTH207 - `.` is a pattern
                problem = f'"/{pattern}": not found'
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


def _amount(word: str) -> float:
    return float(word) if re.fullmatch(r"\d{1,9}(?:\.\d+)?", word) else 0


def _full_name(image: str) -> str:
    named = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
    return named if "/" in named else f"docker.io/library/{named}"


def _bare(rest: str) -> str:
    return re.sub(r"^(?:--[a-z]+=\S+\s+)+", "", rest)


def _words(command: str) -> list[str]:
    if command.startswith("["):
        try:
            return [str(word) for word in json.loads(command)]
        except ValueError:
            return []
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
