"""Sentences for people, made of what flyctl and BuildKit say when they fail. Pure; no input raises.

A build may print what it likes here. So an error is cut before it is looked at, and where a pattern has two parts with
anything between them, the first part is looked for once only: `(?>.*?…)` never gives back what it took.

Who is to blame decides where a sentence comes from: what BuildKit couldn't solve is about the Dockerfile, the archive
or a registry, whatever words are in it; the rest is about Fly or the app that runs there.
"""

import re

LONGEST_FAILURE = 400
LEASE_HELD = "Another change of the app is under way. Push again."
_LONGEST_ERROR = 4000
_OUT_OF_MEMORY = 137
_EXIT = re.compile(r'(?>.*?process ")(.*)" did not complete successfully: (?:exit code: (\d{1,9})|(.*))')
_NOT_FOUND = re.compile(r'"([^"]+)": not found')
_DOCKERFILE = re.compile(r"(?>.*?(?:[Dd]ockerfile parse error|dockerfile:\d)).*?line (\d++): (.*)")
_WRAPPING = re.compile(
    r"(?:failed to fetch an image or build from source|error building|failed to solve|failed to update machines"
    r"|error (?:updating|creating) machine \S+|rpc error: code = \w+ desc =|failed to build LLB)\s*:\s*"
)
_REQUEST_ID = re.compile(r"\((?:Request|Trace) ID: [^()]*\)", re.IGNORECASE)
_SHELL = re.compile(r"^/bin/(?:ba|a)?sh -e?c ")
_OF_BUILDKIT = re.compile(r"failed to solve|failed to build LLB|dockerfile parse error", re.IGNORECASE)
# What was being done when it failed: an instruction, or what BuildKit calls its own work.
_FROM_STAGE = re.compile(r"\A(?:COPY|ADD) (?:--\S+ +)*?--from=(\S+)")
_BASE_IMAGE = re.compile(r"(?>\A\[internal\] load metadata for )(\S+)|\AFROM (?:--\S+ +)*(\S+)")
_FETCHED = re.compile(r"\AADD (?:--\S+ +)*(?:\S+://|git@)|\A(?:https?|git|ssh)://|\Agit@")
_RESOLVED = re.compile(r"failed to resolve source metadata for (\S+):")
_NOT_LET_IN = re.compile(
    r"failed to authorize|failed to fetch (?:anonymous|oauth) token|authorization failed|pull access denied"
    r"|insufficient_scope|authentication required|could not read Username|Permission denied \(publickey|denied: "
    r"|\b40[13]\b|unauthorized|forbidden",
    re.IGNORECASE,
)

_EMPTY = re.compile(r"dockerfile cannot be empty|file with no instructions|contains no stages to build", re.IGNORECASE)
_EMPTY_SENTENCE = "The Dockerfile is empty: write at least a FROM into it, and push again."

