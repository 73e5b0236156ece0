"""POST /api/deploy/push: which bodies are taken, and what is said about the others."""
# ruff: noqa: E501 - one line for each refusal

import base64
import os

import orjson
import pytest

from deployments.models import Build
from tests.deployments.archive_builder import entry, packed
from tests.deployments.attacks import ATTACKS
from tests.deployments.builders import make_deployment
from tests.deployments.push_client import ARCHIVE, NAME_RULE, NO_APP, PATH, body_of, nothing_is_left, push_raw, refusal

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("folder")]
OTHER_APP = "appName: The address names another app than the body. Name it in the body alone, or the same in both."
State = Build.State


@pytest.mark.parametrize(
    "text",
    [
        '{{"appName": "shop", "archive": "{0}"}}',
        '{{"archive": "{0}", "appName": "shop"}}',
        ' \n{{"archive"\t:\r\n"{0}" , "appName":"shop","x":{{"archive":"y"}},"z":["archive"],"e":"\\"archive\\""}}\n ',
        '{{"\\u0061rchive": "{0}", "appName": "shop", "commitHash": null, "envVars": null}}',
    ],
)
@pytest.mark.parametrize("escaped", ["plain", "slashes", "unicode"])
def test_json_may_be_written_in_any_way(alice_api, shop, folder, text, escaped):
    archive = packed(entry("x", bytes(range(256)) * 300))
    encoded = base64.b64encode(archive).decode()
    assert "/" in encoded
    if escaped == "slashes":
        encoded = encoded.replace("/", "\\/")
    if escaped == "unicode":
        encoded = "".join(f"\\u{ord(letter):04x}" for letter in encoded[:99]) + encoded[99:]
    answer = alice_api.request("POST", PATH, data=text.format(encoded).encode(), content_type="application/json")
    assert answer.status_code == 200, answer.content
    assert (folder / Build.objects.get().archive).read_bytes() == archive


@pytest.mark.parametrize("attack", ["nothing", "text", "a path that climbs", "a symlink to the root", "no Dockerfile"])
def test_an_archive_that_may_not_be_is_refused_in_both_forms(alice_api, shop, folder, attack):
    archive, sentence = ATTACKS[attack]
    assert refusal(alice_api.post(PATH, body_of(archive))) == (400, sentence)
    assert refusal(push_raw(alice_api, archive)) == (400, sentence)
    assert not Build.objects.exists()
    assert nothing_is_left(folder)


def test_an_archive_that_unpacks_to_too_much_is_refused(alice_api, shop, settings, folder):
    settings.ARCHIVE_MAX_EXPANDED_MEGABYTES = 1
    archive = packed(entry("zeros", bytes(2 << 20)))
    status, sentence = refusal(alice_api.post(PATH, body_of(archive)))
    assert (status, sentence.startswith("archive: Unpacked, the archive is larger than 1 MB.")) == (413, True)
    settings.ARCHIVE_MAX_EXPANDED_MEGABYTES, settings.ARCHIVE_MAX_FILES = 10, 1
    assert refusal(push_raw(alice_api, packed(entry("a"))))[0] == 413
    assert nothing_is_left(folder)


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "counted"])
def test_an_archive_that_is_too_large_is_refused(alice_api, shop, settings, announced, folder):
    settings.ARCHIVE_MAX_MEGABYTES = 1
    much = ((1 << 20) + 1 if not announced else 8 << 20) * b"x"
    sentence = (
        "archive: The archive is larger than 1 MB. Leave out what the build can fetch or make, such as node_modules."
    )
    assert refusal(alice_api.post(PATH, body_of(much))) == (413, sentence)
    assert refusal(push_raw(alice_api, much)) == (413, sentence)
    assert nothing_is_left(folder)


def test_too_much_beside_the_archive_is_refused(alice_api, shop):
    answer = alice_api.post(PATH, body_of(x="x" * (3 << 20)))
    assert refusal(answer) == (413, "The body holds more than 2 MB beside the archive.")


def test_more_than_a_megabyte_of_archive_is_fine_here(alice_api, shop, folder):
    archive = packed(entry("noise", os.urandom(3 << 20)))
    assert alice_api.post(PATH, body_of(archive)).status_code == 200
    assert push_raw(alice_api, archive).status_code == 200


