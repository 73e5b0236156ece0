"""Where the control interface answers."""

from aiohttp import web

from sandbox.control import fly, github, nango, process, turning, webhooks


def add_routes(app: web.Application) -> None:
    """Mount the control interface at /_sandbox."""
    router = app.router
    connection = "/_sandbox/nango/connections/{integration}/{connection_id:[^/]+}"
    router.add_get("/_sandbox/health", process.health)
    router.add_post("/_sandbox/faults", process.order_faults)
    router.add_get("/_sandbox/faults", process.show_faults)
    router.add_delete("/_sandbox/faults", process.clear_faults)
    router.add_get("/_sandbox/state", process.state)
    router.add_post("/_sandbox/reset", process.reset)
    router.add_get("/_sandbox/requests", process.show_requests)
    router.add_delete("/_sandbox/requests", process.clear_requests)
    router.add_get("/_sandbox/settings", turning.show_settings)
    router.add_post("/_sandbox/settings", turning.change_settings)
    router.add_post("/_sandbox/nango/integrations", nango.add_integration)
    router.add_delete("/_sandbox/nango/integrations/{key}", nango.remove_integration)
    router.add_post("/_sandbox/nango/connections", nango.seed_connections)
    router.add_post(connection, nango.change_connection)
    router.add_delete(connection, nango.remove_connection)
    router.add_post("/_sandbox/nango/sessions/{token}", nango.change_session)
    router.add_get("/_sandbox/nango/webhooks", webhooks.show_webhooks)
    router.add_post("/_sandbox/nango/webhooks", webhooks.send_webhook)
    router.add_delete("/_sandbox/nango/webhooks", webhooks.clear_webhooks)
    router.add_post("/_sandbox/github/people/{login}", github.change_person)
    router.add_post("/_sandbox/github/organizations/{login}", github.change_organization)
    router.add_post("/_sandbox/github/org-token", github.change_org_token)
    router.add_delete("/_sandbox/github/tokens", github.revoke_tokens)
    router.add_get("/_sandbox/fly/settings", fly.show_settings)
    router.add_post("/_sandbox/fly/settings", fly.change_settings)
    router.add_post("/_sandbox/fly/clock", fly.turn_clock)
    router.add_post("/_sandbox/fly/regions/{region}", fly.change_region)
    router.add_post("/_sandbox/fly/apps", fly.add_app)
    router.add_post("/_sandbox/fly/apps/{app}", fly.change_app)
    router.add_delete("/_sandbox/fly/apps/{app}", fly.remove_app)
    router.add_post("/_sandbox/fly/apps/{app}/logs", fly.add_lines)
    router.add_post("/_sandbox/fly/machines/{machine}", fly.change_machine)
    router.add_delete("/_sandbox/fly/tokens", fly.revoke_tokens)
