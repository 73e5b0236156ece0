"""Reads flyctl's output: what is being done right now, why it failed, what was built. Pure.

The output is meant for people and changes with versions, so nothing here may depend on a line that must
come: what isn't recognized changes nothing, and no input raises.

Fly's own lines (internal/command/deploy, internal/build/imgsrc of flyctl) stand at the start of a line. Lines of
BuildKit begin with `#` and the number of a vertex; what the build itself prints comes after that number, and so can't
pass for anything else.
"""

import json
import re
from collections.abc import Callable

from fly.clients.flyctl import error_messages

_LONGEST_LINE = 4000
_LONGEST_IMAGE = 300
_MOST_VERTICES = 500
_LONGEST_DOING = 80
_LONGEST_TITLE = 200
_AFTERMATH = "context canceled"

_VERTEX = re.compile(r"#(\d{1,9}) (.*)")
_STAGE = re.compile(r"\[(?:([\w.-]+) +)?(\d{1,4})/(\d{1,4})\] (.+)")
_CLOSED = re.compile(r"(?:CACHED|DONE(?: [\d.]+s)?|CANCELED|ERROR: (.*))$")
_LAYER = re.compile(r"(?:sha256:\S+ .* / |extracting sha256:)")
_CLASSIC_STAGE = re.compile(r"Step (\d{1,4})/(\d{1,4}) : (.+)")
_MACHINE = re.compile(r"[^\w\[]{0,10}\[(\d{1,4})/(\d{1,4})\] ")
_HEALTHY = re.compile(r"(?>.*?Waiting for ).* to become healthy: (\d{1,4})/(\d{1,4})")
_IMAGE = re.compile(r"image: (\S+)$")
_ERROR = re.compile(r"Error: (.+)")
# BuildKit names what ADD fetches by its address.
_FETCHED = ("http://", "https://", "git://", "ssh://", "git@")
_FLAGS = re.compile(r"\A(?:--[a-z]+=\S+ +)+")
_SHELL = re.compile(r"/bin/(?:ba|a)?sh -e?c ")

# First that is found, in this order.
_STEPS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), step)
    for pattern, step in (
        (r"\A(?:==> Verifying app config|Validating )", "Checking the configuration…"),
        (r"\A(?:==> )?Waiting for .*builder", "Waiting for the builder…"),
        (r"\A(?:-->\s*)?Remote builder .* ready", "Waiting for the builder…"),
        (r"\A==> Creating build context", "Uploading the source…"),
        (r"\A(?:==> )?Building image", "Preparing the build…"),
        (r"\A==> Pushing image|pushing layers", "Pushing the image…"),
        (r"\Aimage size: ", "The image is ready."),
        (r"\A(?:==> )?Provisioning ips", "Allocating an address…"),
        (r"release_command", "Running the release command…"),
        (r"[Cc]hecking health|[Ww]aiting for health checks|[Rr]unning smoke checks", "Checking health…"),
        (r"launching a new machine|Updating existing machines", "Updating machines…"),
        (r"Checking DNS configuration", "Checking the address…"),
    )
)


