"""What the server says of itself: one document at both places, from PUBLIC_URL whatever the Host."""

import pytest

from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
PLACES = ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")
EVIL = {"Host": "localhost", "X-Forwarded-Host": "evil.example"}


def test_both_places_have_the_same_document(nobody_api):
    one, other = (nobody_api.get(place) for place in PLACES)
    assert one.content == other.content
    assert one["Access-Control-Allow-Origin"] == "*"
    assert one["Cache-Control"] == "public, max-age=300"
    document = one.json()
    assert document["issuer"] == "http://testserver"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == ["code"]


def test_every_address_in_it_exists(nobody_api):
    document = nobody_api.get(PLACES[0]).json()
    for name, address in document.items():
        if name.endswith(("_endpoint", "_uri")) and isinstance(address, str):
            assert address.startswith("http://testserver/"), name
            assert nobody_api.get(address.removeprefix("http://testserver")).status_code != 404, name


@pytest.mark.parametrize(
    "path", [*PLACES, "/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/api"]
)
def test_a_foreign_host_changes_nothing(nobody_api, path):
    assert nobody_api.get(path, headers=EVIL).content == nobody_api.get(path).content


def test_services_say_who_issues_their_tokens(nobody_api):
    document = nobody_api.get("/.well-known/oauth-protected-resource/api").json()
    assert document["resource"] == "http://testserver/api"
    assert document["authorization_servers"] == ["http://testserver"]
    assert document["bearer_methods_supported"] == ["header"]
    assert nobody_api.get("/.well-known/oauth-protected-resource").json()["resource"] == "http://testserver"
    assert nobody_api.get("/.well-known/oauth-protected-resource/unknown").status_code == 404


@pytest.mark.parametrize(("token", "error"), [("", ""), ("wrong", ', error="invalid_token"')])
def test_a_401_says_where_to_look(token, error):
    answer = APIClient(token).get("/api/integrations", headers=EVIL)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == (
        f'Bearer realm="crayon"{error}, resource_metadata="http://testserver/.well-known/oauth-protected-resource/api"'
    )
