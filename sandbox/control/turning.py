"""Control of the settings."""

from dataclasses import asdict, fields

from aiohttp import web

from sandbox.answers import json_answer
from sandbox.control.reading import read_object, refuse
from sandbox.settings import Settings
from sandbox.world import WORLD


async def show_settings(request: web.Request) -> web.Response:
    """Show all settings."""
    return json_answer(asdict(request.app[WORLD].settings))


async def change_settings(request: web.Request) -> web.Response:
    """Change the settings that are sent; show all of them."""
    known = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}
    sent = await read_object(request, known=frozenset(known))
    for name, value in sent.items():
        _check_setting(name, value, default=known[name])
    settings = request.app[WORLD].settings
    for name, value in sent.items():
        setattr(settings, name, value)
    if sent.get("rate_limit_per_minute") == 0:
        settings.rate_limit_per_minute = None
    return json_answer(asdict(settings))


def _check_setting(name: str, value: object, *, default: object) -> None:
    """Refuse a value of another type than the default's; numbers must not be negative."""
    if name == "rate_limit_per_minute" and value is None:
        return
    kinds = (int, float) if isinstance(default, float) else (type(default),)
    negative = isinstance(value, int | float) and value < 0
    wrong = not isinstance(value, kinds) or (isinstance(value, bool) and not isinstance(default, bool))
    if wrong or negative:
        refuse(f"{name} has the wrong type or value.")
