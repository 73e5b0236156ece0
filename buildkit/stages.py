"""The stages of a Dockerfile: which stands on which, what variables hold in it, and which ports it exposes."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from buildkit import instructions, words
from buildkit.ignore_file import fits
from buildkit.instructions import DockerfileError, Instruction

_KNOWN = frozenset(
    {
        "ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER",
        "ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
    }
)  # fmt: skip
# What BuildKit tells of the platform (https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope).
_PLATFORM = {
    "TARGETPLATFORM": "linux/amd64",
    "TARGETOS": "linux",
    "TARGETARCH": "amd64",
    "TARGETVARIANT": "",
    "BUILDPLATFORM": "linux/amd64",
    "BUILDOS": "linux",
    "BUILDARCH": "amd64",
    "BUILDVARIANT": "",
}
_LAST_PORT = 65535
_QUOTES = "\"'"
_WORDS_WITH_NAME = 3  # FROM image AS name


@dataclass(slots=True)
class Stage:
    """A FROM and what follows it. `base` is an image, or the name of the stage `parent`."""

    number: int
    name: str
    base: str
    parent: "Stage | None"
    begin: Instruction
    steps: list[Instruction] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Exposed:
    """A port or a range of them, as it is exposed; `port` is the first."""

    port: int
    text: str


class Dockerfile:
    """A whole Dockerfile. `stages` has at least one; the last is what the image is made of."""

    def __init__(self, text: str) -> None:
        """Read it. Raises DockerfileError as BuildKit would."""
        if not text.removeprefix("\ufeff"):
            raise DockerfileError("the Dockerfile cannot be empty")
        found = instructions.read(text)
        if not found:
            raise DockerfileError("file with no instructions")
        self._globals = dict(_PLATFORM)
        self._by_name: dict[str, Stage] = {}
        self.stages: list[Stage] = []
        for each in found:
            self._add(each)
        if not self.stages:
            raise DockerfileError("dockerfile contains no stages to build")

    @property
    def last(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    def stage(self, name: str) -> Stage | None:
        """The stage of this name or number."""
        if name.isascii() and name.isdigit() and len(name) <= len(str(len(self.stages))):
            return self.stages[int(name)] if int(name) < len(self.stages) else None
        return self._by_name.get(name.lower())

    def walk(self, stage: Stage) -> Iterator[tuple[Stage, Instruction, Mapping[str, str]]]:
        """Every instruction that the stage consists of, its parents' first, with the variables that hold there.

        The mapping is the same one all the time, and changes as the walk goes on.
        """
        variables: dict[str, str] = {}
        for each in self.lineage(stage):
            for step in each.steps:
                yield each, step, variables
                self._obey(step, variables)

    @staticmethod
    def lineage(stage: Stage) -> list[Stage]:
        """The stage and those that it stands on, the first of them first."""
        found: list[Stage] = []
        at: Stage | None = stage
        while at is not None:
            found.append(at)
            at = at.parent
        return found[::-1]

    def exposed(self) -> list[Exposed]:
        """What the image exposes for TCP: the last stage's ports as they stand there, then those it inherits."""
        by_stage: dict[int, list[Exposed]] = {}
        for stage, step, variables in self.walk(self.last):
            if step.word == "EXPOSE":
                by_stage.setdefault(stage.number, []).extend(_ports(step, variables))
        found = {each.text: each for number in sorted(by_stage, reverse=True) for each in by_stage[number]}
        return list(found.values())

    def environment(self) -> dict[str, str]:
        """What ENV sets in the image, as far as it can be known."""
        found: dict[str, str] = {}
        for _, step, variables in self.walk(self.last):
            if step.word == "ENV":
                found |= _assigned(step, variables)
        return found

    def reached(self) -> list[Stage]:
        """The stages that the image needs, in their order: BuildKit builds no others."""
        needed, left = {self.last.number}, [self.last]
        while left:
            stage = left.pop()
            for other in (stage.parent, *map(self.stage, _sources_of(stage))):
                if other is not None and other.number not in needed and other.number < stage.number:
                    needed.add(other.number)
                    left.append(other)
        return [stage for stage in self.stages if stage.number in needed]

    def takes(self, path: str) -> bool:
        """Whether anything that is built takes this path, relative to the context, from there."""
        for stage in self.reached():
            for step in stage.steps:
                if step.word in {"COPY", "ADD"} and not step.flag("from"):
                    if any(_takes(source, path) for source in step.arguments()[:-1]):
                        return True
                elif step.word == "RUN" and any(
                    flag.startswith("--mount=") and "from=" not in flag and "bind" in flag for flag in step.flags
                ):
                    return True
        return False

    def _add(self, step: Instruction) -> None:
        if step.word not in _KNOWN:
            raise DockerfileError(f"unknown instruction: {step.word[:80]}", line=step.line)
        if not step.rest:
            raise DockerfileError(f"{step.word} requires at least one argument", line=step.line)
        if step.word == "FROM":
            self._begin(step)
        elif self.stages:
            self.stages[-1].steps.append(step)
        elif step.word == "ARG":
            self._globals |= _assigned(step, self._globals)
        else:
            raise DockerfileError("no build stage in current context", line=step.line)

    def _begin(self, step: Instruction) -> None:
        parts = step.rest.split()
        named = len(parts) == _WORDS_WITH_NAME and parts[1].upper() == "AS"
        if len(parts) != 1 and not named:
            raise DockerfileError("FROM requires either one or three arguments", line=step.line)
        try:
            base = words.expand(parts[0], self._globals, escape=step.escape)
        except words.BadWord as error:
            raise DockerfileError(f"failed to process {parts[0][:80]}: {error}", line=step.line) from error
        if not base:
            raise DockerfileError(f"base name ({parts[0][:80]}) should not be blank", line=step.line)
        number = len(self.stages)
        name = parts[2].lower() if named else f"stage-{number}"
        stage = Stage(number, name, base, self._by_name.get(base.lower()), step)
        self.stages.append(stage)
        if named:
            self._by_name[name] = stage

    def _obey(self, step: Instruction, variables: dict[str, str]) -> None:
        """Take over what ENV and ARG say."""
        if step.word == "ENV":
            variables |= _assigned(step, variables)
        elif step.word == "ARG":
            given = _assigned(step, variables)
            for word in step.words():
                # Without a value it is the one that stands before the first FROM.
                if "=" not in word and word in self._globals:
                    given[word] = self._globals[word]
            variables |= given


