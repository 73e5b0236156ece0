"""Who may see and press what of the pages of workspaces. `{jti}` is the id of a webhook token of alice's machine."""

from tests.access.table import Visit, signed_in

_LIST, _PAGE = "/workspaces/", "/workspaces/{machine}/"
_NO_MACHINE = {"{machine}": "00000000-0000-4000-8000-00000000dddd"}


def _deed(deed: str, leads_to: str = _PAGE, /, **form: str) -> list[Visit]:
    """What only alice may do, and for everybody else isn't there."""
    path = f"{_PAGE}{deed}"
    return [
        Visit("POST", path, signed_in(path, 404, alice=leads_to), form=form, absent=_NO_MACHINE),
        Visit("GET", path, signed_in(path, 405)),
    ]


WORKSPACES: dict[str, list[Visit]] = {
    "workspaces": [Visit("GET", "/workspaces", signed_in("/workspaces", _LIST))],
    "workspaces/": [Visit("GET", _LIST, signed_in(_LIST, 200))],
    "workspaces/states": [Visit("GET", f"{_LIST}states", signed_in(f"{_LIST}states", 200))],
    "workspaces/<uuid:machine_id>/": [
        Visit("GET", _PAGE, signed_in(_PAGE, 404, alice=200), absent=_NO_MACHINE),
    ],
    "workspaces/<uuid:machine_id>/start": _deed("start"),
    "workspaces/<uuid:machine_id>/stop": _deed("stop", _LIST, back="list"),
    "workspaces/<uuid:machine_id>/keep-alive": _deed("keep-alive", hours="8"),
    "workspaces/<uuid:machine_id>/destroy": _deed("destroy", _LIST, name="studio"),
    "workspaces/<uuid:machine_id>/members": _deed("members", login="alice", role="owner"),
    "workspaces/<uuid:machine_id>/members/remove": _deed("members/remove", login="alice"),
    "workspaces/<uuid:machine_id>/transfer": _deed("transfer", login="alice"),
    "workspaces/<uuid:machine_id>/tokens/<uuid:jti>/revoke": _deed("tokens/{jti}/revoke"),
}
