"""References of images, as far as it takes to tell one build's from another's. Pure."""

_LABEL = "build-"


def label_of(build_hex: str) -> str:
    """The tag of a build's image: which build it came from."""
    return f"{_LABEL}{build_hex}"


def tag_of(reference: str) -> str:
    """The tag of `registry/repository:tag@digest`; "" where it has none."""
    name = reference.partition("@")[0]
    return name.rpartition("/")[2].partition(":")[2]


def build_of(tag: str) -> str:
    """The hexadecimal id of the build that the tag names; "" for a tag that is no build's."""
    return tag.removeprefix(_LABEL) if tag.startswith(_LABEL) else ""
