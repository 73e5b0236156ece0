"""What `make dev` says once everything runs."""

from dev import superuser
from dev.options import Options

_TEXT = """
  Server      {public}
  Admin       {public}/admin/        {login}
  Apps        {public}/deployments/     deployed from archives, by the worker
  API         {public}/api/docs
  Sandbox     {sandbox}     stands in for GitHub, Nango and Fly
  Requests    {state}/logs/server.log     warnings and errors appear here, too
  State       {state}     database, keys, logs, and what the sandbox knows

  Log a command line in:

    curl -sX POST {public}/api/auth/cli/session
        answers a code and a secret, which take the places of CODE and SECRET below
    {opener} "{public}/auth/cli?cli_code=CODE"
        sign in as alice, bob, charlie or anybody, and approve
    curl -s "{public}/api/auth/cli/check?code=CODE&secret=SECRET"
        answers pending, then approved with the token

  Ctrl-C stops everything.
"""


def text(options: Options, *, password: str | None, opener: str) -> str:
    """Return addresses, the operator's login, and the walk-through.

    password: None when the operator was not made here. opener: the command that opens a page.
    """
    login = (
        f"{superuser.NAME} / {password}"
        if password
        else f'{superuser.NAME}, made elsewhere (make manage ARGS="changepassword {superuser.NAME}")'
    )
    return _TEXT.format(
        public=options.public_url,
        sandbox=options.sandbox_url,
        state=options.state,
        login=login,
        opener=opener,
    )
