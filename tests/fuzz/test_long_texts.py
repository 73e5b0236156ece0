"""What reads strangers' text takes time in proportion to it, and never long: nobody keeps a thread or a worker busy."""

import io
import json
from contextlib import suppress

import pytest

from accounts.user_agents import browser_name
from buildkit.ignore_file import IgnoreFile, fits
from buildkit.instructions import DockerfileError
from buildkit.stages import Dockerfile
from clouddev import cron_expressions
from core.errors import ApplicationError, Malformed
from core.json_duplicates import require_names_once
from deployments import fly_toml, ports
from deployments.archives import paths, tar_headers
from deployments.archives.errors import TooLarge
from deployments.archives.json_upload import MOST_BESIDE, read_posted
from fly import env_vars, names
from fly.clients.flyctl import error_messages
from fly.clients.flyctl.output_lines import LineSplitter, clean
from fly.clients.flyctl.progress import StepReader
from integrations import nango_ids
from tests.fuzz.pumping import LONG, processor_time

MOST_SECONDS = 1.0
PUMPS = [
    "://" + ":" * LONG,
    "://" * (LONG // 3),
    "://a:" * (LONG // 5),
    " " * LONG + "x",
    "\t" * LONG + "x",
    "\n" * LONG,
    "\r" * LONG + "x",
    "\\\n" * (LONG // 2),
    "\\ " * (LONG // 2),
    "\x1b[" * (LONG // 2),
    "\x1b[" + "0;" * (LONG // 2),
    "Bearer " * (LONG // 7),
    "fm2_" * (LONG // 4),
    'Error: process "' * (LONG // 16),
    "Error: smoke checks " * (LONG // 20),
    "Error: health checks " * (LONG // 21),
    "Error: builder " * (LONG // 15),
    "Error: dockerfile:1 " * (LONG // 20),
    "Error: (Request ID: " * (LONG // 20),
    'Error: "' * (LONG // 8),
    "Waiting for " * (LONG // 12),
    "#1 [1/2] RUN " + "--a=" * (LONG // 4),
    "#1 [1/2] RUN " + "--a=b " * (LONG // 6),
    '{"id":"image_ref"' + "[" * LONG,
    "#1 ERROR: " + 'process "' * (LONG // 9),
    "FROM a\n" * (LONG // 7),
    "FROM a AS a\nFROM a AS b\n" * (LONG // 24),
    "ENV a=$a\n" * (LONG // 9),
    "ENV a=$a$a\n" * (LONG // 11) + "EXPOSE $a",
    "ENV " + "a=b " * (LONG // 4),
    "ARG a=${a:-${a:-" * (LONG // 16),
    "EXPOSE " + "1 " * (LONG // 2),
    "EXPOSE " + "9" * LONG,
    "RUN <<a\n" * (LONG // 8),
    "FROM a\n" + "COPY --from=" * (LONG // 12),
    "RUN --a=b " + "--a " * (LONG // 4),
    "*" * LONG,
    "**/" * (LONG // 3),
    "*a" * (LONG // 2),
    "[a" * (LONG // 2),
    "![" * (LONG // 2),
    "RUN " + "<<a " * (LONG // 4),
    '"' * LONG,
    "'" * LONG,
    "a-" * (LONG // 2),
    "a" * LONG,
    "0" * LONG,
    "\u0345\u0301" * (LONG // 2),
    "1,1-2/3," * (LONG // 8),
]


def steps(text):
    reader = StepReader()
    for line in text.split("\n"):
        reader.feed(line)
    return reader.failure_after(1)


def a_dockerfile_that_takes(text):
    with suppress(DockerfileError):
        return Dockerfile("FROM b AS a\n" + text).takes(".env")


def a_splitter_fed_in_drops(text):
    splitter = LineSplitter(["a-secret-of-some-length"])
    data = text.encode("utf-8", "replace")
    for begin in range(0, len(data), 97):
        splitter.feed(data[begin : begin + 97])
    return splitter.finish()


READERS = {
    "a line": lambda text: clean(text.encode("utf-8", "replace"), ["a-secret-of-some-length"]),
    "lines in drops": a_splitter_fed_in_drops,
    "steps": steps,
    "an error": error_messages.message_of,
    "an error at a step": lambda text: error_messages.message_of(text, where="Step 1 of 2"),
    "an error of a vertex": lambda text: error_messages.message_of_vertex(text, where="Step 1 of 2", doing=text),
    "a Dockerfile": ports.choose,
    "a port that is asked for": lambda text: ports.choose("FROM a", wanted=text),
    "a Dockerfile that takes a file": a_dockerfile_that_takes,
    "an ignore file": lambda text: IgnoreFile(text[: LONG // 10]).keeps_out(".env"),
    "a pattern for a path": lambda text: fits(text[:1000], "a" * 1000),
    "a text for fly.toml": fly_toml.quoted,
    "variables": lambda text: env_vars.render_dotenv(env_vars.read({"A": text, text: "a"})),
    "a variable": lambda text: env_vars.render_dotenv({"A": text}),
    "an app's name": lambda text: names.is_same_label(text, "shop"),
    "a name for programs": lambda text: names.slug_of(text[: names.LONGEST_APP_NAME]),
    "a path": lambda text: paths.parts_of(text.encode("utf-8", "replace")),
    "a link": lambda text: paths.target_of(text.encode("utf-8", "replace"), "link"),
    "a pax header": lambda text: tar_headers.parse_pax(text.encode("utf-8", "replace")),
    "an integration's id": nango_ids.is_integration_id,
    "a connection's id": nango_ids.is_connection_id,
    "a browser's name": browser_name,
    "a cron expression": cron_expressions.parse,
    "a time zone": cron_expressions.parse_timezone,
}


@pytest.mark.parametrize("reader", READERS)
def test_no_text_takes_long_to_read(reader):
    for text in PUMPS:
        with processor_time(MOST_SECONDS), suppress(ApplicationError):  # refused, and that quickly
            READERS[reader](text)


@pytest.mark.parametrize("pump", [b"[", b'{"a":', b",", b'"",', b'"\\"":', b":", b'"a":0,'])
def test_no_body_takes_long_to_read(pump):
    body = b'{"b":' + pump * (MOST_BESIDE // 16 // len(pump))
    with processor_time(2 * MOST_SECONDS), pytest.raises(ApplicationError):
        read_posted([body], io.BytesIO(), most=1, too_large=TooLarge())


@pytest.mark.parametrize("pump", [b"[],", b'"",', b'{"a":0},', b"0,", b'"\\\\\\\\",'])
def test_the_largest_body_of_small_pieces_is_refused_quickly(pump):
    body = b'{"b":[' + pump * ((MOST_BESIDE - 20) // len(pump)) + b"0]}"
    with processor_time(MOST_SECONDS / 4), pytest.raises(TooLarge, match="beside the archive"):
        read_posted([body], io.BytesIO(), most=1, too_large=TooLarge())


@pytest.mark.parametrize("escape", [b"\\\\", b"\\n", b"\\u0041"])
def test_the_longest_text_of_escapes_is_read_quickly(escape):
    text = escape * ((MOST_BESIDE - 20) // len(escape))
    pieces = [b'{"b":"', *(text[at : at + 65_535] for at in range(0, len(text), 65_535)), b'"}']
    with processor_time(MOST_SECONDS / 4):
        given = read_posted(pieces, io.BytesIO(), most=1, too_large=TooLarge())
    assert given == json.loads(b"".join(pieces))


@pytest.mark.parametrize("pump", [b"[", b'{"a":'])
def test_a_body_that_is_nested_without_end_is_not_read_on(pump):
    body = pump * (MOST_BESIDE // len(pump))
    with processor_time(MOST_SECONDS / 10), pytest.raises(ApplicationError):
        read_posted([body], io.BytesIO(), most=1, too_large=TooLarge())


@pytest.mark.parametrize("pump", ['"', "\\", '\\"', ":", '":"', "{"])
def test_names_in_a_body_are_counted_quickly(pump):
    text = json.dumps(pump * (1_000_000 // len(pump)))
    with processor_time(MOST_SECONDS), pytest.raises(Malformed):
        require_names_once(f'{{"a":{text},"b":0,"b":1}}'.encode(), {"a": pump, "b": 1})


@pytest.mark.parametrize(
    "expression",
    [
        "0 0 30 2 *",
        "*/1 */1 31 2,4,6,9,11 *",
        "* * 30 2 *",
        "59 23 29 2 mon",
        "* 2 29 2 */7",
        ",".join(["1-59/2"] * 12) + " * * * *",
    ],
)
def test_no_cron_expression_takes_long_to_look_into(expression):
    with processor_time(MOST_SECONDS), suppress(cron_expressions.BadSchedule):
        cron_expressions.parse(expression)
