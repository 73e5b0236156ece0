"""CONFIG_FILE: what it may say, and what stops the start, with the line and what is allowed."""

import uuid
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import config_file
from config.config_sections import ConfiguredOrganization

FILES = Path(__file__).parent / "config_files"
SELF_HOSTED = (FILES / "self_hosted.toml").read_text(encoding="utf-8")
JWT = '[auth.better_auth_jwt]\njwks_uri = "https://a.example/k"\nissuer = "https://a.example"\naudience = "crayon"\n'
ORG = '[[orgs]]\nid = "550e8400-e29b-41d4-a716-446655440000"\nname = "Acme"\nslug = "acme"\n'


def refused(text):
    with pytest.raises(ImproperlyConfigured) as caught:
        config_file.parse(text, name="config.toml")
    assert caught.value.__cause__ is None
    return str(caught.value).removeprefix("CONFIG_FILE config.toml, ")


def test_the_file_of_one_organization_is_read_whole():
    read = config_file.read(str(FILES / "self_hosted.toml"))
    assert read.database.url == "postgres://crayon:visibly-fake@127.0.0.1:9/crayon"
    assert (read.server.http_port, read.server.grpc_port) == (8000, 9090)
    acme = uuid.UUID("550e8400-e29b-41d4-a716-446655440000")
    assert read.orgs == (ConfiguredOrganization(id=str(acme), name="Acme Corp", slug="acme", tier="FREE", region=""),)
    assert read.auth.better_auth_jwt
    assert read.auth.better_auth_jwt.jwks_uri == "https://app.example.com/.well-known/jwks.json"
    assert (read.auth.better_auth_jwt.issuer, read.auth.better_auth_jwt.audience) == (
        "https://app.example.com",
        "crayon",
    )
    assert read.auth.better_auth
    assert read.auth.better_auth.validation_url == "https://app.example.com/api/auth/validate-key"
    assert read.auth.better_auth.timeout_secs == 5
    assert read.auth.endpoints.http
    assert read.auth.endpoints.http.authenticators == ("better_auth_jwt", "better_auth_api_key", "static_api_key")
    assert read.auth.endpoints.grpc
    assert read.auth.endpoints.grpc.authenticators == ("better_auth_api_key", "worker_token", "static_api_key")


def test_the_file_for_many_customers_is_read_whole_and_makes_no_organization_by_itself():
    read = config_file.read(str(FILES / "many_customers.toml"))
    assert read.orgs == ()
    assert (read.auth.org_resolver.cache_ttl_secs, read.auth.org_resolver.auto_create) == (300, False)


def test_without_a_file_nobody_else_is_trusted():
    for read in (config_file.read(""), config_file.parse("", name="empty.toml")):
        assert (read.orgs, read.auth.better_auth_jwt, read.auth.better_auth) == ((), None, None)
        assert read.auth.org_resolver.auto_create is False


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[servr]\n", "line 1: servr is not known. The file may have database, server, orgs, auth."),
        (
            "\n[server]\n# a port\nhttp_prot = 1\n",
            "line 4: server.http_prot is not known. [server] may have http_port, grpc_port.",
        ),
        ("[server]\nhttp_port = 0\n", "line 2: server.http_port must be at least 1."),
        ("[server]\nhttp_port = 65536\n", "line 2: server.http_port must be at most 65535."),
        ("[server]\nhttp_port = true\n", "line 2: server.http_port must be a whole number, without quotes."),
        ('[server]\nhttp_port = "1"\n', "line 2: server.http_port must be a whole number, without quotes."),
        (
            '[database]\nurl = "mysql://a:visibly-fake@b/c"\n',
            "line 2: database.url must be a postgres:// address: PostgreSQL is the only database.",
        ),
        (
            "[auth]\nenabled = false\n",
            "line 2: auth.enabled can't be false: this server answers nobody without looking who it is.",
        ),
        ('[auth]\nenabled = "true"\n', "line 2: auth.enabled must be true or false, without quotes."),
        (
            '[auth.better_auth_jwt]\njwks_uri = "https://a.example/k"\n\naudience = "x"\n',
            "line 1: [auth.better_auth_jwt] lacks issuer.",
        ),
        (
            '[auth.better_auth]\nvalidation_url = "ftp://a"\n',
            (
                "line 2: auth.better_auth.validation_url must be an address that starts with https:// (or http://), "
                "without a password or fragment."
            ),
        ),
        (
            '[auth.better_auth]\nvalidation_url = "https://a"\ntimeout_secs = 31\n',
            "line 3: auth.better_auth.timeout_secs must be at most 30.",
        ),
        (
            "[auth.endpoints.http]\nauthenticators = []\n",
            "line 2: auth.endpoints.http.authenticators must not be empty.",
        ),
        ("[auth.endpoints.grpc]\n", "line 1: [auth.endpoints.grpc] lacks authenticators."),
        (
            '[auth.endpoints.http]\nauthenticators = [\n  "static_api_key",\n  "basic",\n]\n',
            (
                "line 2: auth.endpoints.http.authenticators[2] must be one of 'better_auth_jwt', "
                "'better_auth_api_key' or 'static_api_key'."
            ),
        ),
        (
            '[auth.endpoints.http]\nauthenticators = ["static_api_key", "static_api_key"]\n',
            "line 2: auth.endpoints.http.authenticators names one of them twice.",
        ),
        (
            '[auth.endpoints.http]\nauthenticators = ["better_auth_jwt"]\n',
            "line 2: auth.endpoints.http.authenticators has better_auth_jwt, which needs [auth.better_auth_jwt].",
        ),
        (
            JWT + '[auth.endpoints.grpc]\nauthenticators = ["better_auth_api_key"]\n',
            "line 6: auth.endpoints.grpc.authenticators has better_auth_api_key, which needs [auth.better_auth].",
        ),
        (
            '[auth.endpoints.http]\nauthenticators = ["static_api_key"]\nauthorizer = "none"\n',
            "line 3: auth.endpoints.http.authorizer must be one of 'cedar'.",
        ),
        (
            '[auth.endpoints.http]\nauthenticators = ["static_api_key"]\nexclude_paths = ["/_/health", "/api/orgs"]\n',
            (
                "line 3: auth.endpoints.http.exclude_paths can't be changed here: what needs no credentials is "
                "/_/health, /api/docs, /api/docs/openapi.json."
            ),
        ),
        (
            "[auth.org_resolver]\nauto_create = true\n",
            "line 2: auth.org_resolver.auto_create needs [auth.better_auth_jwt], whose tokens name organizations.",
        ),
        ('[[orgs]]\nname = "Acme"\nslug = "acme"\n', "line 1: [[orgs]] lacks id."),
        (
            ORG.replace('slug = "acme"', 'slug = "Acme"'),
            ("line 4: orgs[1].slug must be lower-case letters and digits, with single hyphens between them."),
        ),
        (ORG.replace("550e8400-", ""), "line 2: orgs[1].id must be a UUID in quotes; `uuidgen` makes one."),
        (
            ORG + "\n" + ORG.replace("550e8400", "650e8400"),
            "line 9: orgs[2].slug is the same as that of orgs[1].",
        ),
        (ORG + ORG.replace('"acme"', '"other"'), "line 6: orgs[2].id is the same as that of orgs[1]."),
        (ORG + "[orgs.extra]\n", "line 5: orgs[1].extra is not known. [[orgs]] may have id, name, slug, tier, region."),
        ("orgs = 1\n", "line 1: orgs must be a list in square brackets."),
        ("server = 1\n", "line 1: server must be a table."),
        (
            'auth.better_auth.validation_url = """\nhttps://a\n"""\n',
            (
                "line 1: auth.better_auth.validation_url must be "
                "an address that starts with https:// (or http://), without a password or fragment."
            ),
        ),
    ],
)
def test_what_cannot_be_meant_stops_the_start_with_its_line(text, sentence):
    assert refused(text) == sentence


