"""A request as gunicorn's parser gives it, whose body may be read as it comes, or not at all."""

from typing import Any

from gunicorn.http.body import Body, LengthReader
from gunicorn.http.message import Request


class ComingBody(Body):  # type: ignore[misc]  # gunicorn is untyped
    """gunicorn's body, which can also be read as far as it has come."""

    def read1(self, size: int) -> bytes:
        """At most `size` bytes; waits for the first one only, as `io.BufferedIOBase.read1` does. b"" at the end."""
        if self.buf.tell():
            return bytes(self.read(min(size, self.buf.tell())))
        first: bytes = b"" if self._held() else self._read_reader(1)
        more = min(size - len(first), self._held())
        return first + (bytes(self._read_reader(more)) if more else b"")

    def is_read(self) -> bool:
        """Whether nothing of it is left that has not come yet."""
        if isinstance(self.reader, LengthReader):
            return bool(self.reader.length <= self.reader.unreader.held)
        return not getattr(self.reader, "parser", None)

    def _held(self) -> int:
        """Bytes of it that have come and were not read."""
        if isinstance(self.reader, LengthReader):
            return min(int(self.reader.length), int(self.reader.unreader.held))
        return int(self.reader.buf.tell())


class ComingRequest(Request):  # type: ignore[misc]  # the same
    """gunicorn's request. Its connection ends with the answer when there is body left that nobody has read."""

    body: ComingBody

    def set_body_reader(self) -> None:
        """Let the body be read as it comes."""
        super().set_body_reader()
        self.body = ComingBody(self.body.reader)

    def should_close(self) -> bool:
        """Whether the answer is the last one on this connection, and says so."""
        return bool(super().should_close()) or self._says_close() or self._leaves_body()

    def _says_close(self) -> bool:
        """Whether `close` is among the options, of which gunicorn knows but a single one (RFC 9110, section 7.6.1)."""
        options = (value for name, value in self.headers if name == "CONNECTION")
        return any(option.strip(" \t").lower() == "close" for value in options for option in value.split(","))

    def _leaves_body(self) -> bool:
        unreader: Any = self.unreader
        has_all = not isinstance(self.body.reader, LengthReader) and not unreader.is_large
        return not has_all and not self.body.is_read()
