"""Uploaded archives: gzip-compressed tar files from strangers, checked and unpacked without believing them. Pure.

They are read by our own parser, which knows the few kinds of entries that an app's source consists of and
refuses everything else; nothing is ever looked up on the disk to decide what a path means.
"""

from deployments.archives.errors import Refused, TooLarge
from deployments.archives.extracting import extract
from deployments.archives.reading import Limits
from deployments.archives.tree import Contents
from deployments.archives.walking import check

__all__ = ["Contents", "Limits", "Refused", "TooLarge", "check", "extract"]
