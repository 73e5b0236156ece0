"""People before the server: the dance with GitHub, CLI logins in each of their states, another issuer's people."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import CLILogin, Organization, User
from accounts.services import cli_login
from accounts.services.configured_organizations import bind
from accounts.trusted_issuers import key_validation, signing_keys
from config.config_sections import KeyValidation, TrustedTokens
from tests.accounts.browsing import Browser
from tests.accounts.issuer import AUDIENCE, Issuer
from tests.operators import browser_of as operators_browser
from tests.operators import make_operator
from tests.sandbox_process import SandboxProcess


@pytest.fixture
def github(sandbox: SandboxProcess) -> SandboxProcess:
    """The stand-in for GitHub, which sends people back to this test's server."""
    sandbox.settings(redirect_hosts=["testserver"])
    return sandbox


@pytest.fixture
def browser(db: None) -> Browser:
    return Browser()


@pytest.fixture
def browser_of(db: None) -> Callable[..., Browser]:
    """A browser in which a person is signed in already."""

    def sign_in(user: User, **options: Any) -> Browser:
        browser = Browser(**options)
        browser.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return browser

    return sign_in


@pytest.fixture
def alices(browser_of: Callable[..., Browser], alice: User) -> Browser:
    """alice's browser."""
    return browser_of(alice)


@pytest.fixture
def bobs(browser_of: Callable[..., Browser], bob: User) -> Browser:
    """bob's browser."""
    return browser_of(bob)


@pytest.fixture
def charlies(browser_of: Callable[..., Browser], charlie: User) -> Browser:
    """charlie's browser."""
    return browser_of(charlie)


@pytest.fixture
def operator(db: None) -> User:
    return make_operator()


@pytest.fixture
def operators(operator: User) -> Client:
    """The operator's browser."""
    return operators_browser(operator)


@pytest.fixture
def started(db: None) -> Callable[..., tuple[str, str]]:
    """Start a CLI login and give its code and secret."""

    def start(**client: Any) -> tuple[str, str]:
        described = {"client_name": "crayon CLI", "hostname": "laptop", "address": "127.0.0.1", **client}
        login = cli_login.start(client=CLILogin(**described), now=timezone.now())
        return login.code, login.secret

    return start


@pytest.fixture
def approved(started: Callable[..., tuple[str, str]], alice: User) -> tuple[str, str]:
    """Code and secret of a login that alice has approved."""
    code, secret = started()
    cli_login.approve(login=CLILogin.objects.get(code=code), user=alice, now=timezone.now())
    return code, secret


@pytest.fixture
def quick_hashing(settings: Any) -> None:
    """Many passwords are tried; what makes each of them slow is Django's."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]


@pytest.fixture
def issuer(settings: Any) -> Iterator[Issuer]:
    """An application that the settings trust."""
    signing_keys.forget_all()
    key_validation.forget_all()
    with Issuer() as application:
        settings.TRUSTED_TOKENS = TrustedTokens(
            jwks_uri=f"{application.url}/.well-known/jwks.json", issuer=application.url, audience=AUDIENCE
        )
        settings.KEY_VALIDATION = KeyValidation(validation_url=f"{application.url}/api/auth/validate-key")
        yield application
    signing_keys.forget_all()
    key_validation.forget_all()


@pytest.fixture
def acme(db: None, issuer: Issuer) -> Organization:
    """An organization here in which the application's tokens may act."""
    organization = Organization.objects.create(name="Acme", slug="acme")
    bind(organization=organization, issuer=issuer.url, now=timezone.now())
    return organization
