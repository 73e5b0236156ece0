"""Who may call and see what of deployed apps and their builds."""

from tests.access.entries import Call, Visit, signed_in, with_token

_NO_SHOP = {"shop": "no-such-app"}
_APPS, _APP = "/deployments/", "/deployments/{app}/"
_BUILD, _NO_BUILD = "/deployments/{app}/builds/{build}", {"{build}": "00000000-0000-4000-8000-00000000bbbb"}
_NO_DEPLOYMENT = {"{app}": "00000000-0000-4000-8000-00000000aaaa"}
_DESTROY, _NEWS = f"{_APP}destroy", f"{_BUILD}/news"
_CANCEL, _REDEPLOY = f"{_BUILD}/cancel", f"{_BUILD}/redeploy"

DEPLOYMENT_CALLS: dict[str, list[Call]] = {
    # What somebody else prepares is an app of their own.
    "api/deploy/prepare": [
        Call("POST", "/api/deploy/prepare", with_token(alice=200, others=200), body={"appName": "shop"})
    ],
    "api/deploy/push": [
        Call(
            "POST",
            "/api/deploy/push",
            # The archive holds nothing, which alice alone is told.
            with_token(alice=400, others=404),
            body={"appName": "shop", "archive": ""},
            absent=_NO_SHOP,
        )
    ],
    # An app of somebody else has the status of one that was never there.
    "api/deploy/status": [
        Call("GET", "/api/deploy/status?appName=shop", with_token(alice=200, others=200), absent=_NO_SHOP)
    ],
    "api/deploy/logs": [
        Call("GET", "/api/deploy/logs?appName=shop", with_token(alice=200, others=404), absent=_NO_SHOP)
    ],
    "api/deploy/cancel": [
        Call(
            "POST",
            "/api/deploy/cancel",
            with_token(alice=200, others=404),
            body={"appName": "shop"},
            absent=_NO_SHOP,
        )
    ],
    "api/deploy/builds": [
        Call("GET", "/api/deploy/builds?appName=shop", with_token(alice=200, others=404), absent=_NO_SHOP)
    ],
}

DEPLOYMENT_PAGES: dict[str, list[Visit]] = {
    "deployments": [Visit("GET", "/deployments", signed_in("/deployments", _APPS))],
    "deployments/": [Visit("GET", _APPS, signed_in(_APPS, 200))],
    "deployments/<uuid:deployment_id>/": [
        Visit("GET", _APP, signed_in(_APP, 404, alice=200), absent=_NO_DEPLOYMENT),
    ],
    "deployments/<uuid:deployment_id>/logs": [
        Visit("GET", f"{_APP}logs", signed_in(f"{_APP}logs", 404, alice=200), absent=_NO_DEPLOYMENT),
    ],
    "deployments/<uuid:deployment_id>/destroy": [
        Visit("POST", _DESTROY, signed_in(_APP, 404, alice=_APPS), form={"name": "shop"}, absent=_NO_DEPLOYMENT),
        Visit("GET", _DESTROY, signed_in(_DESTROY, 405)),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>": [
        Visit("GET", _BUILD, signed_in(_BUILD, 404, alice=200), absent=_NO_BUILD),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/news": [
        Visit("GET", _NEWS, signed_in(_NEWS, 404, alice=200), absent=_NO_BUILD),
    ],
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/cancel": [
        Visit("POST", _CANCEL, signed_in(_BUILD, 404, alice=_BUILD), absent=_NO_BUILD),
        Visit("GET", _CANCEL, signed_in(_CANCEL, 405)),
    ],
    # The build has made no image: alice is led back to it and told so.
    "deployments/<uuid:deployment_id>/builds/<uuid:build_id>/redeploy": [
        Visit("POST", _REDEPLOY, signed_in(_BUILD, 404, alice=_BUILD), absent=_NO_BUILD),
        Visit("GET", _REDEPLOY, signed_in(_REDEPLOY, 405)),
    ],
}
