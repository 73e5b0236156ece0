"""/account/keys: a person's own keys, and those of workers of the organizations that they manage."""

import pytest
from django.utils import timezone

from accounts.models import APIKey, AuditEvent, Membership, Organization
from accounts.services import api_keys
from tests.accounts.keys import of_worker, personal
from tests.accounts.organization_builders import make_organization
from tests.conftest import APIClient

pytestmark = pytest.mark.django_db
PATH = "/account/keys"
FORM = {"name": "CI", "organization": "alice", "days": "30", "reach": "some", "scopes": ["workspaces:read"]}


@pytest.fixture
def page(alices):
    """alice's browser, which sends forms with their token."""
    alices.client.handler.enforce_csrf_checks = False
    return alices.client


def text(answer):
    return answer.content.decode()


def test_a_key_is_shown_once(alice, page):
    answer = page.post(f"{PATH}/make", {**FORM, "networks": "192.0.2.0/24, 127.0.0.0/8\n2001:db8::/32"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    row = APIKey.objects.get()
    plain = text(answer).partition('id="new-key">')[2].partition("<")[0]
    assert plain.startswith(row.start)
    assert APIClient(plain).get("/api/cloud-dev/list").status_code == 200
    assert (row.scopes, row.networks) == (["workspaces:read"], ["192.0.2.0/24", "127.0.0.0/8", "2001:db8::/32"])
    again = text(page.get(PATH))
    assert plain not in again
    assert row.start in again


def test_all_is_all_that_the_person_may(page):
    page.post(f"{PATH}/make", {**FORM, "reach": "all"})
    assert APIKey.objects.get().scopes is None


@pytest.mark.parametrize(
    ("changed", "status", "sentence"),
    [
        ({"scopes": []}, 400, "Tick what the key may do, or choose everything."),
        ({"scopes": ["x"]}, 400, "There are these scopes"),
        ({"name": ""}, 400, "This field may not be blank."),
        ({"days": "9999"}, 400, "less than or equal to 365"),
        ({"days": ""}, 400, "expiresInDays"),
        ({"networks": "home"}, 400, "A network looks like"),
        ({"organization": "acme"}, 404, "There is no such organization"),
        ({"organization": "\0"}, 404, "There is no such organization"),
    ],
)
def test_what_cannot_be_meant_is_told(page, changed, status, sentence):
    answer = page.post(f"{PATH}/make", {**FORM, **changed})
    assert (answer.status_code, sentence in text(answer)) == (status, True)
    assert not APIKey.objects.exists()


def test_the_list_says_what_used_it_and_from_where(alice, page):
    for number in range(3):
        personal(alice, networks=("192.0.2.0/24",))
        APIKey.objects.filter(last_used_at=None).update(
            last_used_at=timezone.now(), last_used_address=f"192.0.2.{number}"
        )
    of_worker(alice)
    shown = text(page.get(PATH))
    for number in range(3):
        assert f"from 192.0.2.{number}" in shown
    assert "only from 192.0.2.0/24" in shown
    assert "made by <bdi>alice</bdi>" in shown


def test_more_keys_are_no_more_queries(alice, page, django_assert_num_queries):
    page.get(PATH)
    for _ in range(2):
        made = personal(alice)
        page.post(f"{PATH}/{made.row.pk}/rotate")
        of_worker(alice)
        with django_assert_num_queries(11):
            page.get(PATH)


def test_the_organization_that_one_works_in_is_chosen(alice, page):
    make_organization(alice, "team")
    assert '<option value="alice" selected>' in text(page.get(PATH))
    page.post("/organizations/team/switch")
    shown = text(page.get(PATH))
    assert shown.count('<option value="team" selected>') == 2
    assert f'href="{PATH}#workers"' in text(page.get("/organizations/team/"))


def test_names_are_shown_as_text(alice, page):
    page.post(f"{PATH}/make", {**FORM, "name": "<script>x</script>"})
    assert "<script>x" not in text(page.get(PATH))


def test_a_key_is_revoked(alice, page):
    made = personal(alice)
    answer = page.post(f"{PATH}/{made.row.pk}/revoke", follow=True)
    assert "CI is revoked." in text(answer)
    assert made.row.start not in text(answer)
    assert APIClient(made.plain).get("/api/cloud-dev/list").status_code == 401


def test_a_key_is_rotated(alice, page):
    made = personal(alice)
    answer = page.post(f"{PATH}/{made.row.pk}/rotate", {"hours": "1"})
    plain = text(answer).partition('id="new-key">')[2].partition("<")[0]
    assert "goes on until" in text(answer)
    assert "being replaced" in text(answer)
    assert [APIClient(key).get("/api/cloud-dev/list").status_code for key in (plain, made.plain)] == [200, 200]


def test_members_see_nothing_of_workers_keys(alice, bob, bobs):
    organization = Organization.objects.create(name="Acme", slug="acme")
    for person, role in ((alice, "owner"), (bob, "member")):
        Membership.objects.create(organization=organization, user=person, role=role)
    made = api_keys.make_for_worker(
        by=alice, slug="acme", wanted=api_keys.WantedKey(name="builders"), now=timezone.now()
    )
    assert "builders" not in text(bobs.client.get(PATH))
    bobs.client.handler.enforce_csrf_checks = False
    assert bobs.client.post(f"{PATH}/{made.row.pk}/revoke").status_code == 404
    answer = bobs.client.post("/account/worker-keys/make", {"name": "x", "organization": "acme"})
    assert answer.status_code == 403
    # In their own organization they are the owner.
    assert bobs.client.post("/account/worker-keys/make", {"name": "x", "organization": "bob"}).status_code == 200
    assert AuditEvent.objects.filter(action="worker_key.made", actor_id=bob.pk).count() == 1


def test_signing_out_everywhere_says_that_keys_end_too(alice, page):
    personal(alice)
    assert "Your 1 API key is revoked too." in text(page.get("/account/apps"))
    page.post("/account/revoke-all")
    assert not APIKey.objects.filter(revoked_at=None).exists()
