"""GET and POST /auth/cli: a person decides about a CLI's login."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import AccessToken, AuditEvent, CLILogin, User
from accounts.services import cli_login
from tests.accounts.browsing import form_of, text_of

pytestmark = pytest.mark.django_db
PATH = "/auth/cli"
AUTHORIZED = "Authorized! You can close this window and return to your terminal."


def look(browser, code):
    return browser.get(PATH, cli_code=code)


def state_of(code):
    return CLILogin.objects.get(code=code).state


def test_it_shows_the_code_what_asked_from_where_and_who_i_am(alices, started):
    code, _ = started(client_name="crayon CLI", hostname="build-7", address="127.0.0.1")
    page = look(alices, code)
    text = text_of(page)
    assert page.status_code == 200
    assert f'<span class="code">{code}</span>' in page.content.decode()
    for shown in ("crayon CLI", "build-7 (as it calls itself)", "127.0.0.1", "now", "alice (alice@example.com)"):
        assert shown in text
    html = page.content.decode()
    assert '<button type="submit" class="primary grow" name="decision" value="approve">Approve</button>' in html
    assert '<button type="submit" class="danger grow" name="decision" value="deny">Deny</button>' in html
    assert "another address" not in text


def test_it_says_how_long_ago_the_login_was_started(alices, started):
    code, _ = started()
    with time_machine.travel(timezone.now() + timedelta(minutes=3), tick=False):
        assert "3 minutes ago" in text_of(look(alices, code))


def test_a_tool_that_says_nothing_of_itself_is_shown_as_that(alices, started):
    code, _ = started(client_name="", hostname="", address=None)
    text = text_of(look(alices, code))
    assert "A command-line tool" in text
    assert "Address unknown" in text
    assert "as it calls itself" not in text


def test_it_warns_when_the_request_came_from_another_address(alices, started):
    code, _ = started(address="192.0.2.7")
    assert "The request came from another address than the one you are using now." in text_of(look(alices, code))


def test_a_computer_that_speaks_to_itself_by_ipv6_and_ipv4_is_one_address(alices, started):
    code, _ = started(address="::1")
    assert "another address" not in text_of(look(alices, code))


def test_what_a_tool_says_of_itself_is_escaped(alices, started):
    code, _ = started(client_name="<script>alert(1)</script>", hostname='"><img src=x onerror=alert(1)>')
    pages = [look(alices, code)]
    pages.append(alices.press(pages[0], PATH, decision="approve"))
    pages.append(alices.get("/account/apps"))
    for page in pages:
        assert b"<script>alert" not in page.content
        assert b"<img src=x" not in page.content


def test_looking_changes_nothing(alices, started, nobody_api):
    code, secret = started()
    for _ in range(3):
        look(alices, code)
        alices.client.head(PATH, {"cli_code": code})
    assert state_of(code) == "pending"
    assert nobody_api.get("/api/auth/cli/check", code=code, secret=secret).json() == {"data": {"status": "pending"}}
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "parameters", [{"decision": "approve"}, {"approve": "1"}, {"decision": "approve", "code": "1"}]
)
def test_no_get_approves(alices, started, parameters):
    code, _ = started()
    assert alices.get(PATH, cli_code=code, **parameters).status_code == 200
    assert state_of(code) == "pending"


def test_approving_lets_the_tool_in_as_me(alices, alice, started, nobody_api):
    code, secret = started()
    page = alices.press(look(alices, code), PATH, decision="approve")
    assert page.status_code == 200
    assert AUTHORIZED in text_of(page)
    login = CLILogin.objects.get(code=code)
    assert (login.state, login.decided_by) == ("approved", alice)
    answer = nobody_api.get("/api/auth/cli/check", code=code, secret=secret).json()["data"]
    assert answer["status"] == "approved"
    assert AccessToken.objects.get().user == alice
    event = AuditEvent.objects.get(action="cli_login.approved")
    assert (event.actor_id, event.target_id, event.address) == (alice.pk, str(login.pk), "127.0.0.1")


def test_denying_turns_the_tool_away(alices, started, nobody_api):
    code, secret = started()
    page = alices.press(look(alices, code), PATH, decision="deny")
    assert (page.status_code, "Denied The tool was not signed in." in text_of(page)) == (200, True)
    assert nobody_api.get("/api/auth/cli/check", code=code, secret=secret).json() == {"data": {"status": "denied"}}
    assert AuditEvent.objects.get().action == "cli_login.denied"


@pytest.mark.parametrize("decision", ["approve", "deny"])
def test_a_form_without_its_csrf_token_decides_nothing(alices, started, decision):
    code, _ = started()
    look(alices, code)
    page = alices.client.post(PATH, {"cli_code": code, "decision": decision})
    assert page.status_code == 403
    assert "This form is too old or came from another site." in text_of(page)
    assert state_of(code) == "pending"


def test_a_form_sent_from_another_site_decides_nothing(alices, started):
    code, _ = started()
    fields = form_of(look(alices, code), PATH)
    for origin in ("https://evil.example.com", "null", "http://testserver.evil.example.com", "http://testserver:81"):
        page = alices.client.post(PATH, {**fields, "decision": "approve"}, headers={"Origin": origin})
        assert page.status_code == 403
    assert state_of(code) == "pending"


@pytest.mark.parametrize("decision", ["", "APPROVE", "yes", "approve\0"])
def test_another_decision_is_refused(alices, started, decision):
    code, _ = started()
    page = alices.press(look(alices, code), PATH, decision=decision)
    assert (page.status_code, "Choose Approve or Deny." in text_of(page)) == (400, True)
    assert state_of(code) == "pending"


@pytest.mark.parametrize("address", [PATH, f"{PATH}?cli_code=", f"{PATH}?cli_code=%20", f"{PATH}?code=0a1b2c3d"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_a_link_without_a_code_says_so(alices, browser, address, signed_in):
    page = (alices if signed_in else browser).get(address)
    assert (page.status_code, "There is no code in this link" in text_of(page)) == (400, True)


@pytest.mark.parametrize("code", ["00000000", "zzzzzzzz", "0", "0" * 5000, "%", "ü", "0a1b2c3d' OR '1'='1"])
def test_an_unknown_code_says_so(alices, code):
    page = look(alices, code)
    assert (page.status_code, "This code is unknown or has expired" in text_of(page)) == (404, True)
    fields = {**form_of(page, "/auth/sign-out"), "cli_code": code, "decision": "approve"}
    assert alices.client.post(PATH, fields).status_code == 404


def test_a_code_with_a_nul_in_the_form_is_an_unknown_one(alices):
    fields = {**form_of(look(alices, "00000000"), "/auth/sign-out"), "cli_code": "0000000\0", "decision": "approve"}
    assert alices.client.post(PATH, fields).status_code == 404


@pytest.mark.parametrize("state", ["pending", "approved", "collected", "denied"])
def test_an_expired_code_looks_like_an_unknown_one(alices, started, state):
    code, _ = started()
    unknown = look(alices, "00000000")
    fields = form_of(look(alices, code), PATH)
    if state != "pending":
        CLILogin.objects.update(state=state, decided_at=timezone.now(), decided_by=User.objects.first())
    with time_machine.travel(timezone.now() + timedelta(minutes=5), tick=False):
        page = look(alices, code)
        answer = alices.client.post(PATH, {**fields, "decision": "approve"})
    assert text_of(page) == text_of(answer) == text_of(unknown)
    assert page.status_code == answer.status_code == 404
    assert state_of(code) == state


def test_a_code_is_found_in_capitals_and_with_space_around(alices, started):
    code, _ = started()
    assert look(alices, f" {code.upper()} ").status_code == 200


@pytest.mark.parametrize("state", ["approved", "collected"])
def test_an_approved_login_says_so_and_stays_approved(alices, bobs, bob, started, approved, state):
    code = approved[0]
    CLILogin.objects.update(state=state)
    page = look(bobs, code)
    assert (page.status_code, "This login was approved already" in text_of(page)) == (409, True)
    fields = {**form_of(page, "/auth/sign-out"), "cli_code": code}
    for decision in ("approve", "deny"):
        answer = bobs.client.post(PATH, {**fields, "decision": decision})
        assert (answer.status_code, "This login was approved already" in text_of(answer)) == (409, True)
    login = CLILogin.objects.get(code=code)
    assert (login.state, login.decided_by == bob) == (state, False)


def test_a_denied_login_says_so_and_stays_denied(alices, started):
    code, _ = started()
    pending = look(alices, code)
    alices.press(pending, PATH, decision="deny")
    assert "This login was denied already" in text_of(look(alices, code))
    answer = alices.press(pending, PATH, decision="approve")
    assert (answer.status_code, "This login was denied already" in text_of(answer)) == (409, True)
    assert state_of(code) == "denied"


def test_somebody_who_tries_codes_has_to_wait(alices):
    statuses = [look(alices, f"{number:08x}").status_code for number in range(11)]
    assert statuses == [404] * 10 + [429]
    page = look(alices, "00000000")
    assert f"Too many requests. Please try again in {page['Retry-After']} second" in text_of(page)
    assert 1 <= int(page["Retry-After"]) <= 60


def test_somebody_who_tries_codes_from_many_addresses_has_to_wait(alices, bobs):
    def guess(browser, number):
        return browser.client.get(PATH, {"cli_code": f"{number:08x}"}, REMOTE_ADDR=f"192.0.2.{number}").status_code

    assert [guess(alices, number) for number in range(11)] == [404] * 10 + [429]
    assert guess(bobs, 11) == 404


def test_somebody_who_tries_codes_does_not_shut_the_page_for_others_at_their_address(alices, bobs, started):
    code, _ = started()
    assert look(bobs, code).status_code == 200
    assert [look(alices, f"{number:08x}").status_code for number in range(11)] == [404] * 10 + [429]
    assert look(bobs, code).status_code == 200


def test_the_addresses_of_one_ipv6_network_share_their_thirty_guesses(alices, bobs):
    def guess(browser, number):
        return browser.client.get(PATH, {"cli_code": f"{number:08x}"}, REMOTE_ADDR=f"2001:db8::{number:x}").status_code

    for _ in range(20):
        cli_login.WRONG_CODES.spend("2001:db8::/64")
    assert [guess((alices, bobs)[number % 2], number) for number in range(11)] == [404] * 10 + [429]


def test_all_people_together_may_try_500_codes_a_minute(alices):
    for _ in range(499):
        cli_login.WRONG_CODES_OF_ALL.spend()
    assert [look(alices, "00000000").status_code for _ in range(2)] == [404, 429]


def test_strangers_who_guess_by_polling_do_not_shut_the_page(alices, started):
    code, _ = started()
    for number in range(500):
        cli_login.check(code="00000000", secret="0" * 32, address=f"192.0.2.{number % 250}", now=timezone.now())
    assert look(alices, "00000000").status_code == 404
    assert AUTHORIZED in text_of(alices.press(look(alices, code), PATH, decision="approve"))


def test_wrong_polls_from_an_address_do_not_shut_the_page_for_people_there(alices, nobody_api, started):
    code, _ = started()
    polls = [nobody_api.get("/api/auth/cli/check", code=f"{number:08x}", secret="x") for number in range(11)]
    assert [poll.status_code for poll in polls] == [200] * 10 + [429]
    assert AUTHORIZED in text_of(alices.press(look(alices, code), PATH, decision="approve"))


def test_what_a_tool_says_of_itself_cannot_turn_the_words_around_it(alices, started):
    code, _ = started(client_name="כלי", hostname="מחשב")
    page = look(alices, code)
    for shown in ("<bdi>כלי</bdi>", "<bdi>מחשב</bdi>"):
        assert shown in page.content.decode()
    assert "<bdi>כלי on מחשב</bdi>" in alices.press(page, PATH, decision="approve").content.decode()


def test_no_page_may_be_framed_cached_or_run_a_script(alices, browser, started):
    code, _ = started()
    pending = look(alices, code)
    pages = [pending, look(browser, code), look(alices, "00000000"), alices.get(PATH)]
    pages += [alices.press(pending, PATH, decision="approve"), look(alices, code)]
    for page in pages:
        policy = page["Content-Security-Policy"]
        for rule in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"):
            assert rule in policy
        assert "unsafe" not in policy
        assert page["X-Frame-Options"] == "DENY"
        assert page["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in page["Cache-Control"]
        assert b"<script" not in page.content
        assert b"style=" not in page.content


def test_looking_and_deciding_cost_a_fixed_number_of_queries(alices, started, django_assert_max_num_queries):
    code, _ = started()
    with django_assert_max_num_queries(9):
        page = look(alices, code)
    with django_assert_max_num_queries(13):
        alices.press(page, PATH, decision="approve")


def test_a_login_approved_while_the_page_was_open_cannot_be_denied_by_another(alices, bobs, started):
    code, _ = started()
    page = look(bobs, code)
    alices.press(look(alices, code), PATH, decision="approve")
    answer = bobs.press(page, PATH, decision="deny")
    assert (answer.status_code, "This login was approved already" in text_of(answer)) == (409, True)


def test_the_service_refuses_a_second_decision(alice, bob, started):
    code, _ = started()
    login = CLILogin.objects.get(code=code)
    cli_login.approve(login=login, user=alice, now=timezone.now())
    for decide in (cli_login.approve, cli_login.deny):
        with pytest.raises(cli_login.AlreadyDecided):
            decide(login=login, user=bob, now=timezone.now())
    assert CLILogin.objects.get().decided_by == alice


def test_a_method_that_is_not_known_is_refused(alices):
    assert Client().put(PATH).status_code in {403, 405}
    assert alices.client.delete(PATH).status_code in {403, 405}
