"""What an ignore file keeps out, by the rules of Docker's own documentation."""

import pytest

from buildkit.ignore_file import IgnoreFile, fits, has_wildcards


@pytest.mark.parametrize(
    ("text", "path", "out"),
    [
        (".env", ".env", True),
        (".env", "sub/.env", False),
        ("**/.env", "sub/deep/.env", True),
        ("**/.env", ".env", True),
        ("node_modules", "node_modules/a/b.js", True),
        ("/node_modules/", "node_modules/a", True),
        ("*", "a", True),
        ("*\n!.env\n", ".env", False),
        ("!.env\n*", ".env", True),
        ("docs\n!docs/keep.md", "docs/keep.md", False),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", False),
        ("*/temp*", "a/temporary.txt", True),
        ("*/temp*", "temporary.txt", False),
        ("temp?", "tempa", True),
        ("temp?", "temp", False),
        ("# .env", ".env", False),
        ("\ufeff.env\r\n", ".env", True),
        ("  ./a/../.env  ", ".env", True),
        (".", "a", False),
        ("!", "a", False),
        ("a[0-9].[^x]", "a1.y", True),
        ("a[0-9].[^x]", "a1.x", False),
        ("\\*", "*", True),
        ("\\*", "a", False),
        ("foo/**", "foo/a/b", True),
        ("**/*.js", "a.js", True),
        ("", "a", False),
    ],
)
def test_a_path_is_kept_out_as_docker_says(text, path, out):
    assert IgnoreFile(text).keeps_out(path) is out


def test_a_pattern_fits_a_whole_path():
    assert fits("yarn.lock*", "yarn.lock")
    assert not fits("yarn", "yarn.lock")
    assert not fits("*", "a/b")


@pytest.mark.parametrize(
    ("source", "has"), [("a*", True), ("a?", True), ("a[b]", True), ("a\\*", False), ("a.b", False)]
)
def test_a_source_with_wildcards_is_told_apart(source, has):
    assert has_wildcards(source) is has