class StepReader:
    """Fed with clean lines, it knows what is being done.

    `step` is a sentence for people, "" before anything was recognized; `image` the reference of what was built,
    or ""; `failure` a sentence that says why it failed, as far as was printed yet, or ""; `error` what flyctl itself
    said of it last, for operators.
    """

    def __init__(self) -> None:
        self.step = ""
        self.image = ""
        self._open: dict[str, str] = {}
        self._stages: dict[str, tuple[str, str]] = {}
        self._vertex_failure = ""
        self.error = ""

    @property
    def failure(self) -> str:
        """Why it failed: the step of the Dockerfile where it was that, else what flyctl itself said."""
        return self._vertex_failure or error_messages.message_of(self.error)

    def failure_after(self, exit_code: int) -> str:
        """Why a run with this exit code failed; never ""."""
        return self.failure or error_messages.message_of_exit(exit_code)

    def feed(self, line: str) -> str:
        """Read one line; gives the step when the line changed it, else ""."""
        before = self.step
        self._read(line[:_LONGEST_LINE].rstrip())
        return self.step if self.step != before else ""

    def _read(self, line: str) -> None:
        vertex = _VERTEX.match(line)
        if vertex is not None:
            self._read_vertex(vertex[1], vertex[2])
        elif line and not any(read(line) for read in self._readers()):
            self._read_table(line)

    def _readers(self) -> tuple[Callable[[str], bool], ...]:
        return (self._read_error, self._read_image, self._read_release, self._read_counts)

    def _read_vertex(self, number: str, text: str) -> None:
        closed = _CLOSED.match(text)
        if closed is not None:
            self._close(number, closed[1])
        elif stage := _STAGE.match(text):
            name, step, count, doing = stage.groups()
            self._note(number, f"Step {step} of {count}", _shortened(doing))
            self._begin(number, _building(step, count, doing, name or ""))
        elif text.startswith("[internal] "):
            self._note(number, "", text)
            self._begin(number, "Preparing the build…")
        elif text.startswith(_FETCHED):
            self._note(number, "", text)
        elif text.startswith(("exporting ", "pushing layers")):
            self._begin(number, "Pushing the image…")
        elif _LAYER.match(text) and "FROM " in self._open.get(number, ""):
            self.step = "Downloading layers…"

    def _begin(self, number: str, step: str) -> None:
        if number not in self._open and len(self._open) < _MOST_VERTICES:
            self._open[number] = step
        self._show_open(step)

    def _close(self, number: str, error: str | None) -> None:
        self._open.pop(number, None)
        self._show_open(self.step)
        # The first one counts: what is given up because of it ends with an error, too.
        if error is not None and not (self._vertex_failure or error.endswith(_AFTERMATH)):
            where, doing = self._stages.get(number, ("", ""))
            self._vertex_failure = error_messages.message_of_vertex(error, where=where, doing=doing)

    def _note(self, number: str, where: str, doing: str) -> None:
        """Remember what a vertex does, for the case that it fails; it is named again while it goes on."""
        if number not in self._stages and len(self._stages) >= _MOST_VERTICES:
            del self._stages[next(iter(self._stages))]
        self._stages[number] = (where, doing[:_LONGEST_TITLE])

    def _show_open(self, otherwise: str) -> None:
        # The one begun last; BuildKit names a vertex again whenever it goes on with its output.
        self.step = next(reversed(self._open.values()), otherwise)

    def _read_error(self, line: str) -> bool:
        error = _ERROR.match(line)
        if error is not None:
            self.error = error[1]
        return error is not None

    def _read_image(self, line: str) -> bool:
        image = _IMAGE.match(line)
        if image is None:
            return False
        self._keep_image(image[1])
        self._finish_building("The image is ready.")
        return True

    def _read_release(self, line: str) -> bool:
        """The one line of JSON that flyctl prints with FLY_EMIT_RELEASE_JSON."""
        if not (line.startswith('{"id":') and '"image_ref"' in line):
            return False
        try:
            image = json.loads(line)["image_ref"]
        except (ValueError, LookupError, RecursionError, TypeError):
            return False
        if isinstance(image, str):
            self._keep_image(image)
        self._finish_building("Released.")
        return True

    def _read_counts(self, line: str) -> bool:
        if stage := _CLASSIC_STAGE.match(line):
            self.step = _building(stage[1], stage[2], stage[3], "")
        elif healthy := _HEALTHY.match(line):
            self.step = f"Checking health ({healthy[1]} of {healthy[2]})…"
        elif line.startswith("✔"):
            return True  # the end of something; what comes next says so itself
        elif machine := _MACHINE.match(line):
            checking = "heal" in line or "check" in line
            doing = "Checking health" if checking else "Updating machines"
            self._finish_building(f"{doing} ({machine[1]} of {machine[2]})…")
        else:
            return False
        return True

    def _read_table(self, line: str) -> None:
        for pattern, step in _STEPS:
            if pattern.search(line.lstrip()):
                self.step = step
                return

    def _keep_image(self, image: str) -> None:
        if len(image) <= _LONGEST_IMAGE:
            self.image = image

    def _finish_building(self, step: str) -> None:
        self._open.clear()
        self.step = step


def _building(step: str, count: str, doing: str, stage: str) -> str:
    within = f" ({_shortened(stage, 40)})" if stage and not stage.startswith("stage-") else ""
    return f"Building step {step} of {count}{within}: {_shortened(doing)}…"


def _shortened(doing: str, longest: int = _LONGEST_DOING) -> str:
    """Give the instruction without what says nothing to its author: `RUN`, its flags, digests."""
    doing = doing.strip()
    if doing.startswith("RUN "):
        doing = _SHELL.sub("", _FLAGS.sub("", doing.removeprefix("RUN ").lstrip()), count=1)
    doing = re.sub(r"@sha256:[0-9a-f]+", "", " ".join(doing.split())).rstrip(" .…")
    return doing if len(doing) <= longest else doing[:longest].rstrip(" .")
