"""Imports: the new ones in, the legacy ones out when nothing is left that uses them."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from codemods import legacy
from codemods.edits import Edit, Editor
from codemods.site import Change, File
from codemods.source import Span


def edits(file: File, editor: Editor, changes: Sequence[Change]) -> list[Edit]:
    """The edits of import statements, given what the changes left and what they want."""
    gone = _unused(file, editor)
    wanted = sorted({one for change in changes for one in change.imports})
    tracer = any(change.module_tracer for change in changes)
    lines = _lines(file, wanted, gone)
    made = _removals(file, gone)
    if tracer:
        made.append(_tracer(file, gone))
    if not lines:
        return made
    return [*_insertion(file, gone, lines, made)]


def _unused(file: File, editor: Editor) -> set[ast.alias]:
    """Legacy import aliases whose name no kept code uses."""
    kept: set[str] = set()
    for node in file.nodes:
        if isinstance(node, ast.Name) and editor.kept(file.source.span(node).start):
            kept.add(node.id)
    exported = _exported(file)
    gone = set()
    for alias, target in file.flow.imports.items():
        statement = file.parents.get(alias)
        if statement is None or not _is_legacy_import(alias, target):
            continue
        bound = alias.asname or alias.name.partition(".")[0]
        if alias.name == "*":
            if not _star_used(file, editor, target):
                gone.add(alias)
        elif bound not in kept and bound not in exported and not _is_protected(file, statement):
            gone.add(alias)
    return gone


def _is_legacy_import(alias: ast.alias, target: str) -> bool:
    return legacy.is_legacy(target) or (alias.name == "*" and legacy.is_legacy(f"{target}.x"))


def _star_used(file: File, editor: Editor, module: str) -> bool:
    prefix = legacy.canonical(module)
    return any(
        qualified.startswith(f"{prefix}.")
        and isinstance(node, ast.Name)
        and editor.kept(file.source.span(node).start)
        for node, qualified in file.flow.symbols.items()
    )


def _exported(file: File) -> set[str]:
    """The names in `__all__`."""
    found: set[str] = set()
    for statement in file.source.tree.body:
        if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
                found.update(
                    node.value
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                )
    return found


def _is_protected(file: File, statement: ast.AST) -> bool:
    """An import kept on purpose: `# noqa` says so, or the package offers the name to others."""
    assert isinstance(statement, ast.stmt)
    start, end = file.source.span(statement)
    text = file.source.text[start : file.source.line_end(end)]
    if "noqa" in text and "F401" in text:
        return True
    in_init = file.path.replace("\\", "/").rpartition("/")[2] == "__init__.py"
    return (
        in_init
        and isinstance(statement, ast.ImportFrom)
        and any(alias.asname == alias.name for alias in statement.names)
    )


def _removals(file: File, gone: set[ast.alias]) -> list[Edit]:
    made = []
    emptied: dict[int, list[ast.stmt]] = {}
    for statement in {file.parents[alias] for alias in gone}:
        assert isinstance(statement, ast.Import | ast.ImportFrom)
        left = [alias for alias in statement.names if alias not in gone]
        if left:
            made.append(_without(file, statement, left))
        else:
            emptied.setdefault(id(file.block(statement)), []).append(statement)
    for statements in emptied.values():
        block = file.block(statements[0])
        made.extend(
            _remove(file, statement, keep=_must_stay(file, block, statements, statement))
            for statement in statements
        )
    return made


def _must_stay(
    file: File, block: list[ast.stmt], going: list[ast.stmt], statement: ast.stmt
) -> bool:
    """Whether `pass` has to stand where the statement was."""
    if isinstance(file.parents[statement], ast.Module):
        return False
    return len(going) == len(block) and statement is max(going, key=lambda one: one.lineno)


def _remove(file: File, statement: ast.stmt, *, keep: bool) -> Edit:
    source = file.source
    span = source.span(statement)
    if keep:
        return Edit(span, ("pass",))
    start, end = source.line_start(span.start), source.line_end(span.end)
    alone = source.text[start : span.start].strip() == "" and not source.text[
        span.end : end
    ].lstrip().startswith(";")
    if alone:
        return Edit(Span(start, end), ())
    semicolon = source.text.find(";", span.end, end)
    if semicolon >= 0 and not source.text[span.end : semicolon].strip():
        stop = semicolon + 1
        while stop < end and source.text[stop] in " \t":
            stop += 1
        return Edit(Span(span.start, stop), ())
    return Edit(span, ("pass",))


def _without(file: File, statement: ast.Import | ast.ImportFrom, left: list[ast.alias]) -> Edit:
    """Take the gone names out of a list of imported names, with their commas."""
    source = file.source
    first, last = source.span(statement.names[0]), source.span(statement.names[-1])
    text = source.text[first.start : last.end]
    parts = [source.segment(alias) for alias in left]
    glue = ", "
    if source.newline in text:
        line = source.indentation(last.start)
        glue = f",{source.newline}{line}"
    return Edit(Span(first.start, last.end), (glue.join(parts),))


def _lines(file: File, wanted: Sequence[tuple[str, str, str]], gone: set[ast.alias]) -> list[str]:
    """One line for each module to import from, sorted as isort does."""
    plain = sorted({module for module, member, _ in wanted if not member})
    grouped: dict[str, list[str]] = {}
    for module, member, local in wanted:
        if member:
            name = member if local == member else f"{member} as {local}"
            grouped.setdefault(module, []).append(name)
    lines = [f"import {module}" for module in plain]
    for module in sorted(grouped):
        names = sorted(set(grouped[module]), key=lambda name: (_order(name), name))
        line = f"from {module} import {', '.join(names)}"
        if len(line) > 99:
            body = "".join(f"    {name},\n" for name in names)
            line = f"from {module} import (\n{body})".replace("\n", file.source.newline)
        lines.append(line)
    return lines


def _order(name: str) -> int:
    if name.partition(" ")[0].isupper():
        return 0
    return 1 if name[0].isupper() else 2


def _insertion(file: File, gone: set[ast.alias], lines: list[str], made: list[Edit]) -> list[Edit]:
    """Put the lines where the first legacy import went, or below the last import of the head."""
    newline = file.source.newline
    text = newline.join(lines) + newline
    for statement in file.source.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom) and any(
            alias in gone for alias in statement.names
        ):
            start = file.source.line_start(file.source.span(statement).start)
            if not file.source.text[start : file.source.span(statement).start].strip():
                return [*made, Edit(Span(start, start), (text,))]
            break
    if (guarded := _guarded(file, gone)) is not None:
        span = file.source.span(guarded)
        glue = newline + file.source.indentation(span.start)
        left = [edit for edit in made if edit.span.end <= span.start or edit.span.start >= span.end]
        if all(alias in gone for alias in guarded.names):
            return [*left, Edit(span, (text.rstrip().replace(newline, glue),))]
    at, blank = _below_imports(file)
    if at == len(file.source.text) and not file.source.text.endswith(("\n", "\r")):
        text = newline + text
    return [*made, Edit(Span(at, at), (text, newline if blank else ""))]


def _guarded(file: File, gone: set[ast.alias]) -> ast.Import | ast.ImportFrom | None:
    """The first legacy import under `try: ... except ImportError` at the top of the module."""
    for statement in file.source.tree.body:
        if isinstance(statement, ast.Try):
            for inner in statement.body:
                if isinstance(inner, ast.Import | ast.ImportFrom) and gone.intersection(
                    inner.names
                ):
                    return inner
    return None


def _below_imports(file: File) -> tuple[int, bool]:
    """Where new imports go in a file without a legacy one, and whether to add a blank line."""
    source = file.source
    last: ast.stmt | None = None
    for statement in source.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            last = statement
        elif not _is_head(statement, last):
            break
    if last is not None:
        return source.line_end(source.span(last).end), False
    body = source.tree.body
    if body and ast.get_docstring(source.tree, clean=False) is not None:
        at = source.line_end(source.span(body[0]).end)
        return at, True
    if not body:
        return len(source.text), False
    first = source.span(body[0]).start
    return source.line_start(first), True


def _is_head(statement: ast.stmt, last: ast.stmt | None) -> bool:
    """Statements that may stand among the imports at the head of a file."""
    if isinstance(statement, ast.Expr):
        value = statement.value
        if isinstance(value, ast.Constant):
            return last is None
        return isinstance(value, ast.Call) and "patch" in ast.dump(value.func)
    return isinstance(statement, ast.Try | ast.If) and all(
        isinstance(one, ast.Import | ast.ImportFrom | ast.Assign | ast.Pass | ast.Raise)
        for one in statement.body
    )


def _tracer(file: File, gone: set[ast.alias]) -> Edit:
    """`tracer = trace.get_tracer(__name__)` below the last import of the head."""
    source = file.source
    newline = source.newline
    at, _ = _below_imports(file)
    trace, _ = file.local_name("opentelemetry", "trace")
    text = f"{newline}tracer = {trace}.get_tracer(__name__){newline}"
    following = source.text[at:]
    if following.strip() and not following.lstrip(" \t").startswith(("\n", "\r")):
        text += newline
    return Edit(Span(at, at), (text,))