def test_all_problems_are_told_at_once():
    told = refused('[server]\nhttp_port = 0\n[auth]\nx = 1\n[[orgs]]\nid = "x"\nname = ""\n')
    assert told.splitlines() == [
        "line 2: server.http_port must be at least 1.",
        "line 6: orgs[1].id must be a UUID in quotes; `uuidgen` makes one.",
        "line 7: orgs[1].name must not be empty.",
        "line 5: [[orgs]] lacks slug.",
        "line 4: auth.x is not known. [auth] may have enabled, better_auth_jwt, better_auth, org_resolver, endpoints.",
    ]


def test_broken_toml_is_said_with_its_line():
    with pytest.raises(ImproperlyConfigured, match=r"is not valid TOML: .*line 2"):
        config_file.parse("[server]\nhttp_port = \n", name="config.toml")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_lines_are_counted_alike_with_both_ends_of_lines(tmp_path, ends):
    path = tmp_path / "config.toml"
    path.write_bytes(ends.join(["[server]", "", "http_port = 0", ""]).encode())
    with pytest.raises(ImproperlyConfigured, match="line 3: server"):
        config_file.read(str(path))


@pytest.mark.parametrize("contents", [None, b"\xff\xfe", b"#" * (1 << 20) + b"\n"])
def test_a_file_that_is_none_stops_the_start(tmp_path, contents):
    path = tmp_path / "config.toml"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(ImproperlyConfigured, match="CONFIG_FILE"):
        config_file.read(str(path))


def test_the_databases_password_is_in_no_message_and_no_repr():
    told = refused('[database]\nurl = "postgres://a:visibly-fake@b/c"\nurls = "visibly-fake"\n')
    assert "visibly-fake" not in told
    assert "visibly-fake" not in repr(config_file.parse(SELF_HOSTED, name="x"))


def test_the_file_names_the_database_and_the_environment_wins(read, monkeypatch):
    file = str(FILES / "self_hosted.toml")
    assert read(CONFIG_FILE=file)["DATABASES"]["default"]["NAME"] == "c"
    assert read(CONFIG_FILE=file, DATABASE_URL="")["DATABASES"]["default"]["NAME"] == "crayon"


def test_organizations_come_into_being_by_themselves_only_where_somebody_said_so(read, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(JWT + "[auth.org_resolver]\nauto_create = true\n")
    assert read()["ORGS_AUTO_CREATE"] is False
    assert read(CONFIG_FILE=str(file))["ORGS_AUTO_CREATE"] is True
    assert read(CONFIG_FILE=str(file), ORGS_AUTO_CREATE="false")["ORGS_AUTO_CREATE"] is False
