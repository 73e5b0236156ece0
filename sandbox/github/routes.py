"""Where the stand-in for GitHub answers."""

from aiohttp import web

from sandbox.answers import html_answer
from sandbox.github import api, oauth, organizations
from sandbox.pages import message_page


def add_routes(app: web.Application) -> None:
    """Mount GitHub's web host at /github, its API at /github/api and, as Enterprise, at /api/v3."""
    router = app.router
    router.add_get("/github/login/oauth/authorize", oauth.authorize_page)
    router.add_post("/github/login/oauth/authorize", oauth.authorize)
    router.add_post("/github/login/oauth/access_token", oauth.access_token)
    for prefix in ("/github/api", "/github/api/v3"):
        router.add_get(f"{prefix}/user", api.user)
        router.add_get(f"{prefix}/user/emails", api.emails)
        router.add_get(f"{prefix}/user/orgs", api.orgs)
        router.add_get(f"{prefix}/orgs/{{org}}", organizations.about)
        router.add_get(f"{prefix}/orgs/{{org}}/members", organizations.members)
        router.add_get(f"{prefix}/orgs/{{org}}/members/{{login}}", organizations.member)


def unmatched(path: str) -> web.Response:
    """Answer for a path that nobody serves."""
    if path.startswith("/github/api"):
        return api.not_found()
    text = message_page(service="GitHub", title="404", sentences=["This is not the web page you are looking for."])
    return html_answer(text, status=404)
