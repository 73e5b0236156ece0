"""Who may see and press what of the pages of workspaces. `{jti}` is the id of a webhook token of alice's machine."""

from tests.access.entries import Visit, signed_in

_LIST, _PAGE = "/workspaces/", "/workspaces/{machine}/"
_NO_MACHINE = {"{machine}": "00000000-0000-4000-8000-00000000dddd"}
_OFFER, _NO_OFFER = "/workspaces/offers/{offer}/", {"{offer}": "00000000-0000-4000-8000-00000000eeee"}
_DEV_UI, _DEV_UI_QUOTED = "/auth/dev-ui?app={dev}", "/auth/dev-ui%3Fapp%3D{dev}"


def _for_members(action: str, leads_to: str = _PAGE, /, **form: str) -> list[Visit]:
    """What its members may do, and for everybody else isn't there."""
    path = f"{_PAGE}{action}"
    return _action(path, signed_in(_PAGE, 404, alice=leads_to, member=leads_to), form)


def _for_owners(action: str, leads_to: str = _PAGE, /, **form: str) -> list[Visit]:
    """What only alice may do, and for everybody else, a member too, isn't there."""
    path = f"{_PAGE}{action}"
    return _action(path, signed_in(_PAGE, 404, alice=leads_to), form)


def _about_offer(action: str, **leads: str) -> list[Visit]:
    """What only the named may do about alice's offer to the member, and for everybody else isn't there."""
    path = f"{_OFFER}{action}"
    return [
        Visit("POST", path, signed_in(_LIST, 404, **leads), absent=_NO_OFFER),
        Visit("GET", path, signed_in(path, 405)),
    ]


def _action(path: str, statuses: dict[str, int | str], form: dict[str, str]) -> list[Visit]:
    return [
        Visit("POST", path, statuses, form=form, absent=_NO_MACHINE),
        Visit("GET", path, signed_in(path, 405)),
    ]


WORKSPACES: dict[str, list[Visit]] = {
    "auth/dev-ui": [
        Visit(
            "GET",
            _DEV_UI,
            signed_in(_DEV_UI_QUOTED, 403, alice="{dev_ui}", member="{dev_ui}"),
            absent={"{dev}": "crayon-dev-00000000"},
        )
    ],
    "workspaces": [Visit("GET", "/workspaces", signed_in("/workspaces", _LIST))],
    "workspaces/": [Visit("GET", _LIST, signed_in(_LIST, 200))],
    "workspaces/states": [Visit("GET", f"{_LIST}states", signed_in(f"{_LIST}states", 200))],
    "workspaces/offers/<uuid:offer_id>/accept": _about_offer("accept", member=_PAGE),
    "workspaces/offers/<uuid:offer_id>/decline": _about_offer("decline", member=_LIST),
    "workspaces/offers/<uuid:offer_id>/withdraw": _about_offer("withdraw", alice=_LIST),
    "workspaces/<uuid:machine_id>/": [
        Visit("GET", _PAGE, signed_in(_PAGE, 404, alice=200, member=200), absent=_NO_MACHINE),
    ],
    "workspaces/<uuid:machine_id>/start": _for_members("start"),
    "workspaces/<uuid:machine_id>/stop": _for_members("stop", _LIST, back="list"),
    "workspaces/<uuid:machine_id>/try-again": _for_owners("try-again"),
    "workspaces/<uuid:machine_id>/keep-alive": _for_owners("keep-alive", hours="8"),
    "workspaces/<uuid:machine_id>/destroy": _for_owners("destroy", _LIST, name="studio"),
    "workspaces/<uuid:machine_id>/members": _for_owners("members", login="alice", role="owner"),
    "workspaces/<uuid:machine_id>/members/remove": _for_owners("members/remove", login="alice"),
    "workspaces/<uuid:machine_id>/transfer": _for_owners("transfer", login="alice"),
    "workspaces/<uuid:machine_id>/tokens/<uuid:jti>/revoke": _for_owners("tokens/{jti}/revoke"),
}