def _sources_of(stage: Stage) -> Iterator[str]:
    """What the stage copies from or mounts: names or numbers of stages, or images."""
    for step in stage.steps:
        if name := step.flag("from"):
            yield name
        for flag in step.flags:
            if flag.startswith("--mount="):
                options = flag.removeprefix("--mount=").split(",")
                yield from (option.removeprefix("from=") for option in options if option.startswith("from="))


def _takes(source: str, path: str) -> bool:
    pattern = posixpath.normpath(f"/{source.strip(_QUOTES)}").lstrip("/")
    return not pattern or fits(pattern, path) or "$" in pattern


def _assigned(step: Instruction, variables: Mapping[str, str]) -> dict[str, str]:
    """The names that ENV or ARG gives values; what nobody can know is left out."""
    found: dict[str, str] = {}
    parts = step.words()
    if step.word == "ENV" and parts and "=" not in parts[0]:
        name, *values = step.rest.split(None, 1)
        parts = [f"{name}={''.join(values)}"]
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            continue
        try:
            found[words.expand(name, variables, escape=step.escape)] = words.expand(
                value, variables, escape=step.escape
            )
        except words.BadWord:
            continue
    return found


def _ports(step: Instruction, variables: Mapping[str, str]) -> Iterator[Exposed]:
    for part in step.rest.split():
        try:
            expanded = words.expand(part, variables, escape=step.escape)
        except words.BadWord:
            continue
        yield from filter(None, map(_port, expanded.split()))


def _port(word: str) -> Exposed | None:
    """One word of EXPOSE, such as 3000, 3000-3005/tcp or 80:3000; None for UDP, and for what is no port."""
    spec, slash, protocol = word.rpartition(":")[2].partition("/")
    if slash and protocol.lower() != "tcp":
        return None
    first, dash, last = spec.partition("-")
    numbers = [_number(first), _number(last if dash else first)]
    if 0 in numbers or numbers[0] > numbers[1]:
        return None
    return Exposed(numbers[0], str(numbers[0]) if numbers[0] == numbers[1] else f"{numbers[0]}-{numbers[1]}")


def _number(word: str) -> int:
    fits = word.isascii() and word.isdigit() and len(word) <= len(str(_LAST_PORT))
    return int(word) if fits and int(word) <= _LAST_PORT else 0
