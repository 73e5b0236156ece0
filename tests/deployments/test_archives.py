"""Archives: honest ones are unpacked as they are, others are refused in words that say what is wrong."""

import gzip
import io
import os
import stat
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from deployments import archives
from deployments.archives import Limits
from tests.deployments.archive_builder import (
    DOCKERFILE,
    described,
    entry,
    folder,
    hard_link,
    packed,
    packed_blocks,
    raw_header,
    record,
    symlink,
    tar,
)
from tests.deployments.attacks import ATTACKS, TANGLED, TOO_LARGE

LIMITS = Limits(expanded=20 << 20, entries=200)
WIDE = "名前/ﬁle \uff0f name.txt"
MANY = Limits(expanded=20 << 20, entries=50_000)
SMALL = Limits(expanded=1 << 20, entries=20)


def snapshot(root: Path) -> dict[str, object]:
    """All that is below a folder, without following anything."""
    found: dict[str, object] = {}
    for path, folders, files in os.walk(root):
        for name in (*folders, *files):
            place = Path(path, name)
            state = place.lstat()
            content = place.read_bytes() if stat.S_ISREG(state.st_mode) else b""
            found[str(place.relative_to(root))] = (stat.S_IFMT(state.st_mode), content)
    return found


def check(archive: bytes, limits: Limits = LIMITS) -> archives.Contents:
    return archives.check(io.BytesIO(archive), limits=limits)


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused_in_its_own_words_and_nothing_is_written(tmp_path, attack):
    archive, sentence = ATTACKS[attack]
    before = snapshot(tmp_path)
    with pytest.raises((archives.Refused, archives.TooLarge)) as refused:
        check(archive)
    assert refused.value.sentence == sentence
    assert sentence.isprintable()
    assert refused.value.status == (413 if sentence in TOO_LARGE else 400)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("attack", ATTACKS)
def test_unpacking_refuses_it_too_and_writes_nowhere_else(tmp_path, attack):
    archive, sentence = ATTACKS[attack]
    (tmp_path / "evil").write_bytes(b"as it was")
    (tmp_path / "x").write_bytes(b"as it was")
    before = snapshot(tmp_path)

    with pytest.raises((archives.Refused, archives.TooLarge)) as refused:
        archives.extract(io.BytesIO(archive), tmp_path / "context", limits=LIMITS)

    assert refused.value.sentence == sentence
    after = {path: state for path, state in snapshot(tmp_path).items() if path.partition("/")[0] != "context"}
    assert after == before
    # Links come last, so that none is there when an archive is refused.
    assert not any(stat.S_ISLNK(state[0]) for state in snapshot(tmp_path).values())


def test_an_honest_archive_is_unpacked_as_it_is(tmp_path):
    archive = packed(
        folder("./"),
        entry("./src/app.js", b"run()", mode=0o600),
        entry("run.sh", b"#!/bin/sh", mode=0o6755, uid=4711),
        folder("empty"),
        symlink("node_modules/.bin/tool", "../tool/cli.js"),
        entry("node_modules/tool/cli.js", b"cli"),
        symlink("latest", "node_modules/.bin/tool"),
        symlink("here", "./"),
        symlink("later", "made/while/building"),
        hard_link("copy.js", "./src/app.js"),
        entry(WIDE, b"wide"),
        entry("a" * 120 + "/" + "b" * 200, b"long"),
        entry("apps/web/.env", b"A=1"),
        entry("apps/web/fly.toml", b"x"),
    )
    contents = archives.extract(io.BytesIO(archive), tmp_path / "context", limits=LIMITS)
    assert contents == check(archive)
    assert contents == archives.Contents(
        files=8,
        dockerfile=DOCKERFILE.decode(),
        has_fly_toml=False,
        has_environment_file=False,
    )
    root = tmp_path / "context"
    assert (root / "Dockerfile").read_bytes() == DOCKERFILE
    assert (root / "copy.js").read_bytes() == b"run()"
    assert (root / "latest").read_bytes() == b"cli"
    assert (root / "here/run.sh").read_bytes() == b"#!/bin/sh"
    assert (root / "later").readlink() == Path("made/while/building")
    assert (root / WIDE).read_bytes() == b"wide"
    assert (root / ("a" * 120) / ("b" * 200)).read_bytes() == b"long"
    assert (root / "apps/web/.env").exists()
    modes = {name: oct(stat.S_IMODE((root / name).stat().st_mode)) for name in ("src/app.js", "run.sh", "empty", "src")}
    assert modes == {"src/app.js": "0o644", "run.sh": "0o755", "empty": "0o755", "src": "0o755"}
    assert (root / "run.sh").stat().st_uid == os.getuid()


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_common_format_is_read(tmp_path, format):  # noqa: A002 - tarfile's word
    name = "packages/" + "d" * 60 + "/" + "f" * (20 if format == tarfile.USTAR_FORMAT else 90)
    archive = packed(entry(name, b"content"), symlink("s", name), hard_link("h", name), format=format)
    archives.extract(io.BytesIO(archive), tmp_path / "context", limits=LIMITS)
    assert (tmp_path / "context/s").read_bytes() == (tmp_path / "context/h").read_bytes() == b"content"


