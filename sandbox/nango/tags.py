"""Rules for tags, and how the older `end_user` is translated into them."""

import re
from collections.abc import Mapping

from sandbox.nango.errors import Issue, issue
from sandbox.nango.validation import Path, email, mapping, record, text, wrong_type

Tags = dict[str, str]
EndUser = dict[str, object]

_MOST_TAGS = 10
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_\-./]{0,63}")
_value = text(least=1, most=255)


def tags(value: object, path: Path) -> list[Issue]:
    """Check a set of tags: at most 10, keys of a fixed alphabet, values of 1 to 255 characters."""
    if not isinstance(value, dict):
        return [wrong_type("record", value, path)]
    issues = [found for key, item in value.items() for found in _check_tag(key, item, path)]
    if len(value) > _MOST_TAGS:
        issues.append(issue("custom", "Tags cannot contain more than 10 keys", path))
    if len({key.lower() for key in value}) < len(value):
        issues.append(issue("custom", "Tag keys must be unique, whatever their case", path))
    return issues


def lowered(sent: Mapping[str, str]) -> Tags:
    """Store tags as Nango does: keys in lower case, values as they are."""
    return {key.lower(): value for key, value in sent.items()}


def tags_of(*, end_user: Mapping[str, object] | None, sent: Mapping[str, str] | None) -> Tags:
    """Merge: the end user's fields first, its own tags over those, top-level tags over all."""
    merged: Tags = {}
    if end_user:
        organization = end_user.get("organization")
        named = organization if isinstance(organization, dict) else {}
        fields = {
            "end_user_id": end_user.get("id"),
            "end_user_email": end_user.get("email"),
            "end_user_display_name": end_user.get("display_name"),
            "organization_id": named.get("id"),
            "organization_display_name": named.get("display_name"),
        }
        merged |= {key: str(value) for key, value in fields.items() if value}
        own = end_user.get("tags")
        merged |= lowered(own if isinstance(own, dict) else {})
    return merged | lowered(sent or {})


def full_end_user(end_user: object, organization: object = None) -> EndUser | None:
    """Give an end user the shape of responses: every field there, null where nothing was sent."""
    if not isinstance(end_user, dict):
        return None
    sent = organization if organization is not None else end_user.get("organization")
    full = None
    if isinstance(sent, dict):
        full = {"id": sent["id"], "display_name": sent.get("display_name")}
    return {
        "id": end_user["id"],
        "display_name": end_user.get("display_name"),
        "email": end_user.get("email"),
        "tags": end_user.get("tags"),
        "organization": full,
    }


def _check_tag(key: str, value: object, path: Path) -> list[Issue]:
    here = (*path, key)
    issues = _value(value, here)
    if not _KEY.fullmatch(key):
        issues.append(issue("invalid_key", "Invalid key in record", here))
    if key.lower() == "end_user_email" and not issues:
        # The complaint is about the tags as a whole.
        issues += email(value, path)
    return issues


_name = text(most=255)
_id = text(least=1, most=255)
organization = record({"id": _id}, {"display_name": _name})
_end_user_fields = {"email": email, "display_name": _name, "tags": mapping(text(most=255))}
end_user = record({"id": _id}, _end_user_fields)
# Import and patch take the organization inside the end user, sessions beside it.
end_user_with_organization = record({"id": _id}, {**_end_user_fields, "organization": organization})
