"""`make map`: which layer may import which, and what each folder and module is for, read from the code itself."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_NOT_MAPPED = {"migrations", "management", "formats"}
_COLUMN = 44


def linter() -> dict[str, Any]:
    """Give import-linter's part of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"]["importlinter"])


def layers() -> Iterator[str]:
    """Give the contracts, each with its layers: each imports the ones below it, and none above."""
    for contract in linter()["contracts"]:
        yield contract["name"]
        for layer in contract.get("layers", []):
            yield "    " + re.sub(r"[()]", "", layer).replace(" :", ",").replace(" |", " beside")


def purpose(path: Path) -> str:
    """Give the first line of a module's docstring, or of a package's; nothing where there is none."""
    path = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else None
    return (docstring or "").partition("\n")[0]


def modules(folder: Path) -> Iterator[Path]:
    """Give the folder, and then the modules and packages in it, at every depth."""
    yield folder
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.is_dir() and (path / "__init__.py").exists() and path.name not in _NOT_MAPPED:
            yield from modules(path)
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield path


def tree(package: str) -> Iterator[str]:
    """Give a line for each folder and module of a top-level package."""
    for path in modules(ROOT / package):
        depth = len(path.relative_to(ROOT).parts) - 1
        name = "  " * depth + path.name + ("/" if path.is_dir() else "")
        yield f"{name:<{_COLUMN}}{purpose(path)}".rstrip()


def main(packages: list[str]) -> None:
    """Print the layers and all packages; with arguments, those packages alone."""
    lines = [] if packages else ["Who may import whom", "", *layers(), ""]
    for package in packages or linter()["root_packages"]:
        lines += [*tree(package), ""]
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1:])