def test_what_other_packers_write_is_read():
    comment = described(b"g", record("comment", b"0" * 40), raw_header(b"README"))
    assert check(packed_blocks(comment)).files == 2
    in_members = gzip.compress(tar()[:700]) + gzip.compress(tar()[700:]) + bytes(512)
    assert check(in_members).files == 1
    old_folder = packed_blocks(raw_header(b"src/", b"\0"), raw_header(b"src/app.js", b"\0"))
    assert check(old_folder).files == 2
    base_256 = raw_header(b"a")[:124] + b"\x80" + bytes(11) + raw_header(b"a")[136:]
    fixed = bytearray(base_256)
    fixed[148:156] = b" " * 8
    fixed[148:156] = b"%06o\0 " % sum(fixed)
    assert check(packed_blocks(bytes(fixed))).files == 2


def test_fly_toml_and_env_at_the_top_are_told_and_left_out(tmp_path):
    evil = b'[build]\nimage = "evil"\n[[files]]\nguest_path = "/x"\nlocal_path = "/etc/passwd"\n'
    archive = packed(entry("fly.toml", evil), entry("./.env", b"TOKEN=not-a-secret"))
    contents = archives.extract(io.BytesIO(archive), tmp_path / "context", limits=LIMITS)
    assert (contents.has_fly_toml, contents.has_environment_file) == (True, True)
    assert snapshot(tmp_path / "context") == {"Dockerfile": (stat.S_IFREG, DOCKERFILE)}


@pytest.mark.parametrize(
    "name",
    [
        ".env.production",
        ".env.local",
        ".ENV.Production",
        "apps/web/.env",
        "apps/web/.Env",
        ".envrc",
        "deploy/prod.env",
    ],
)
@pytest.mark.parametrize("kind", ["file", "link", "hard link"])
def test_other_environment_files_are_kept_and_named(tmp_path, name, kind):
    made = {
        "file": entry(name, b"TOKEN=not-a-secret"),
        "link": symlink(name, "app.js"),
        "hard link": hard_link(name, "app.js"),
    }[kind]
    archive = packed(entry("app.js", b"run()"), made)
    contents = archives.extract(io.BytesIO(archive), tmp_path / "context", limits=LIMITS)
    assert contents.environment_files == check(archive).environment_files == (name,)
    assert "not-a-secret" not in repr(contents)
    assert os.path.lexists(tmp_path / "context" / name)


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        ".env.sample",
        ".env.production.template",
        "sub/.env.dist",
        "example.env",
        "env",
        "env.js",
        ".environment",
        "x.envrc",
        ".env",
    ],
)
def test_what_holds_no_environment_is_not_named(name):
    assert check(packed(entry(name, b"x"))).environment_files == ()


def test_a_folder_called_like_an_environment_file_is_none():
    assert check(packed(folder("sub/.env"), entry("sub/.env/bin/python", b"x"))).environment_files == ()


def test_names_of_environment_files_are_few_and_fit_to_be_shown():
    odd = "sub/" + "\u202f" * 80 + "/.env.local"
    assert check(packed(entry(odd))).environment_files == ("sub/" + "?" * 75 + "…",)
    assert len(check(packed(*(entry(f"{number}/.env") for number in range(50)))).environment_files) == 10
    assert check(packed(entry("a/.env", b"1"), entry("a/.env", b"2"))).environment_files == ("a/.env",)


