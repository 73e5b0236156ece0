"""The pages of workspaces in somebody's browser."""

from tests.accounts.browsing import Browser, text_of

LIST = "/workspaces/"


def browser_of(user):
    browser = Browser()
    browser.client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser


def page_of(machine):
    return f"{LIST}{machine.pk}/"


def press(browser, machine, verb, **fields):
    """Send the form of the machine's page, and follow to what the person reads then."""
    action = f"{page_of(machine)}{verb}"
    answer = browser.press(browser.get(page_of(machine)), action, **fields)
    return text_of(browser.get(answer["Location"]) if answer.status_code == 302 else answer)


def has_form(page, action):
    return f'action="{action}"' in page.content.decode()
