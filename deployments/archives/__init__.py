"""Uploaded archives: gzip-compressed tar files from strangers, checked and unpacked without believing them. Pure.

They are read by our own parser, which knows the few kinds of entries that an app's source consists of and
refuses everything else; nothing is ever looked up on the disk to decide what a path means.
"""

from deployments.archives.check import check
from deployments.archives.errors import Refused, TooLarge
from deployments.archives.extract import extract
from deployments.archives.file_tree import Contents
from deployments.archives.tar_entries import Limits

__all__ = ["Contents", "Limits", "Refused", "TooLarge", "check", "extract"]
