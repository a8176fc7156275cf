"""One file as text and syntax tree, with exact offsets between the two."""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from codemods.model import Unreadable

MAX_BYTES = 5_000_000
_NEWLINE = re.compile(r"\r\n|\r|\n")
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
Ranged = ast.AST
_RANGED = (ast.expr, ast.stmt, ast.alias, ast.arg, ast.keyword, ast.excepthandler)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_DECORATED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


# Fields of syntax nodes that hold no code: names, contexts and operators.
_NO_CODE = frozenset(
    {"arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "level", "module",
     "name", "op", "ops", "simple", "type_comment"}
)  # fmt: skip
_fields: dict[type[ast.AST], tuple[str, ...]] = {}


def children(node: ast.AST) -> list[ast.AST]:
    """The syntax nodes right below one, in the order of the text; twice as fast as `ast`'s."""
    kind = node.__class__
    fields = _fields.get(kind)
    if fields is None:
        fields = _fields[kind] = tuple(one for one in kind._fields if one not in _NO_CODE)
    found: list[ast.AST] = []
    for one in fields:
        value = getattr(node, one, None)
        if value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def last_name(node: ast.AST | None) -> str:
    """The last word of a name or dotted name: `set_tag` of `span.set_tag`, or ""."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


class Span(NamedTuple):
    """A half-open range of characters."""

    start: int
    end: int


class Source:
    """The text of one file, its tree, and where each node stands in the text.

    Offsets count characters of `text`, which has no byte order mark and keeps its newlines.
    Raises `Unreadable` with a reason a user can act on.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise Unreadable(
                f"the file has {len(data):,} bytes; more than {MAX_BYTES:,} is taken for generated"
            )
        self.data = data
        self.text, self.encoding = _decode(data)
        self.tree = _parse(self.text)
        self._starts = [0, *(match.end() for match in _NEWLINE.finditer(self.text))]
        self._ascii = self.text.isascii()
        self._placed = sys.version_info >= (3, 12) or not _F_STRING.search(self.text)

    def place_f_string_fields(self) -> None:
        """Correct where `ast` puts what stands inside f-strings: needed before an edit only."""
        if not self._placed:
            self._placed = True
            _place_f_string_fields(self)

    def encode(self, text: str) -> bytes:
        """The new text in the encoding, and with the byte order mark, of the old one."""
        return text.encode(self.encoding)

    @cached_property
    def newline(self) -> str:
        """The first newline of the file; what we insert uses it."""
        found = _NEWLINE.search(self.text)
        return found.group() if found else "\n"

    @cached_property
    def indent(self) -> str:
        """One level of indentation, taken from the first indented block."""
        found = re.search(r":[ \t]*(?:#.*)?[\r\n]+([ \t]+)\S", self.text)
        return found.group(1) if found else "    "

    def offset(self, line: int, utf8_column: int) -> int:
        """The character offset of a position as `ast` gives it."""
        start = self._starts[line - 1]
        if self._ascii:
            return start + utf8_column
        end = self._starts[line] if line < len(self._starts) else len(self.text)
        head = self.text[start:end].encode("utf-8", "surrogatepass")[:utf8_column]
        return start + len(head.decode("utf-8", "surrogatepass"))

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1, the column in characters."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def span(self, node: Ranged) -> Span:
        """Where a node stands, without the parentheses around it."""
        assert isinstance(node, _RANGED)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.offset(node.lineno, node.col_offset)
        if isinstance(node, _DECORATED) and node.decorator_list:
            first = self.span(node.decorator_list[0]).start
            start = self.text.rindex("@", 0, first)
        return Span(start, self.offset(node.end_lineno, node.end_col_offset))

    def segment(self, node: Ranged) -> str:
        """The text of a node as it is in the file."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_start(self, offset: int) -> int:
        """The offset at which the line of `offset` begins."""
        return self._starts[bisect_right(self._starts, offset) - 1]

    def line_end(self, offset: int) -> int:
        """The offset after the newline of the line of `offset`."""
        index = bisect_right(self._starts, offset)
        return self._starts[index] if index < len(self._starts) else len(self.text)

    def indentation(self, offset: int) -> str:
        """The white space the line of `offset` begins with."""
        start = self.line_start(offset)
        found = re.compile(r"[ \t\f]*").match(self.text, start)
        return found.group() if found else ""


def _decode(data: bytes) -> tuple[str, str]:
    if b"\0" in data:
        raise Unreadable("the file holds NUL bytes; it is not Python source, or it is UTF-16")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except SyntaxError as error:
        if "invalid or missing" in str(error):
            raise Unreadable("the bytes are not utf-8, and no coding cookie says what") from error
        raise Unreadable(f"{error.msg}; fix the coding cookie") from error
    try:
        text = data.decode(encoding)
        exact = text.encode(encoding) == data
    except (UnicodeError, LookupError) as error:
        raise Unreadable(
            f"the bytes are not {encoding}; fix the file or its coding cookie ({error})"
        ) from error
    if not exact:
        raise Unreadable(f"the text does not survive a round trip through {encoding}")
    return text, encoding


def _parse(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        raise Unreadable(_explain(error, text)) from error
    except (RecursionError, MemoryError) as error:
        raise Unreadable(TOO_DEEP) from error
    except ValueError as error:
        raise Unreadable(f"Python's parser refuses it: {error}") from error


TOO_DEEP = "nested too deeply for Python's own parser; is it generated?"
_PYTHON_2 = re.compile(
    r"^\s*(?:print\s+[^(=\s]|print\s*$|exec\s+['\"\w]|raise\s+\w[\w.]*\s*,|except\s+[\w.()]+\s*,\s*\w+\s*:)"
    r"|\bur['\"]|<>|\b0[0-7]+\b(?!\.)|\b\d+L\b",
    re.MULTILINE,
)


def _explain(error: SyntaxError, text: str) -> str:
    where = f"line {error.lineno}: " if error.lineno else ""
    line = (error.text or "").rstrip()
    if _PYTHON_2.search(line) or "Missing parentheses in call" in (error.msg or ""):
        return f"{where}this is Python 2; convert it to Python 3 first (2to3, python-modernize)"
    if (error.msg or "").startswith(("too many nested", "too many levels")):
        return f"{where}{TOO_DEEP}"
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"{where}syntax error: {error.msg}; if the code is for a newer Python than the one "
        f"running here ({running}), run this tool with that Python"
    )


# Before Python 3.12 `ast` places what stands inside an f-string wrongly.
_F_STRING = re.compile(r"[fF][rR]?['\"]")


def _place_f_string_fields(source: Source) -> None:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.JoinedStr):
            _place(source, node)


def _place(source: Source, joined: ast.JoinedStr) -> None:
    fields = list(_formatted(joined))
    if not fields:
        return
    span = source.span(joined)
    texts = list(_field_spans(source.text, span))
    if len(texts) != len(fields):
        texts = []
    for index, field in enumerate(fields):
        where = texts[index] if texts else None
        if where is None or not _move(source, field.value, where):
            for inner in ast.walk(field.value):
                if hasattr(inner, "lineno"):
                    inner.unplaced = True  # type: ignore[attr-defined]


def _formatted(joined: ast.JoinedStr) -> Iterator[ast.FormattedValue]:
    for value in joined.values:
        if isinstance(value, ast.FormattedValue):
            yield value
            if isinstance(value.format_spec, ast.JoinedStr):
                yield from _formatted(value.format_spec)


def _field_spans(text: str, span: Span) -> Iterator[Span]:
    """The expressions between braces of every f-string token in `span`, in order."""
    for match in _STRING.finditer(text, span.start, span.end):
        if match.group("prefix") and "f" in match.group("prefix").lower():
            yield from _braces(text, Span(*match.span("body")))


_STRING = re.compile(
    r"#[^\r\n]*|(?P<prefix>\b[A-Za-z]{1,2})?(?P<quote>'''|\"\"\"|'|\")"
    r"(?P<body>(?:\\.|(?!(?P=quote)).)*)(?P=quote)",
    re.DOTALL,
)


def _braces(text: str, span: Span) -> Iterator[Span]:
    at = span.start
    while at < span.end:
        char = text[at]
        if char == "{" and text[at + 1 : at + 2] == "{":
            at += 2
        elif char == "{":
            end = _expression_end(text, at + 1, span.end)
            yield Span(at + 1, end)
            at = end
            if text[at] == "!":
                at += 2
            if text[at] == ":":
                close = _spec_end(text, at + 1, span.end)
                yield from _braces(text, Span(at + 1, close))
                at = close
            at += 1
        else:
            at += 1


def _expression_end(text: str, at: int, end: int) -> int:
    depth = 0
    while at < end:
        char = text[at]
        if char in "([{":
            depth += 1
        elif char in ")]" or (char == "}" and depth):
            depth -= 1
        elif depth == 0 and (char in "}:" or (char == "!" and text[at + 1] != "=")):
            return at
        elif char in "'\"":
            close = text.find(char, at + 1, end)
            at = close if close > 0 else at
        at += 1
    return end


def _spec_end(text: str, at: int, end: int) -> int:
    depth = 0
    while at < end:
        if text[at] == "{":
            depth += 1
        elif text[at] == "}":
            if depth == 0:
                return at
            depth -= 1
        at += 1
    return end


def _move(source: Source, old: ast.expr, where: Span) -> bool:
    """Give the nodes of `old` the positions they really have. False where that fails."""
    text = source.text[where.start : where.end]
    if text.rstrip().endswith("="):
        text = text.rstrip()[:-1]
    try:
        new = ast.parse(f"({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return False
    olds, news = list(ast.walk(old)), list(ast.walk(new))
    if [type(node) for node in olds] != [type(node) for node in news]:
        return False
    line, column = source.position(where.start)
    start = source.text[where.start - column + 1 : where.start]
    base = len(start.encode("utf-8", "surrogatepass"))
    for one, other in zip(olds, news, strict=True):
        if not (isinstance(one, ast.expr | ast.keyword | ast.arg) and isinstance(other, type(one))):
            continue
        one.lineno = other.lineno + line - 1
        one.end_lineno = (other.end_lineno or other.lineno) + line - 1
        one.col_offset = other.col_offset + (base - 1 if other.lineno == 1 else 0)
        one.end_col_offset = (other.end_col_offset or 0) + (
            base - 1 if other.end_lineno == 1 else 0
        )
    return True
