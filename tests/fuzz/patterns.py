"""Every pattern of this project, found by looking: nobody has to remember to name one here."""

import ast
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from django import forms
from django.apps import apps
from django.core.validators import RegexValidator
from django.urls import get_resolver
from django.urls.converters import get_converters

from tests.fuzz.pumping import ALL_METHODS

TOP = Path(__file__).parents[2]
# Tools of those who work on this project, which meet no stranger's text.
_TOOLS = {"bench", "dev", "tests"}
# The admin's last address: Django's own, and the length of a path is bounded.
_GIVEN = {r"(?P<url>.*)$"}
_FUNCTIONS = {"match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer", "compile"}
_LIKE_SEARCH = {"search": "search", "sub": "sub", "subn": "sub", "split": "sub", "findall": "sub", "finditer": "sub"}


@dataclass(frozen=True)
class Found:
    """A pattern, where it stands, and the methods that are called with strangers' text."""

    where: str
    pattern: re.Pattern[Any]
    methods: frozenset[str] = ALL_METHODS


@cache
def all_patterns() -> tuple[Found, ...]:
    """Patterns in modules, in calls, in addresses, and of the fields of models and forms."""
    found = [*_of_modules(), *_of_calls(), *_of_addresses(), *_of_fields()]
    return tuple({(each.pattern, each.methods): each for each in found}.values())


def packages() -> list[str]:
    """The top-level packages that may meet strangers' text."""
    return sorted({path.parent.name for path in TOP.glob("*/__init__.py")} - _TOOLS)


@cache
def modules() -> Mapping[str, ModuleType]:
    """Every module of this project by its name."""
    names = list(packages())
    for package in packages():
        names += [
            info.name
            for info in pkgutil.walk_packages([str(TOP / package)], prefix=f"{package}.")
            if not info.name.endswith("__main__")
        ]
    return {name: importlib.import_module(name) for name in names}


@cache
def trees() -> Mapping[Path, ast.Module]:
    """Every file of Python by its path."""
    files = [path for package in packages() for path in sorted((TOP / package).rglob("*.py"))]
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in [TOP / "manage.py", *files]}


def _of_modules() -> Iterator[Found]:
    for name, module in modules().items():
        for attribute, value in vars(module).items():
            for pattern in _within(value):
                yield Found(f"{name}.{attribute}", pattern, _methods(name, attribute, is_alone=pattern is value))


def _within(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, RegexValidator):
        yield re.compile(value.regex)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from (*_within(key), *_within(inner))
    elif isinstance(value, (tuple, list, set, frozenset)):
        for inner in value:
            yield from _within(inner)


def _methods(module: str, attribute: str, *, is_alone: bool) -> frozenset[str]:
    """How a module's pattern is used: by the methods named right after it, else in every way."""
    used: set[str] = set()
    for path, names in _usage().items():
        local = attribute if path == _file_of(module) else names.imported.get((module, attribute), "")
        if local in names.handed_on or not is_alone:
            return ALL_METHODS
        used |= names.methods.get(local, set())
    methods = {_LIKE_SEARCH.get(method, method) for method in used} & ALL_METHODS
    return frozenset(methods) or ALL_METHODS


@dataclass
class _Names:
    """What one file does with its names."""

    imported: dict[tuple[str, str], str]
    methods: dict[str, set[str]]
    handed_on: set[str]


@cache
def _usage() -> dict[Path, _Names]:
    return {path: _names_of(tree) for path, tree in trees().items()}


def _names_of(tree: ast.Module) -> _Names:
    names = _Names({}, {}, set())
    loaded: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.imported |= {(node.module, alias.name): alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names.methods.setdefault(node.value.id, set()).add(node.attr)
            loaded[node.value.id] -= 1
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            loaded[node.id] += 1
    # As an argument, or in another variable: nobody knows what is done with it there.
    names.handed_on = {name for name, count in loaded.items() if count > 0}
    return names


def _file_of(module: str) -> Path:
    return Path(str(modules()[module].__file__))


def _of_calls() -> Iterator[Found]:
    """Patterns within functions, where a module's variables don't show them."""
    spaces = {_file_of(name): vars(module) for name, module in modules().items()}
    for path, tree in trees().items():
        for call, is_within in _calls(tree, inside=False):
            function, source = call.func, call.args[0]
            if not is_within and not isinstance(source, (ast.Constant, ast.JoinedStr)):
                continue  # its result is among the module's variables
            method = function.attr if isinstance(function, ast.Attribute) else "compile"
            where = f"{path.relative_to(TOP)}:{call.lineno}"
            text = _value(source, spaces.get(path, {}), where)
            if isinstance(text, re.Pattern):
                text = text.pattern
            method = _LIKE_SEARCH.get(method, method)
            methods = frozenset({method}) if method in ALL_METHODS else ALL_METHODS
            if is_within or method in ALL_METHODS:
                yield Found(where, re.compile(text, _flags(call, spaces.get(path, {}))), methods)


def _calls(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.Call, bool]]:
    for child in ast.iter_child_nodes(node):
        within = inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef))
        if isinstance(child, ast.Call) and child.args and _is_of_patterns(child.func):
            yield child, inside
        yield from _calls(child, inside=within)


def _is_of_patterns(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        is_re = isinstance(function.value, ast.Name) and function.value.id == "re"
        return (is_re and function.attr in _FUNCTIONS) or function.attr in {"RegexField", "RegexValidator"}
    return isinstance(function, ast.Name) and function.id in {"RegexField", "RegexValidator", "re_path"}


def _value(source: ast.expr, space: Mapping[str, object], where: str) -> Any:
    try:
        return eval(compile(ast.Expression(source), where, "eval"), dict(space))
    except NameError as error:
        raise AssertionError(f"{where}: make this pattern from what is known when the module is loaded") from error


def _flags(call: ast.Call, space: Mapping[str, object]) -> int:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "flags"] or [
        argument for argument in call.args[1:] if "re." in ast.unparse(argument)
    ]
    return int(_value(given[0], space, "flags")) if given else 0


def _of_addresses() -> Iterator[Found]:
    left = [get_resolver()]
    while left:
        resolver = left.pop()
        for entry in resolver.url_patterns:
            pattern = re.compile(entry.pattern.regex)
            if pattern.pattern not in _GIVEN:
                yield Found(f"the address {entry.pattern}", pattern, frozenset({"search"}))
            if hasattr(entry, "url_patterns"):
                left.append(entry)
    for name, converter in get_converters().items():
        yield Found(f"the converter {name}", re.compile(converter.regex), frozenset({"match"}))


def _of_fields() -> Iterator[Found]:
    list(modules())  # their classes are known from here on
    fields = [
        *((model._meta.label, field.validators) for model in apps.get_models() for field in model._meta.fields),
        *((kind.__name__, field.validators) for kind in _kinds(forms.BaseForm) for field in kind.base_fields.values()),
    ]
    for where, validators in fields:
        for validator in validators:
            # Django's own for addresses look at the length first.
            if type(validator) is RegexValidator or type(validator).__module__.startswith(tuple(packages())):
                for pattern in _within(validator):
                    yield Found(f"a field of {where}", pattern, frozenset({"search"}))


def _kinds(kind: type) -> Iterator[Any]:
    for inner in kind.__subclasses__():
        if inner.__module__.partition(".")[0] in packages():
            yield inner
        yield from _kinds(inner)
