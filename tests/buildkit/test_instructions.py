"""The text of a Dockerfile as instructions, line by line as BuildKit's parser takes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildkit.instructions import DockerfileError, Heredoc, read


def seen(text):
    return [(each.line, each.text) for each in read(text)]


@pytest.mark.parametrize(
    ("text", "instructions"),
    [
        ("FROM a\nRUN b", [(1, "FROM a"), (2, "RUN b")]),
        ("\ufefffrom a\r\n  run b\r\n", [(1, "FROM a"), (2, "RUN b")]),
        ("FROM\ta\nRUN\t \techo hi", [(1, "FROM a"), (2, "RUN echo hi")]),
        ("# one\n\nFROM a\n  # two\n", [(3, "FROM a")]),
        ("RUN a \\\n  b", [(1, "RUN a   b")]),
        ("RUN a \\\n\n  && b", [(1, "RUN a   && b")]),
        ("RUN a \\\n# why\n  # and\n  && b\nRUN c", [(1, "RUN a   && b"), (5, "RUN c")]),
        ("RUN a \\  \n b", [(1, "RUN a  b")]),
        ("RUN a \\\\\nRUN b", [(1, "RUN a \\\\"), (2, "RUN b")]),
        ("RUN a \\", [(1, "RUN a")]),
        ("EXP\\\nOSE 1", [(1, "EXPOSE 1")]),
        ("# escape=`\nRUN a `\n b\nRUN c\\", [(2, "RUN a  b"), (4, "RUN c\\")]),
        ("# syntax=docker/dockerfile:1\n# Escape = `\nRUN a `\n b", [(3, "RUN a  b")]),
        ("# a comment\n# escape=`\nRUN a \\\n b", [(3, "RUN a  b")]),
        ("RUN a # no comment", [(1, "RUN a # no comment")]),
        ("RUN <<EOF\nEXPOSE 9999\nEOF\nEXPOSE 1", [(1, "RUN <<EOF"), (4, "EXPOSE 1")]),
        ("COPY <<A <<B /d/\na\nA\nb\nB\nRUN c", [(1, "COPY <<A <<B /d/"), (6, "RUN c")]),
        ("RUN <<-'EOF' cat\n\tx\n\tEOF\nRUN c", [(1, "RUN <<-'EOF' cat"), (4, "RUN c")]),
        ("RUN echo '<<EOF'\nRUN c", [(1, "RUN echo '<<EOF'"), (2, "RUN c")]),
        ("RUN echo $((1<<3))\nRUN c", [(1, "RUN echo $((1<<3))"), (2, "RUN c")]),
        ('RUN ["echo", "<<EOF"]\nRUN c', [(1, 'RUN ["echo", "<<EOF"]'), (2, "RUN c")]),
        ("CMD cat <<EOF\nRUN c", [(1, "CMD cat <<EOF"), (2, "RUN c")]),
        ("ONBUILD RUN <<EOF\nx\nEOF\nRUN c", [(1, "ONBUILD RUN <<EOF"), (4, "RUN c")]),
        ("RUN a\x0bb\x0cc\u2028d", [(1, "RUN a\x0bb\x0cc\u2028d")]),
        ("", []),
        ("\n \n# x", []),
    ],
)
def test_lines_are_joined_as_buildkit_joins_them(text, instructions):
    assert seen(text) == instructions


def test_flags_stand_apart_from_the_rest():
    (step,) = read("COPY --from=build --chown=a:b  x y")
    assert (step.flags, step.rest, step.flag("from"), step.flag("link")) == (
        ("--from=build", "--chown=a:b"), "x y", "build", "",
    )  # fmt: skip


def test_a_heredoc_keeps_its_lines():
    (step,) = read("COPY <<-A <<'B' /d/\n\ta\n\n\tA\nb $x\nB")
    assert step.heredocs == (Heredoc("A", "a\n\n", expands=True), Heredoc("B", "b $x\n", expands=False))


def test_arguments_may_be_json():
    assert read('COPY ["a b", "/c/"]')[0].arguments() == ["a b", "/c/"]
    assert read("COPY [ab].txt /c/")[0].arguments() == ["[ab].txt", "/c/"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("FROM a\nRUN <<EOF\nx", "dockerfile parse error on line 2: unterminated heredoc"),
        ("# escape=x\nFROM a", "dockerfile parse error on line 1: invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`", "dockerfile parse error on line 2: only one escape parser directive can be used"),
    ],
)
def test_what_buildkit_refuses_is_refused(text, problem):
    with pytest.raises(DockerfileError) as refused:
        read(text)
    assert str(refused.value) == problem


@given(st.text(alphabet="FROM RUN\\`\n\t#<EOF-'\" \r\ufeff"))
def test_no_text_is_too_odd(text):
    try:
        found = read(text)
    except DockerfileError:
        return
    assert [each.line for each in found] == sorted({each.line for each in found})