# First that is found, in this order.
_SAID_BY_BUILDKIT = (
    (
        r"failed to read dockerfile|\A(?>.*?no such file).*dockerfile",
        "The Dockerfile can't be found in the archive.",
    ),
    (
        r"toomanyrequests|rate limit|too many requests",
        "A registry or Fly limits how often it may be asked. Push again in a few minutes.",
    ),
    (r"no space left on device", "The builder's disk is full. Make the image smaller, or push again later."),
    (
        (
            r"code = (?:Unavailable|DeadlineExceeded)|transport is closing|closed network connection"
            r"|error reading from server|no active session"
        ),
        "Fly's builder went away during the build. Push again in a few minutes.",
    ),
    (
        r"failed to push|registry\.fly\.io",
        "Fly's registry did not take the image. Push again; tell this server's operator if it stays so.",
    ),
)
_SAID_OF_IMAGES = (
    (
        r"manifest unknown|: not found|does not exist|name unknown|invalid reference format",
        "There is no image {image}. Check its name and its tag in FROM, and that --from names a stage that is there.",
    ),
    (
        r"no match for platform|no matching manifest",
        "The base image {image} isn't made for linux/amd64, which Fly runs. Choose another one in FROM.",
    ),
    (
        r"timeout|timed out|deadline exceeded|no such host|connection (?:refused|reset)|\b50[0234]\b|\beof\b",
        "The registry of the base image {image} can't be reached. Push again in a few minutes.",
    ),
)
_NOT_LET_IN_SENTENCE = (
    "The base image {image} can't be had: its registry lets only those who sign in have it. "
    "Check its name in FROM, or use an image that anybody may pull."
)
_OTHER_IMAGE = "A base image of the Dockerfile can't be had. Check its name in FROM."
_TELL_THE_OPERATOR = (
    "Fly doesn't let this server run more at the moment. Tell its operator, who finds the reason in the server's log."
)
_SAID_BY_FLY = (
    (r"flyctl can't be started", "flyctl can't be started on this server's worker. Tell its operator."),
    (
        (
            r"payment|credit card|buy credit|billing|invoice|past due|overdue|trial (?:has |is )?(?:ended|over|expired)"
            r"|high.risk|verify your account|(?:account|organization) .{0,80}(?:suspended|locked|disabled)"
        ),
        _TELL_THE_OPERATOR,
    ),
    (
        r"listening on|not listening on the expected address",
        "The app doesn't listen where Fly looks for it: have it listen on 0.0.0.0 and the port in PORT.",
    ),
    (
        r"\A(?>.*?smoke checks ).*failed|appears to be crashing",
        "The app stops right after its start. Its logs say why.",
    ),
    (
        r"\A(?>.*?health checks? ).*(?:pass|healthy)|to become healthy|unhealthy",
        "The app didn't pass its health checks in time. Its logs may say why.",
    ),
    (r"\A(?>.*?release_command).* (?:failed|exit)", "The release command failed. Its log says why."),
    (
        r"over the allowed quota|quota exceeded|reached (?:its|your|the) .{0,40}limit|limit .{0,40}(?:reach|exceed)ed",
        "Fly refuses more: the quota of the organization is used up. Tell this server's operator.",
    ),
    (
        r"insufficient (?:capacity|memory|resources)|could not reserve resource|no capacity",
        "Fly has no room for the app in its region right now. Push again in a few minutes.",
    ),
    (r"lease currently held|failed to acquire lease", LEASE_HELD),
    (
        r"token validation error|unauthorized|not authorized|could not find app",
        "Fly did not accept this server's token for the app. Push again; tell the operator if it stays so.",
    ),
    (
        (
            r"\A(?>.*?\b(?:remote|depot|fly)[ -]builder).*(?:unavailable|failed|timed? ?out|deadline|not )"
            r"|failed to (?:start|fetch|create|connect to) (?:an? |the )?(?:(?:remote|depot|fly) )?builder"
            r"|error (?:connecting to|releasing|starting|creating) .{0,20}builder|(?:no|find) .{0,20}builder"
        ),
        "Fly's builder can't be reached right now. Push again in a few minutes.",
    ),
    (
        r"toomanyrequests|rate limit|too many requests",
        "A registry or Fly limits how often it may be asked. Push again in a few minutes.",
    ),
    (
        (
            r"internal server error|bad gateway|service unavailable|gateway time-?out|server returned a non-200"
            r"|\b50[0234]\b|connection (?:refused|reset)|no such host|tls handshake|i/o timeout|unexpected eof"
            r"|deadline exceeded"
        ),
        "Fly has trouble of its own right now. Push again in a few minutes; https://status.flyio.net may say more.",
    ),
)
_BUILDS, _IMAGES, _OF_FLY = (
    tuple((re.compile(pattern, re.IGNORECASE), sentence) for pattern, sentence in table)
    for table in (_SAID_BY_BUILDKIT, _SAID_OF_IMAGES, _SAID_BY_FLY)
)
_EXITS = {
    3: "flyctl broke down. Push again; tell the operator if it happens again.",
    126: "Fly did not finish in time. Push again.",
    127: "The deployment was interrupted. Push again.",
    130: "The deployment was interrupted. Push again.",
    137: "The deployment was ended before it was done. Push again.",
}
_REFUSED = "Fly refused the deployment. The build's log says why."
_OTHER_EXIT = "The deployment failed; the build log says more."
# What only an operator can do something about.
_FOR_OPERATORS = frozenset({_REFUSED, *(sentence for _, sentence in (*_BUILDS, *_OF_FLY) if "operator" in sentence)})


def is_for_operators(sentence: str) -> bool:
    """Whether the operator should read what Fly said, of which this sentence tells the person little."""
    return sentence in _FOR_OPERATORS


