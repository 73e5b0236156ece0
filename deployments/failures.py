"""Sentences for people, made of what flyctl and BuildKit say when they fail. Pure; no input raises.

A build may print what it likes here. So an error is cut before it is looked at, and where a pattern has two parts with
anything between them, the first part is looked for once only: `(?>.*?…)` never gives back what it took.
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

# First that is found, in this order.
_KNOWN: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), sentence)
    for pattern, sentence in (
        (r"flyctl can't be started", "flyctl can't be started on this server's worker. Tell its operator."),
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
        (r"over the allowed quota|quota exceeded", "Fly refuses more: the quota of the organization is used up."),
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
            r"\A(?>.*?builder).*(?:unavailable|failed|timed? ?out|deadline)",
            "Fly's builder can't be reached right now. Push again in a few minutes.",
        ),
        (
            r"\A(?>.*?failed to (?:start|fetch|connect to) ).*builder",
            "Fly's builder can't be reached right now. Push again in a few minutes.",
        ),
        (
            r"toomanyrequests|rate limit|too many requests",
            "A registry or Fly limits how often it may be asked. Push again in a few minutes.",
        ),
        (
            r"no space left on device",
            "The builder's disk is full. Make the image smaller, or push again later.",
        ),
        (
            r"failed to resolve source metadata for |pull access denied|manifest unknown",
            "A base image of the Dockerfile can't be had. Check its name in FROM.",
        ),
        (
            r"failed to read dockerfile|\A(?>.*?no such file).*dockerfile",
            "The Dockerfile can't be found in the archive.",
        ),
    )
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


def sentence_of_vertex(error: str, *, where: str, doing: str) -> str:
    """Give a sentence for the error of one step of a Dockerfile.

    `where` is "Step 3 of 7" or "", `doing` its instruction, shortened, or "".
    """
    ended = _EXIT.match(error := error[:_LONGEST_ERROR])
    if ended is None:
        return sentence_of(error, where=where)
    code = ended[2] or ""
    command = doing or _SHELL.sub("", ended[1])
    how = f"ended with exit code {code}" if code else f"failed ({ended[3] or 'no reason given'})"
    memory = " It may have run out of memory." if code == str(_OUT_OF_MEMORY) else ""
    return _fit(f"{where or 'A step'} failed: `{_fit(command, 120)}` {how}.{memory}")


def sentence_of(error: str, *, where: str = "") -> str:
    """Give a sentence for the text of an error; "" for none."""
    text = " ".join(_REQUEST_ID.sub("", error[:_LONGEST_ERROR]).split())
    if not text:
        return ""
    if _EXIT.match(text):
        return sentence_of_vertex(text, where=where, doing="")
    if missing := _NOT_FOUND.search(text):
        return _fit(f"{where or 'The build'} failed: {missing[1]} isn't in the archive.")
    if wrong := _DOCKERFILE.match(text):
        return _fit(f"The Dockerfile can't be read, line {wrong[1]}: {wrong[2]}")
    for pattern, sentence in _KNOWN:
        if pattern.search(text):
            return sentence
    # What Fly says of itself is for the build's log only, where flyctl has printed it.
    return _fit(f"{where} failed: {_WRAPPING.sub('', text).strip() or text}") if where else _REFUSED


def sentence_of_exit(code: int) -> str:
    """Give a sentence for an exit code of which nothing else is known (internal/cli/cli.go of flyctl)."""
    return _EXITS.get(code, _OTHER_EXIT)


def _fit(text: str, longest: int = LONGEST_FAILURE) -> str:
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
