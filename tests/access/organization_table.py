"""Who may call, see and press what of organizations.

`{org}` is the slug of alice's, of which `{member_id}` is a member. `{invitation}` is the id of an invitation to it, to
a stranger's address, whose link has `{invite_link}`; `{received}` that of the member's, to another one of alice's.
"""

from collections.abc import Mapping
from typing import Any

from tests.access.entries import Call, Visit, signed_in, with_token

_API, _NO_ORG = "/api/orgs/{org}", {"{org}": "no-such-team"}
_NOBODY_ID = "00000000-0000-4000-8000-00000000cccc"


def _for_members(method: str, path: str, /, body: Mapping[str, Any] | None = None, **others: int) -> Call:
    """What strangers to the organization are told is not there, and alice's key, which is for another one of hers.

    What decides about members no key does.
    """
    statuses = with_token(alice=others["alice"], others=404, member=others["member"], key=others.get("key", 403))
    return Call(method, f"{_API}{path}", statuses, body=body, absent=_NO_ORG)


def _for_invited(action: str) -> list[Call]:
    """What only whoever is invited may do."""
    path = f"/api/invitations/{{received}}/{action}"
    return [
        Call("POST", path, with_token(alice=404, others=404, member=200, key=403), absent={"{received}": _NOBODY_ID}),
    ]


_MEMBER, _INVITATION = "/members/{member_id}", "/invitations/{invitation}"
ORGANIZATION_CALLS: dict[str, list[Call]] = {
    "api/orgs": [
        Call("GET", "/api/orgs", with_token(alice=200, others=200)),
        Call("POST", "/api/orgs", with_token(alice=201, others=201), body={"name": "New team", "slug": "new-team"}),
    ],
    "api/orgs/<str:slug>": [
        _for_members("GET", "", alice=200, member=200, key=404),
        _for_members("PATCH", "", body={"name": "Another name"}, alice=200, member=403, key=404),
        _for_members("DELETE", "", alice=200, member=403),
    ],
    "api/orgs/<str:slug>/members": [_for_members("GET", "/members", alice=200, member=200, key=404)],
    "api/orgs/<str:slug>/members/<uuid:user_id>": [
        _for_members("PATCH", _MEMBER, body={"role": "admin"}, alice=200, member=403),
        # The member leaves by it.
        _for_members("DELETE", _MEMBER, alice=200, member=200),
    ],
    "api/orgs/<str:slug>/leave": [_for_members("POST", "/leave", alice=409, member=200)],
    "api/orgs/<str:slug>/transfer": [
        _for_members("POST", "/transfer", body={"userId": "{member_id}"}, alice=200, member=403)
    ],
    "api/orgs/<str:slug>/invitations": [
        _for_members("GET", "/invitations", alice=200, member=403, key=404),
        _for_members("POST", "/invitations", body={"email": "somebody@example.com"}, alice=201, member=403),
    ],
    "api/orgs/<str:slug>/invitations/<uuid:invitation_id>": [
        _for_members("DELETE", _INVITATION, alice=200, member=403)
    ],
    "api/invitations": [Call("GET", "/api/invitations", with_token(alice=200, others=200))],
    "api/invitations/<uuid:invitation_id>/accept": _for_invited("accept"),
    "api/invitations/<uuid:invitation_id>/decline": _for_invited("decline"),
}

_LIST, _PAGE = "/organizations/", "/organizations/{org}/"
_LINK = "/invitations/?link={invite_link}"


def _action(action: str, /, form: Mapping[str, str] | None = None, **leads: int | str) -> list[Visit]:
    """A button of the organization's page, which for strangers isn't there."""
    path = f"{_PAGE}{action}"
    return [
        Visit("POST", path, signed_in(_PAGE, 404, **leads), form=form or {}, absent=_NO_ORG),
        Visit("GET", path, signed_in(path, 405)),
    ]


def _decision(action: str, leads_to: str) -> list[Visit]:
    """What only whoever is invited may do."""
    path = f"/invitations/{{received}}/{action}"
    return [
        Visit("POST", path, signed_in(_LIST, 404, member=leads_to), absent={"{received}": _NOBODY_ID}),
        Visit("GET", path, signed_in(path, 405)),
    ]


_ROUTE = "organizations/<slug:slug>/"
_SWITCH = [
    Visit("POST", f"{_PAGE}switch", signed_in(_LIST, 404, alice=_LIST, member=_LIST), absent=_NO_ORG),
    Visit("GET", f"{_PAGE}switch", signed_in(f"{_PAGE}switch", 405)),
]
ORGANIZATION_PAGES: dict[str, list[Visit]] = {
    "organizations": [Visit("GET", "/organizations", signed_in("/organizations", _LIST))],
    "organizations/": [
        Visit("GET", _LIST, signed_in(_LIST, 200)),
        Visit(
            "POST",
            _LIST,
            signed_in(_LIST, "/organizations/new-team/"),
            form={"name": "New team", "slug": "new-team"},
        ),
    ],
    _ROUTE: [Visit("GET", _PAGE, signed_in(_PAGE, 404, alice=200, member=200), absent=_NO_ORG)],
    f"{_ROUTE}switch": _SWITCH,
    f"{_ROUTE}rename": _action("rename", {"name": "Another name"}, alice=_PAGE, member=403),
    f"{_ROUTE}members/<uuid:user_id>/role": _action(
        "members/{member_id}/role", {"role": "admin"}, alice=_PAGE, member=403
    ),
    # The member leaves by it.
    f"{_ROUTE}members/<uuid:user_id>/remove": _action("members/{member_id}/remove", alice=_PAGE, member=_LIST),
    # The last owner is told that they can't.
    f"{_ROUTE}leave": _action("leave", alice=_PAGE, member=_LIST),
    f"{_ROUTE}transfer": _action("transfer", {"user_id": "{member_id}"}, alice=_PAGE, member=403),
    f"{_ROUTE}delete": _action("delete", {"name": "{org}"}, alice=_LIST, member=403),
    f"{_ROUTE}invitations": _action(
        "invitations", {"email": "somebody@example.com", "role": "member"}, alice=200, member=403
    ),
    f"{_ROUTE}invitations/<uuid:invitation_id>/withdraw": _action(
        "invitations/{invitation}/withdraw", alice=_PAGE, member=403
    ),
    # Whoever has the link sees what it is about; accepting is for whom it is made to.
    "invitations/": [Visit("GET", _LINK, signed_in(_LINK.replace("?", "%3F").replace("=", "%3D"), 200))],
    "invitations/<uuid:invitation_id>/accept": _decision("accept", "/organizations/other-team/"),
    "invitations/<uuid:invitation_id>/decline": _decision("decline", _LIST),
}