GOOD = base64.b64encode(ARCHIVE).decode()


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"archive": GOOD}, "appName: This field is required."),
        ({"appName": "shop"}, "archive: This field is required."),
        ({"appName": 7, "archive": GOOD}, "appName: Not a valid string."),
        ({"appName": "x\ny", "archive": GOOD}, NAME_RULE),
        ({"appName": "shop", "archive": None}, "archive: This field may not be null."),
        ({"appName": "shop", "archive": 7}, "archive: Not a valid string."),
        ({"appName": "shop", "archive": [GOOD]}, "archive: Not a valid string."),
        ({"appName": "shop", "archive": {"archive": GOOD}}, "archive: Not a valid string."),
        ({"appName": "shop", "archive": ""}, "archive: The archive is empty."),
        ({"appName": "shop", "archive": GOOD[:-1]}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD + "="}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": "QQ==" + GOOD}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD[:8] + "\n" + GOOD[8:]}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD[:8] + "-_-_" + GOOD[8:]}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD[:8] + '"' + GOOD[8:]}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD[:8] + "\\" + GOOD[8:]}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": "é" * 40}, "archive: This is not valid base64."),
        ({"appName": "shop", "archive": GOOD, "commitHash": "x" * 101}, "commitHash: Ensure this field has no more than 100 characters."),
        ({"appName": "shop", "archive": GOOD, "commitHash": "a\nb"}, "commitHash: Control characters are not allowed."),
        ({"appName": "shop", "archive": GOOD, "commitHash": 7}, "commitHash: Not a valid string."),
        ({"appName": "shop", "archive": GOOD, "envVars": ["A"]}, "envVars: This must be an object with names and values."),
        ({"appName": "shop", "archive": GOOD, "envVars": {"A": 1}}, "envVars.A: Not a valid string."),
        ({"appName": "shop", "archive": GOOD, "envVars": {"A": None}}, "envVars.A: This field may not be null."),
        ({"appName": "shop", "archive": GOOD, "envVars": {"A": "x\0"}}, "envVars.A: Null characters are not allowed."),
        ({"appName": "shop", "archive": GOOD, "envVars": {"VITE_A": "'\"`"}}, "envVars.VITE_A: A .env file can't hold this value: it mixes too many kinds of quotes."),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_named(alice_api, shop, folder, sandbox, body, sentence):
    assert refusal(alice_api.post(PATH, body)) == (400, sentence)
    assert nothing_is_left(folder)
    assert sandbox.requests("fly") == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"", "appName: This field is required."),
        (b"nope", "The body is not valid JSON."),
        (b'"text"', "The body must be a JSON object."),
        (b'["archive", "archive"]', "The body must be a JSON object."),
        (b'[{"archive": "QQ=="}]', "The body must be a JSON object."),
        (b'{"archive": "QQ==', "The body is not valid JSON."),
        (b'{"archive": "QQ=="', "The body is not valid JSON."),
        (b'{"archive": "QQ==" "QQ=="}', "The body is not valid JSON."),
        (b'{"archive": "QQ=="}{}', "The body is not valid JSON."),
        (b'{"archive" "QQ=="}', "The body is not valid JSON."),
        (b'{"archive": "QQ==", "archive": "QQ=="}', "archive: This field is given more than once."),
        (b'{"archive": "QQ==", "\\u0061rchive": 7}', "archive: This field is given more than once."),
        (b'{"appName": "a", "appName": "b"}', "appName: This field is given more than once."),
        (b'{"x": {"a": 1, "a": 2}}', "A name is given more than once in an object of the body."),
        (b'{"x": "\\ud800"}', "The body is not valid JSON."),
        (b'{"x": "\xff"}', "The body is not valid JSON."),
        (b'{"x": NaN}', "The body is not valid JSON."),
        (b'{"a":' * 5000, "The body is not valid JSON."),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "The body is not valid JSON."),
        (b"[" * 100_000, "The body is not valid JSON."),
        (b"}" * 100, "The body is not valid JSON."),
        (b'{"archive": "\\u0051\\u0051=\\u003d", "x": 1, }', "The body is not valid JSON."),
        (b'{"archive": "QQ\\=="}', "archive: This is not valid base64."),
        (b'{"archive": "QQ\\u00=="}', "archive: This is not valid base64."),
        (b'{"archive": "QQ\\u005c/=="}', "archive: This is not valid base64."),
        (b'{"archive": "QQ==\\"}', "archive: This is not valid base64."),
    ],
)
def test_what_is_no_json_object_is_refused(alice_api, shop, folder, text, sentence):
    answer = alice_api.request("POST", PATH, data=text, content_type="application/json")
    assert refusal(answer) == (400, sentence)
    assert nothing_is_left(folder)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-tar", "multipart/form-data; boundary=x", "\xff"])
def test_another_type_is_refused(alice_api, shop, kind):
    sentence = "Send JSON, with `Content-Type: application/json`, or the archive itself, with `application/gzip`."
    assert refusal(push_raw(alice_api, kind=kind)) == (415, sentence)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "appName: This field is required."),
        ("appName=", "appName: This field may not be blank."),
        ("appName=shop&appName=shop", "The parameter appName is given more than once."),
        ("appName=shop&commitHash=a%0Ab", "commitHash: Control characters are not allowed."),
        ("appName=shop&commitHash=a%00b", "commitHash: Null characters are not allowed."),
    ],
)
def test_a_parameter_that_is_wrong_is_named(alice_api, shop, folder, query, sentence):
    assert refusal(push_raw(alice_api, query=query)) == (400, sentence)
    assert nothing_is_left(folder)


@pytest.mark.parametrize(
    ("query", "name", "expected"),
    [
        ("appName=shop", "shop", (200, None)),
        ("x=y", "shop", (200, None)),
        ("appName=shop", "blog", (400, OTHER_APP)),
        ("appName=blog", "shop", (404, NO_APP)),
        ("appName=", "shop", (400, "appName: This field may not be blank.")),
        ("appName=x%0Ay", "shop", (400, NAME_RULE)),
        ("appName=shop&appName=shop", "shop", (400, "The parameter appName is given more than once.")),
    ],
)
@pytest.mark.parametrize("is_first", [True, False], ids=["name first", "archive first"])
def test_the_query_may_name_the_app_of_json_too(alice_api, alice, shop, query, name, expected, is_first):
    make_deployment(alice, "notes")
    body = {"appName": name, "archive": GOOD} if is_first else {"archive": GOOD, "appName": name}
    answer = alice_api.request("POST", f"{PATH}?{query}", data=orjson.dumps(body), content_type="application/json")
    assert (answer.status_code, answer.json().get("error")) == expected
    assert Build.objects.count() == (answer.status_code == 200)


def test_only_the_name_at_the_top_is_the_apps(alice_api, shop):
    text = f'{{"x": {{"appName": "blog"}}, "archive": "{GOOD}", "y": [{{"appName": 7}}], "appName": "shop"}}'
    answer = alice_api.request("POST", PATH, data=text.encode(), content_type="application/json")
    assert answer.status_code == 200, answer.content
