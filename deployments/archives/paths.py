"""Paths out of an archive, taken apart without believing them."""

import re
import unicodedata

from deployments.archives import errors

_LONGEST_PATH, _LONGEST_NAME, _DEEPEST = 1024, 255, 64
# Characters that turn the direction of what is shown, and separators of lines that aren't control characters.
_DECEIVING = frozenset("\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
DOCKERFILE, FLY_TOML, ENVIRONMENT_FILE = "Dockerfile", "fly.toml", ".env"
# Left out whatever they are: `.env` as a folder or a link, and in other letters too.
NEVER_UNPACKED = frozenset({FLY_TOML, ENVIRONMENT_FILE})
# Words between the dots of an environment file's name that say it holds no values of anybody's.
_SAMPLES = frozenset({"example", "sample", "template", "dist", "defaults", "schema"})
# macOS keeps a folder's icon so.
_LITTER = "Icon\r"
_MEANT = {name.casefold(): name for name in (DOCKERFILE, FLY_TOML, ENVIRONMENT_FILE)}


def parts_of(raw: bytes) -> tuple[str, ...]:
    """The names that a path consists of; () for the top itself. Raises Refused.

    Refused are: absolute paths, `..`, backslashes, control characters and others that deceive the eye, what is
    too long or too deep or not UTF-8, and names that compatibility characters or another case make look like
    `..` or like one of the files that we care for.
    """
    path = _decoded(raw)
    if path.startswith("/"):
        raise errors.absolute(path)
    parts = tuple(part for part in path.split("/") if part not in {"", "."})
    if ".." in parts:
        raise errors.climbing(path)
    if len(parts) > _DEEPEST:
        raise errors.unnatural(path, f"is more than {_DEEPEST} folders deep")
    for part in parts:
        _require_plain(part)
    if parts:
        _require_undisguised(parts[0])
    return parts


def is_litter(raw: bytes) -> bool:
    """Whether it is a file that the packer's system has left there, and nobody misses."""
    return raw.rpartition(b"/")[2] == _LITTER.encode()


def never_unpacked(parts: tuple[str, ...]) -> str:
    """Which of the names that are never unpacked the path has at its top; "" for none."""
    name = parts[0].casefold() if parts else ""
    return name if name in NEVER_UNPACKED else ""


def is_environment_file(name: str) -> bool:
    """Whether a file of this name holds environment variables: `.env.x`, `.envrc`, `prod.env`, no example of one."""
    name = name.casefold()
    if not (name == ".envrc" or name.startswith(f"{ENVIRONMENT_FILE}.") or name.endswith(ENVIRONMENT_FILE)):
        return False
    return _SAMPLES.isdisjoint(name.split("."))


def target_of(raw: bytes, link: str) -> tuple[str, ...]:
    """The names that a symbolic link's target consists of, `..` among them. Raises Refused."""
    if not raw:
        raise errors.unnatural(link, "belongs to a link that leads nowhere")
    target = _decoded(raw)
    if target.startswith("/"):
        raise errors.link_leaves(link)
    parts = tuple(part for part in target.split("/") if part not in {"", "."})
    if len(parts) > _DEEPEST:
        raise errors.unnatural(link, f"leads more than {_DEEPEST} folders deep")
    return parts


def _decoded(raw: bytes) -> str:
    if not raw:
        raise errors.unnatural(raw, "is empty")
    if len(raw) > _LONGEST_PATH:
        raise errors.unnatural(raw, f"is longer than {_LONGEST_PATH} bytes")
    try:
        path = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise errors.unnatural(raw, "is not UTF-8") from error
    if "\0" in path:
        raise errors.unnatural(path, "holds a NUL")
    if any(unicodedata.category(letter) == "Cc" or letter in _DECEIVING for letter in path):
        raise errors.unnatural(path, "holds control characters")
    if "\\" in path and _leads_elsewhere(path.replace("\\", "/")):
        raise errors.unnatural(path, "holds a backslash")
    return path


def _leads_elsewhere(path: str) -> bool:
    """Whether a path, its backslashes read as Windows does, would lead up or to a disk's root."""
    return path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path) is not None


def _require_plain(part: str) -> None:
    if len(part.encode()) > _LONGEST_NAME:
        raise errors.unnatural(part, f"is longer than {_LONGEST_NAME} bytes")
    if part.isascii():
        return
    seen = unicodedata.normalize("NFKC", part).replace("\\", "/")
    if ".." in seen.split("/") or _without_invisible(seen) in {".", "..", ""}:
        raise errors.disguised(part, "a way out of the app's folder")
    if seen.startswith("/"):
        raise errors.disguised(part, "an absolute path")


def _require_undisguised(part: str) -> None:
    """Refuse a name at the top that only looks like one of those we care for."""
    seen = _without_invisible(unicodedata.normalize("NFKC", part)).rstrip(" .").casefold()
    meant = _MEANT.get(seen)
    if part.casefold() in NEVER_UNPACKED:
        return
    if meant is not None and part != meant:
        raise errors.disguised(part, meant)


def _without_invisible(text: str) -> str:
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