def message_of_vertex(error: str, *, where: str, doing: str) -> str:
    """Give a sentence for the error of one step of a build.

    `where` is "Step 3 of 7" or "" for BuildKit's own work, `doing` the instruction or the work, shortened, or "".
    """
    text = _cleaned(error)
    ended = _EXIT.match(text)
    if ended is None:
        return _of_build(text, where, doing)
    code = ended[2] or ""
    command = (where and doing) or _SHELL.sub("", ended[1])
    how = f"ended with exit code {code}" if code else f"failed ({ended[3] or 'no reason given'})"
    memory = " It may have run out of memory." if code == str(_OUT_OF_MEMORY) else ""
    return _fit(f"{where or 'A step'} failed: `{_fit(command, 120)}` {how}.{memory}")


def message_of(error: str, *, where: str = "") -> str:
    """Give a sentence for the text of an error; "" for none."""
    text = _cleaned(error)
    if not text:
        return ""
    if _EXIT.match(text):
        return message_of_vertex(text, where=where, doing="")
    if where or _OF_BUILDKIT.search(text) or _NOT_FOUND.search(text):
        return _of_build(text, where, "")
    # What Fly says of itself is for the build's log and the operator, where nobody knows what it means.
    return _first(_OF_FLY, text) or _REFUSED


def message_of_exit(code: int) -> str:
    """Give a sentence for an exit code of which nothing else is known (internal/cli/cli.go of flyctl)."""
    return _EXITS.get(code, _OTHER_EXIT)


def _of_build(text: str, where: str, doing: str) -> str:
    """Give a sentence for what BuildKit could not do."""
    told = _of_dockerfile(text) or _of_source(text, where, doing) or _first(_BUILDS, text)
    return _fit(told or _otherwise(text, where))


def _of_dockerfile(text: str) -> str:
    if _EMPTY.search(text):
        return _EMPTY_SENTENCE
    wrong = _DOCKERFILE.match(text)
    return f"The Dockerfile can't be read, line {wrong[1]}: {wrong[2]}" if wrong else ""


def _of_source(text: str, where: str, doing: str) -> str:
    """What could not be fetched or found: what ADD names, a base image, a path."""
    if _FETCHED.match(doing):
        return _of_fetching(text, where)
    resolved, known = _RESOLVED.search(text), _BASE_IMAGE.match(doing)
    if resolved or known:
        image = resolved[1] if resolved else known and (known[1] or known[2])
        return _of_image(text, str(image).partition("@")[0])
    missing = _NOT_FOUND.search(text)
    return _of_missing(missing[1], where, doing) if missing else ""


def _otherwise(text: str, where: str) -> str:
    if _NOT_LET_IN.search(text) or "manifest unknown" in text:
        return _OTHER_IMAGE
    return f"{where or 'The build'} failed: {_WRAPPING.sub('', text).strip() or text}"


def _first(table: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    return next((sentence for pattern, sentence in table if pattern.search(text)), "")


def _of_missing(path: str, where: str, doing: str) -> str:
    if stage := _FROM_STAGE.match(doing):
        what = f"there is no {path} in {stage[1]}, which it is copied from"
        return f"{where or 'The build'} failed: {what}. Check the steps there."
    if not doing:
        return (
            f"{where or 'The build'} failed: {path} isn't in the archive, or not in the stage that it is copied from."
        )
    return f"{where or 'The build'} failed: {path} isn't in the archive, or an ignore file keeps it out."


def _of_image(text: str, image: str) -> str:
    if told := _first(_BUILDS, text):
        return told
    told = _NOT_LET_IN_SENTENCE if _NOT_LET_IN.search(text) else _first(_IMAGES, text)
    return told.format(image=image) or _OTHER_IMAGE


def _of_fetching(text: str, where: str) -> str:
    what = f"{where or 'The build'} failed: what ADD names"
    if _NOT_LET_IN.search(text):
        advice = "Put it into the archive, or use one that anybody may read."
        return f"{what} is given only to those who sign in there. {advice}"
    return f"{what} can't be fetched ({_WRAPPING.sub('', text).strip() or 'no reason given'})."


def _cleaned(error: str) -> str:
    return " ".join(_REQUEST_ID.sub("", error[:_LONGEST_ERROR]).split())


def _fit(text: str, longest: int = LONGEST_FAILURE) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