def test_a_folder_that_is_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        archives.extract(io.BytesIO(packed()), tmp_path, limits=LIMITS)
    assert snapshot(tmp_path) == {"mine": (stat.S_IFREG, b"x")}


def test_a_folder_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "context").symlink_to("elsewhere")
    with pytest.raises(OSError, match="context"):
        archives.extract(io.BytesIO(packed()), tmp_path / "context", limits=LIMITS)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_links_that_lead_through_links_cost_a_bounded_time():
    links = [symlink(f"l{n}", "/".join([f"l{n - 1}"] * 60)) for n in range(1, 60)]
    with pytest.raises(archives.Refused) as refused:
        check(packed(symlink("l0", "."), *links))
    assert refused.value.sentence == TANGLED


def test_dependency_folders_of_thousands_of_links_pass():
    """As npm makes them, and as pnpm does."""
    npm = [symlink(f"node_modules/.bin/tool{n}", f"../tool{n}/bin/cli.js") for n in range(2_000)]
    store = "node_modules/.pnpm"
    pnpm = [
        symlink(f"{store}/p{n}@1/node_modules/p{m}", f"../../p{m}@1/node_modules/p{m}")
        for n in range(1_000)
        for m in range(n + 1, n + 11)
    ]
    shown = [symlink(f"node_modules/p{n}", f".pnpm/p{n}@1/node_modules/p{n}") for n in range(200)]
    assert check(packed(*npm), MANY).files == 1
    assert check(packed(*pnpm, *shown), MANY).files == 1


def test_chains_of_links_are_walked_once():
    """Else these would be more steps than an archive may take."""
    chain = [symlink("l0", "Dockerfile"), *(symlink(f"l{n}", f"l{n - 1}") for n in range(1, 38))]
    assert check(packed(*chain, *(symlink(f"x{n}", "l37") for n in range(9_000))), MANY).files == 1


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize(("length", "fits"), [(40, True), (41, False)])
def test_a_chain_may_be_as_long_as_the_system_follows(length, fits, is_reversed):
    chain = [symlink("l0", "Dockerfile"), *(symlink(f"l{n}", f"l{n - 1}") for n in range(1, length))]
    archive = packed(*(reversed(chain) if is_reversed else chain))
    if fits:
        assert check(archive).files == 1
        return
    with pytest.raises(archives.Refused) as refused:
        check(archive)
    assert refused.value.sentence == TANGLED


def test_checking_keeps_little_in_memory():
    archive = packed(*(entry(f"f{n}", bytes(1 << 20)) for n in range(19)))
    tracemalloc.start()
    check(archive)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_descriptions_that_pile_up_before_an_entry_are_not_kept():
    """What 70 KB may hold in this way would take a gigabyte once it is read."""
    records = described(b"x", b"6 ab=\n" * 10_000, b"")
    archive = packed_blocks(*[records] * 100, raw_header(b"a"))
    tracemalloc.start()
    with pytest.raises(archives.Refused, match="is described by more than 64 KB"):
        check(archive, Limits(expanded=1 << 30, entries=50_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_the_smallest_limits_that_fit_are_enough():
    archive = packed(entry("a/b", b"x" * 1000))
    size = len(gzip.decompress(archive))
    check(archive, Limits(expanded=size, entries=3))
    with pytest.raises(archives.TooLarge):
        check(archive, Limits(expanded=size - 1, entries=3))
    with pytest.raises(archives.TooLarge):
        check(archive, Limits(expanded=size, entries=2))


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_is_changed_in_an_archive_it_is_read_or_refused(data):
    sound = bytearray(tar(entry("src/app.js", b"x" * 700), symlink("s", "src/app.js"), hard_link("h", "src/app.js")))
    for _ in range(data.draw(st.integers(1, 5))):
        sound[data.draw(st.integers(0, 3500))] = data.draw(st.integers(0, 255))
    archive = gzip.compress(bytes(sound))
    try:
        check(archive, SMALL)
    except (archives.Refused, archives.TooLarge) as refused:
        assert refused.sentence.isprintable()  # noqa: PT017 - being read is fine as well


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000), st.booleans())
def test_whatever_bytes_come_they_are_refused(data, compressed):
    with pytest.raises(archives.Refused):
        check(gzip.compress(data) if compressed else data, SMALL)
