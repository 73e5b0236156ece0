"""What flyctl prints becomes one sentence for the step, and one for the failure."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.models.builds import LONGEST_SENTENCE
from fly.clients.flyctl.error_messages import LONGEST_FAILURE, is_for_operators, message_of, message_of_exit
from fly.clients.flyctl.output_lines import LONGEST_LINE, LineSplitter, clean, parts_of_token, redacted
from fly.clients.flyctl.progress import StepReader

_SUCCESS = """\
==> Verifying app config
Validating /job/fly.toml
--> Verified app config
Waiting for remote builder fly-builder-x...
==> Creating build context
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#6 [build 1/4] FROM docker.io/library/node:20@sha256:194b23bd4ffb132c9a190cac099e31e17ef534cbdad6eeabbc022ed3146220ad
#6 sha256:194b23bd 0B / 29.13MB 0.1s
#6 DONE 0.4s
#9 [build 4/4] RUN npm ci
#9 0.242 added 57 packages in 1s
#9 DONE 3.1s
#12 exporting to image
#12 pushing layers
#12 DONE 0.0s
==> Pushing image to fly
image: registry.fly.io/crayon-a:build-0
image size: 57 MB
No machines in group app, launching a new machine
> [1/1] Waiting for f956 [app] to have state: started
> [1/1] Checking health of machine f956
Waiting for f956 to become healthy: 1/1
✔ [1/1] Machine f956 [app] update succeeded
Checking DNS configuration for crayon-a.fly.dev
{"id":"rel_1","version":2,"image_ref":"registry.fly.io/crayon-a:build-0@sha256:0a"}
"""


def _read(text: str) -> StepReader:
    reader = StepReader()
    for line in text.splitlines():
        reader.feed(line)
    return reader


def test_a_deployment_is_told_step_by_step() -> None:
    reader = StepReader()
    told = [step for line in _SUCCESS.splitlines() if (step := reader.feed(line))]
    assert told == [
        "Checking the configuration…",
        "Waiting for the builder…",
        "Uploading the source…",
        "Preparing the build…",
        "Building step 1 of 4 (build): FROM docker.io/library/node:20…",
        "Downloading layers…",
        "Building step 4 of 4 (build): npm ci…",
        "Pushing the image…",
        "The image is ready.",
        "Updating machines…",
        "Updating machines (1 of 1)…",
        "Checking health (1 of 1)…",
        "Checking the address…",
        "Released.",
    ]
    assert reader.image == "registry.fly.io/crayon-a:build-0@sha256:0a"
    assert reader.failure == ""


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("Waiting for depot builder...", "Waiting for the builder…"),
        ("Remote builder fly-builder-x ready", "Waiting for the builder…"),
        ("#5 [2/7] RUN --mount=type=cache,target=/root/.npm npm ci", "Building step 2 of 7: npm ci…"),
        ("#5 [2/7] RUN /bin/sh -c npm ci", "Building step 2 of 7: npm ci…"),
        ("#5 [stage-1 2/7] COPY . .", "Building step 2 of 7: COPY…"),
        ("#5 [2/7] RUN " + "x" * 300, f"Building step 2 of 7: {'x' * 80}…"),
        ("Step 3/9 : RUN make", "Building step 3 of 9: make…"),
        ("Provisioning ips for crayon-a", "Allocating an address…"),
        ("Running crayon-a release_command: migrate", "Running the release command…"),
        ("Updating existing machines in 'a' with rolling strategy", "Updating machines…"),
        ("  [2/3] Updating 9185 [app]", "Updating machines (2 of 3)…"),
        ("Waiting for 9185 to become healthy: 0/2", "Checking health (0 of 2)…"),
        ("Something new that nobody knows", ""),
        ("", ""),
    ],
)
def test_each_kind_of_line_has_its_step(line: str, step: str) -> None:
    assert StepReader().feed(line) == step


def test_the_step_begun_last_is_shown_until_it_ends() -> None:
    reader = _read("#7 [a 1/2] RUN slow\n#8 [b 1/2] RUN fast\n#7 0.1 output")
    assert "fast" in reader.step
    reader.feed("#8 DONE 0.1s")
    assert "slow" in reader.step
    reader.feed("#7 CACHED")
    assert "slow" in reader.step


@pytest.mark.parametrize(
    "line",
    [
        "#7 0.1 Error: no such module",
        "#7 0.1 image: registry.fly.io/evil:latest",
        '#7 0.1 {"id":"x","image_ref":"registry.fly.io/evil:latest"}',
        "#7 0.1 ERROR: looks like one",
        "#7 0.1 Running release_command",
    ],
)
def test_what_the_build_prints_is_not_taken_for_flyctls_words(line: str) -> None:
    reader = _read(f"#7 [1/2] RUN x\n{line}")
    assert (reader.step, reader.image, reader.failure) == ("Building step 1 of 2: x…", "", "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "#8 [3/4] RUN npm run build\n#8 ERROR: "
            + (_EXITED := 'process "/bin/sh -c npm run build" did not complete successfully: exit code: 1')
            + f"\nError: failed to fetch an image or build from source: error building: failed to solve: {_EXITED}",
            "Step 3 of 4 failed: `npm run build` ended with exit code 1.",
        ),
        (
            '#8 [3/4] RUN make\n#8 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 137',
            "Step 3 of 4 failed: `make` ended with exit code 137. It may have run out of memory.",
        ),
        (
            '#8 [2/4] COPY x .\n#8 ERROR: failed to calculate checksum of ref a::b: "/x": not found',
            "Step 2 of 4 failed: /x isn't in the archive, or an ignore file keeps it out.",
        ),
        (
            "Error: error building: failed to solve: dockerfile parse error on line 3: unknown instruction: FOO",
            "The Dockerfile can't be read, line 3: unknown instruction: FOO",
        ),
        (
            "Error: failed to update machines: machine ID 9 lease currently held by a@b, expires at x",
            "Another change of the app is under way. Push again.",
        ),
        (
            "Error: smoke checks for 9185 failed: the app appears to be crashing",
            "The app stops right after its start. Its logs say why.",
        ),
        (
            "Error: timeout reached waiting for health checks to pass for machine 9185",
            "The app didn't pass its health checks in time. Its logs may say why.",
        ),
        (
            "Error: aborted: could not reserve resource for machine: insufficient memory available",
            "Fly has no room for the app in its region right now. Push again in a few minutes.",
        ),
        (
            'Error: organization "x" is using 9 MB of memory in ams which is over the allowed quota',
            "Fly refuses more: the quota of the organization is used up. Tell this server's operator.",
        ),
        (
            "Error: Authenticate: token validation error (Request ID: 01ABC-ams) (Trace ID: 9f)",
            "Fly did not accept this server's token for the app. Push again; tell the operator if it stays so.",
        ),
        (
            "Error: release_command failed running on machine 9185 with exit code 1.",
            "The release command failed. Its log says why.",
        ),
        (
            "#8 [1/2] RUN x\n#8 ERROR: error building: something odd (Request ID: 01-a)",
            "Step 1 of 2 failed: something odd",
        ),
    ],
)
def test_each_failure_becomes_a_sentence(text: str, sentence: str) -> None:
    assert _read(text).failure == sentence


BUILDING = "Error: failed to fetch an image or build from source: error building: failed to solve: "
SIGN_IN = (
    "The base image {} can't be had: its registry lets only those who sign in have it. "
    "Check its name in FROM, or use an image that anybody may pull."
)
OTHERS = "is given only to those who sign in there. Put it into the archive, or use one that anybody may read."
NO_IMAGE = "There is no image {}. Check its name and its tag in FROM, and that --from names a stage that is there."
EMPTY = "The Dockerfile is empty: write at least a FROM into it, and push again."
OPERATOR = (
    "Fly doesn't let this server run more at the moment. Tell its operator, who finds the reason in the server's log."
)
TROUBLE = "Fly has trouble of its own right now. Push again in a few minutes; https://status.flyio.net may say more."
BUILDER = "Fly's builder can't be reached right now. Push again in a few minutes."
LOADING = "#2 [internal] load metadata for "


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            (
                f"{LOADING}ghcr.io/acme/base:1\n#2 ERROR: failed to authorize: failed to fetch anonymous token: "
                f"unexpected status from GET request to https://ghcr.io/token: 401 Unauthorized\n"
                f"{BUILDING}ghcr.io/acme/base:1: failed to authorize: 401 Unauthorized"
            ),
            SIGN_IN.format("ghcr.io/acme/base:1"),
        ),
        (
            (
                f"{LOADING}docker.io/acme/app:1\n#2 ERROR: pull access denied, repository does not exist or may "
                "require authorization: server message: insufficient_scope: authorization failed"
            ),
            SIGN_IN.format("docker.io/acme/app:1"),
        ),
        (
            f"{LOADING}docker.io/library/nod:20\n#2 ERROR: docker.io/library/nod:20: not found",
            NO_IMAGE.format("docker.io/library/nod:20"),
        ),
        (
            (
                f"{BUILDING}builder: failed to resolve source metadata for docker.io/library/builder:latest: "
                "docker.io/library/builder:latest: not found"
            ),
            NO_IMAGE.format("docker.io/library/builder:latest"),
        ),
        (
            f'{LOADING}ghcr.io/a/b:1\n#2 ERROR: failed to do request: Head "https://a/v2/": dial tcp: i/o timeout',
            "The registry of the base image ghcr.io/a/b:1 can't be reached. Push again in a few minutes.",
        ),
        (
            f"{LOADING}docker.io/library/node:20\n#2 ERROR: toomanyrequests: You have reached your pull rate limit",
            "A registry or Fly limits how often it may be asked. Push again in a few minutes.",
        ),
        (
            "#4 [2/3] ADD https://example.com/a.tgz /x\n#4 ERROR: invalid response status 401",
            f"Step 2 of 3 failed: what ADD names {OTHERS}",
        ),
        (
            f"#4 https://example.com/a\n#4 ERROR: invalid response status 403\n{BUILDING}invalid response status 403",
            f"The build failed: what ADD names {OTHERS}",
        ),
        (
            (
                "#4 git@example.com:a/b.git\n#4 ERROR: failed to fetch remote git@example.com:a/b.git: git stderr: "
                "git@example.com: Permission denied (publickey).: exit status 128"
            ),
            f"The build failed: what ADD names {OTHERS}",
        ),
        (
            "#4 [2/3] ADD https://example.com/a.tgz /x\n#4 ERROR: invalid response status 404",
            "Step 2 of 3 failed: what ADD names can't be fetched (invalid response status 404).",
        ),
        (
            (
                "#9 [runner 3/4] COPY --from=builder /app/out ./\n#9 ERROR: failed to calculate checksum of ref: "
                f'"/app/out": not found\n#8 ERROR: context canceled\n{BUILDING}"/app/out": not found'
            ),
            "Step 3 of 4 failed: there is no /app/out in builder, which it is copied from. Check the steps there.",
        ),
        (
            f'{BUILDING}failed to compute cache key: failed to calculate checksum of ref a: "/app/out": not found',
            "The build failed: /app/out isn't in the archive, or not in the stage that it is copied from.",
        ),
        (
            (
                '#9 [builder 3/4] RUN make\n#9 ERROR: process "/bin/sh -c make" '
                "did not complete successfully: exit code: 2"
            ),
            "Step 3 of 4 failed: `make` ended with exit code 2.",
        ),
        (
            "#9 [builder 3/4] WORKDIR /x\n#9 ERROR: builder step failed: deadline of something",
            "Step 3 of 4 failed: builder step failed: deadline of something",
        ),
        (f"{BUILDING}the Dockerfile cannot be empty", EMPTY),
        (f"{BUILDING}dockerfile parse error on line 1: file with no instructions", EMPTY),
        (f"{BUILDING}dockerfile contains no stages to build", EMPTY),
        (
            f"#9 exporting to image\n#9 ERROR: failed to push registry.fly.io/a:b: 401 Unauthorized\n{BUILDING}no",
            "Fly's registry did not take the image. Push again; tell this server's operator if it stays so.",
        ),
        (
            f"{BUILDING}rpc error: code = Unavailable desc = closing transport due to: connection error",
            "Fly's builder went away during the build. Push again in a few minutes.",
        ),
        ("Error: failed to create machine: We need your payment information to continue! Add a credit card", OPERATOR),
        ("Error: Your organization has an overdue invoice", OPERATOR),
        ("Error: Your trial has ended, please add a payment method", OPERATOR),
        ("Error: organization acme has been suspended", OPERATOR),
        ("Error: failed to get app: 502 Bad Gateway (Request ID: 01-a)", TROUBLE),
        ("Error: failed to create release: context deadline exceeded", TROUBLE),
        ("Error: failed to fetch an image or build from source: could not find remote builder", BUILDER),
        (
            "Error: failed to fetch an image or build from source: docker: remote builder a timed out",
            BUILDER,
        ),
    ],
)
def test_a_sentence_blames_the_right_party(text: str, sentence: str) -> None:
    assert _read(text).failure == sentence


def test_what_only_an_operator_can_mend_is_told_apart() -> None:
    assert is_for_operators(OPERATOR)
    assert is_for_operators(message_of("machine 9 is odd"))
    assert not is_for_operators(EMPTY)


def test_what_fly_says_and_nobody_knows_stays_in_the_log() -> None:
    failure = _read("Error: failed to update machines: internal host 10.0.0.7 is odd (Request ID: 01-a)").failure
    assert failure == "Fly refused the deployment. The build's log says why."


def test_a_vertex_that_failed_says_more_than_the_last_line() -> None:
    reader = _read('#8 [1/2] RUN a\n#8 ERROR: process "a" did not complete successfully: exit code: 2\nError: other')
    assert reader.failure == "Step 1 of 2 failed: `a` ended with exit code 2."


def test_a_failure_without_words_is_told_by_its_code() -> None:
    assert StepReader().failure_after(127) == message_of_exit(127) == "The deployment was interrupted. Push again."
    assert StepReader().failure_after(99) == "The deployment failed; the build log says more."


_PIECES = st.sampled_from(
    [
        "#1 ", "#99999999999 ", "[internal] ", "[a 1/2] ", "[1/2] ", "RUN ", "ERROR: ", "DONE ", "CANCELED", "Error: ",
        "image: ", '{"id":', '"image_ref"', ":1}", "exit code: ", 'process "', "sha256:", "Step 1/2 : ",
        "release_command", "--mount=a ", "/bin/sh -c ", "…", "\x00", "line 3: ", '": not found',
        "dockerfile parse error on ",
    ]
)  # fmt: skip


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.lists(_PIECES | st.text(max_size=12), max_size=10).map("".join), max_size=12))
def test_nothing_that_is_printed_can_break_the_reader(lines: list[str]) -> None:
    reader = StepReader()
    for line in lines:
        reader.feed(line)
        assert len(reader.step) <= LONGEST_SENTENCE
        assert len(reader.failure) <= LONGEST_FAILURE
        assert reader.failure_after(1)


def test_a_build_of_very_many_steps_is_forgotten_in_part() -> None:
    reader = StepReader()
    for number in range(5000):
        reader.feed(f"#{number} [1/2] RUN a")
    assert len(reader._open) <= 500
    assert len(reader._stages) <= 500


@pytest.mark.parametrize(
    "line", ['{"id":' + "[" * 5000 + '"image_ref"', '{"id":1,"image_ref":5}', '{"id":[],"image_ref"']
)
def test_a_release_that_makes_no_sense_is_no_release(line: str) -> None:
    assert _read(line).image == ""


def test_an_error_of_nothing_is_no_failure() -> None:
    assert message_of("   ") == ""


@pytest.mark.parametrize(
    "secret",
    ["fm2_lJPECAAA+/=_x", "fm1r_abc", "fm1a_abc,fm2_def", "FlyV1 fm2_a,fm2_b", "Bearer abc.def", "bearer abc"],
)
def test_tokens_are_redacted_wherever_they_stand(secret: str) -> None:
    assert redacted(f"before {secret} after") == "before [redacted] after"
    assert redacted(f'"{secret}"') == '"[redacted]"'


@pytest.mark.parametrize("user", ["user:password", ":password", "user:pass@word", "user:pass:word"])
def test_passwords_in_addresses_are_redacted(user: str) -> None:
    assert redacted(f"to https://{user}@host:443/path@2 now") == "to https://[redacted]@host:443/path@2 now"


def test_an_address_without_a_password_is_left_as_it_is() -> None:
    assert redacted("https://host:443/a:b@c and git@host:a") == "https://host:443/a:b@c and git@host:a"


def test_the_own_token_is_redacted_in_whole_and_in_parts() -> None:
    secrets = parts_of_token("FlyV1 opaque-one,opaque-two")
    assert redacted("a FlyV1 opaque-one,opaque-two b opaque-two", secrets) == "a [redacted] b [redacted]"


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"\x1b[1;32mok\x1b[0m", "ok"),
        (b"\x1b]8;;https://example.com\x07link\x1b]8;;\x07", "link"),
        (b"\x1b]0;title\x1b\\text", "text"),
        (b"a\x00b\x08c", "abc"),
        (b"tab\tstop", "tab stop"),
        ("\u202etxt.exe".encode(), "txt.exe"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"fm2\x1b[0m_secret", "[redacted]"),
    ],
)
def test_control_codes_are_taken_out(raw: bytes, line: str) -> None:
    assert clean(raw) == line


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"\r", b"\r\n", b"\x1b["]), max_size=30))
def test_lines_are_the_same_however_the_bytes_arrive(pieces: list[bytes]) -> None:
    apart, together = LineSplitter(), LineSplitter()
    heard = [line for piece in pieces for line in apart.feed(piece)] + apart.finish()
    assert heard == together.feed(b"".join(pieces)) + together.finish()
    assert all("\x1b" not in line and "\r" not in line for line in heard)


def test_a_line_without_end_takes_no_memory() -> None:
    splitter = LineSplitter()
    for _ in range(2000):
        assert splitter.feed(b"x" * 16_384) == []
    assert len(splitter._rest) <= 16_384
    assert splitter.feed(b"\n") == ["x" * (LONGEST_LINE - 1) + "…"]
