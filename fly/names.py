"""The names of apps: the label its owner gave it, and the name it has at Fly. Pure."""

import re
import secrets
import unicodedata

from core.errors import Malformed

LONGEST_APP_NAME = 214
APP_NAME_RULE = (
    f"This can't be the name of an app: it needs 1 to {LONGEST_APP_NAME} visible characters of one alphabet. "
    "Change the name, which is usually that of package.json."
)
_FLY_PREFIX = "crayon-"
_FLY_RANDOM_BYTES = 8
# What compatibility characters become can be longer, and nobody has to wait for much of it.
_LONGEST_RAW = 4 * LONGEST_APP_NAME
# What shows nothing, though Python calls it printable (Default_Ignorable_Code_Point of Unicode).
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Alphabets whose letters look like each other's.
_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU"})
# More marks on one letter are drawn over the lines around it (UTS 39, section 5.4).
_MOST_MARKS = 4
_NOT_IN_SLUG = re.compile(r"[^a-z0-9]+")
_NO_MARK = re.compile("[^M]")
_LONGEST_SLUG = 63


class NotALabel(ValueError):
    """No app may be called so."""


class NotAnAppName(Malformed):
    """400: no app may be called so."""

    default = APP_NAME_RULE


def app_label(text: str) -> str:
    """The name as it is kept: Unicode's composed form, without spaces at its ends or doubled ones. Raises NotALabel.

    Refused is what a reader can't see, or can't tell from another name: characters that show nothing, letters of
    alphabets that look alike in one name, and heaps of marks that cover what stands around it.
    """
    if len(text) > _LONGEST_RAW:
        raise NotALabel
    label = unicodedata.normalize("NFKC", text).strip()
    if not label.isprintable() or _INVISIBLE.search(label):
        raise NotALabel
    # The only space that is printable; a page shows several of them as one.
    label = " ".join(label.split())
    if not 1 <= len(label) <= LONGEST_APP_NAME or unicodedata.category(label[0]).startswith("M"):
        raise NotALabel
    if len(_alphabets(label)) > 1 or _most_marks(label) > _MOST_MARKS:
        raise NotALabel
    return label


def labeled(app_name: str) -> str:
    """What a person calls an app, in the form that is kept. Raises NotAnAppName."""
    try:
        return app_label(app_name)
    except NotALabel as error:
        raise NotAnAppName from error


def is_same_label(text: str, label: str) -> bool:
    """Whether somebody has typed this very label, to confirm what can't be taken back."""
    try:
        return app_label(text) == label
    except NotALabel:
        return False


def slug_of(label: str) -> str:
    """The label in the letters of a DNS name, for programs that know no others: `@acme/My App` is `acme-my-app`.

    Two labels may have the same one; nothing is told apart by it.
    """
    ascii_only = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode().lower()
    slug = _NOT_IN_SLUG.sub("-", ascii_only).strip("-")
    slug = slug if slug[:1].isalpha() else f"app-{slug}"
    return slug[:_LONGEST_SLUG].strip("-")


def new_fly_name() -> str:
    """A name for a new app at Fly, where names are one space for everybody: `crayon-` and 64 random bits.

    It says nothing about the app or its owner, and can't be guessed.
    """
    return f"{_FLY_PREFIX}{secrets.token_hex(_FLY_RANDOM_BYTES)}"


def looks_like_ours(fly_name: str) -> bool:
    """Whether an app at Fly is named as this kind of server names them. That alone proves nothing."""
    return fly_name.startswith(_FLY_PREFIX)


def _alphabets(label: str) -> set[str]:
    """Give the look-alike alphabets that the label has letters of."""
    if label.isascii():
        return set()
    words = (unicodedata.name(letter, "").partition(" ")[0] for letter in label if letter.isalpha())
    return set(words) & _ALIKE


def _most_marks(label: str) -> int:
    """How many marks follow one another at most."""
    if label.isascii():
        return 0
    kinds = "".join(unicodedata.category(letter)[0] for letter in label)
    return max(len(marks) for marks in _NO_MARK.split(kinds))
