"""What an archive makes of a folder, kept in memory: the only thing that paths and links are judged by."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from deployments.archives import errors
from deployments.archives.paths import DOCKERFILE
from deployments.archives.tar_entries import Limits
from deployments.archives.tar_headers import Kind

_MOST_HOPS = 40
# A fifth of a second. The largest dependency folders have some ten thousand links of about ten steps each.
_MOST_STEPS = 300_000
_DEEPEST_SEARCH, _MOST_SEARCHED = 3, 1000
_PLAIN = frozenset({Kind.FILE, Kind.HARD_LINK})


@dataclass(frozen=True, slots=True)
class Contents:
    """What a checked archive holds.

    `dockerfile` is its text. `has_fly_toml` and `has_environment_file`: whether it brought files of the names
    `fly.toml` and `.env` along at its top; neither is ever unpacked. `environment_files` are the paths, fit to be
    shown, of those that are: the first few.
    """

    files: int
    dockerfile: str = field(repr=False)
    has_fly_toml: bool
    has_environment_file: bool
    # It is told to people and nothing else, so it makes no difference between two contents.
    environment_files: tuple[str, ...] = field(default=(), compare=False)


@dataclass(slots=True)
class Node:
    """A file, a link or a folder; `target` is a symbolic link's."""

    kind: Kind
    children: "dict[str, Node]" = field(default_factory=dict)
    target: tuple[str, ...] = ()


class Tree:
    """The folder so far. Every method raises Refused or TooLarge when something may not be."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._root = Node(Kind.FOLDER)
        self._links: list[tuple[str, ...]] = []
        self._count = 0
        self._steps = 0
        # Where links end, and through how many others: nodes are kept as long as this is.
        self._ends: dict[int, tuple[tuple[Node | None, ...], int]] = {}
        self.is_empty = True

    def add(self, parts: tuple[str, ...], kind: Kind, target: tuple[str, ...] = ()) -> None:
        """Put something at a path, and nothing behind a link. Of two files, or two links, the last one counts.

        Folders may be told again. A file never takes a link's place, nor the other way around.
        """
        self.is_empty = False
        if parts[:1] == (DOCKERFILE,) and (len(parts) > 1 or kind is not Kind.FILE):
            raise errors.must_be_file(parts[0])
        if not parts:
            if kind is not Kind.FOLDER:
                raise errors.damaged()
            return
        parent = self._folder(parts)
        if there := parent.children.get(parts[-1]):
            if there.kind is kind is Kind.FOLDER:
                return
            if not (there.kind is kind is Kind.SYMLINK or {there.kind, kind} <= _PLAIN):
                raise errors.twice("/".join(parts))
            there.kind, there.target = kind, target
            return
        self._put(parent, parts[-1], Node(kind, target=target))
        if kind is Kind.SYMLINK:
            self._links.append(parts)

    def require_file(self, parts: tuple[str, ...], link: str) -> None:
        """Refuse a hard link unless it leads to a file that is unpacked, and was before it."""
        if not self.has_file(parts):
            raise errors.link_to_nothing(link)

    def has_file(self, parts: tuple[str, ...]) -> bool:
        """Whether there is a file at the path by now, be it a hard link."""
        node: Node | None = self._root
        for part in parts:
            node = node.children.get(part) if node else None
        return node is not None and node.kind in _PLAIN

    def only_folder_with(self, name: str) -> str:
        """The topmost folder that has a file of this name, when it is the only one on its level; "" else.

        Looked for behind folders that are alone at the top, and below the top itself.
        """
        level = [("", self._root)]
        for _ in range(_DEEPEST_SEARCH):
            level = [
                (f"{path}{part}/", node)
                for path, above in level
                for part, node in above.children.items()
                if node.kind is Kind.FOLDER
            ][:_MOST_SEARCHED]
            found = [path for path, node in level if name in node.children and node.children[name].kind in _PLAIN]
            if found:
                return found[0] if len(found) == 1 else ""
        return ""

    def require_links_inside(self) -> None:
        """Refuse symbolic links that lead out of the folder, on whatever way."""
        for parts in self._links:
            self._follow(parts)

    def links(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Each symbolic link's path and target."""
        for parts in self._links:
            yield parts, self._at(parts).target

    def _folder(self, parts: tuple[str, ...]) -> Node:
        """The folder that the path lies in; those on the way that weren't told are made."""
        node = self._root
        for part in parts[:-1]:
            child = node.children.get(part)
            if child is None:
                child = self._put(node, part, Node(Kind.FOLDER))
            if child.kind is not Kind.FOLDER:
                raise errors.through_link("/".join(parts))
            node = child
        return node

    def _put(self, parent: Node, name: str, node: Node) -> Node:
        self._count += 1
        if self._count > self._limits.entries:
            raise errors.too_many(self._limits.entries)
        parent.children[name] = node
        return node

    def _at(self, parts: tuple[str, ...]) -> Node:
        node = self._root
        for part in parts:
            node = node.children[part]
        return node

    def _follow(self, link: tuple[str, ...]) -> None:
        """Walk as a system would, from link to link; what isn't there yet is taken for a folder."""
        self._walk([], link, link, depth=0)

    def _walk(
        self, way: list[Node | None], ahead: tuple[str, ...], link: tuple[str, ...], *, depth: int
    ) -> tuple[list[Node | None], int]:
        """Go on from `way` for the sake of `link`; gives where that ends, and through how many links it led."""
        hops = 0
        for part in ahead:
            self._step()
            if part == "..":
                if not way:
                    raise errors.link_leaves("/".join(link))
                way.pop()
                continue
            parent = way[-1] if way else self._root
            node = parent.children.get(part) if parent else None
            if node is None or node.kind is not Kind.SYMLINK:
                way.append(node)
                continue
            way, more = self._led(node, way, link, depth=depth + 1)
            hops += more
            if hops > _MOST_HOPS:
                raise errors.too_tangled()
        return way, hops

    def _led(
        self, node: Node, way: list[Node | None], link: tuple[str, ...], *, depth: int
    ) -> tuple[list[Node | None], int]:
        """Where a link in the folder `way` leads to. It is walked once, since it lies in one place only."""
        known = self._ends.get(id(node))
        if known is None:
            if depth > _MOST_HOPS:
                raise errors.too_tangled()
            end, hops = self._walk(list(way), node.target, link, depth=depth)
            known = self._ends[id(node)] = (tuple(end), hops + 1)
        else:
            self._step(len(known[0]))
        return list(known[0]), known[1]

    def _step(self, count: int = 1) -> None:
        self._steps += count
        if self._steps > _MOST_STEPS:
            raise errors.too_tangled()
