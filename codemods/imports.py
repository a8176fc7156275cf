"""Imports: the new ones in, the legacy ones out when nothing is left that uses them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from codemods import legacy
from codemods.edits import Edit, Editor
from codemods.site import Change, File
from codemods.source import FunctionNode, Span

Import = ast.Import | ast.ImportFrom
Wanted = tuple[str, str, str]  # module, member, the name it has here


def edits(
    file: File, editor: Editor, changes: Sequence[Change], removed: set[ast.stmt]
) -> list[Edit]:
    """The edits of import statements, given what the changes left, removed and want."""
    gone = _unused(file, editor)
    direct = _direct(file, gone)
    gone |= direct.keys()
    local = _local(file, gone, changes)
    below = {one for wanted in local.values() for one in wanted}
    wanted = {one for change in changes for one in change.imports} - below | {*direct.values()}
    tracer = any(change.module_tracer for change in changes)
    made = _removals(file, gone - {alias for one in local for alias in one.names}, removed)
    grouped = _grouped(wanted)
    made += _joined(file, grouped, gone)
    lines = _lines(file, wanted, grouped)
    made = _insertion(file, gone, lines, made) if lines else [*made, *_blank_lines(file, gone)]
    made += [_in_place(file, gone, one, wanted) for one, wanted in local.items()]
    return [*made, _tracer(file, gone)] if tracer else made


def _lines(
    file: File, wanted: Iterable[Wanted], grouped: dict[str, list[str]]
) -> list[tuple[str, str]]:
    """The import statements by module, plain ones first."""
    plain = sorted({module for module, member, _ in wanted if not member})
    return [
        *((module, f"import {module}") for module in plain),
        *((module, _from_line(file, module, names)) for module, names in sorted(grouped.items())),
    ]


# Imports inside of functions and branches stay there: who wrote them so may not have the package.


def _local(
    file: File, gone: set[ast.alias], changes: Sequence[Change]
) -> dict[Import, set[Wanted]]:
    """What each legacy import below the top level gives its place to."""
    places: dict[Import, set[Wanted]] = {}
    statements = {file.parents[alias] for alias in gone}
    below = [one for one in statements if isinstance(one, Import) and not _is_at_top(file, one)]
    at_top: set[Wanted] = set()
    for change in changes:
        found = [one for one in below if _serves(file, one, change)]
        if found:
            last = max(found, key=lambda one: one.lineno)
            places.setdefault(last, set()).update(change.imports)
        else:
            at_top |= change.imports
    places = {one: kept for one, wanted in places.items() if (kept := wanted - at_top)}
    if at_top and (guarded := _guarded(file, gone)) is not None:
        places.setdefault(guarded, set()).update(at_top)
    return places


def _is_at_top(file: File, statement: ast.AST) -> bool:
    """Whether an import is one of the module's, if only under a `try`."""
    around = file.parents[statement]
    while isinstance(around, ast.Try):
        around = file.parents[around]
    return isinstance(around, ast.Module)


def _serves(file: File, statement: ast.stmt, change: Change) -> bool:
    """Whether all that a change writes stands below an import, in the block of it.

    An import for type checkers serves annotations.
    """
    outer: ast.AST = statement
    while isinstance(around := file.parents[outer], ast.Try):
        outer = around
    assert isinstance(outer, ast.stmt)
    within = [Span(file.span(statement).end, file.span(file.block(outer)[-1]).end)]
    if _is_for_types(around):
        within = [file.span(one) for one in _annotations(file)]
    return bool(change.edits) and all(
        any(one.start <= edit.span.start and edit.span.end <= one.end for one in within)
        for edit in change.edits
    )


def _is_for_types(statement: ast.AST) -> bool:
    """Whether it is `if TYPE_CHECKING:`."""
    return isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test)


def _annotations(file: File) -> list[ast.expr]:
    found = [
        node.returns
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        else getattr(node, "annotation", None)
        for node in file.nodes
    ]
    return [one for one in found if one is not None and not getattr(one, "unplaced", False)]


def _in_place(file: File, gone: set[ast.alias], statement: Import, wanted: set[Wanted]) -> Edit:
    """New imports where a legacy one stood, or before what is left of it."""
    span = file.source.span(statement)
    newline = file.source.newline
    head = file.source.text[file.source.line_start(span.start) : span.start]
    glue = "; " if head.strip() else newline + file.source.indentation(span.start)
    lines = [line for _, line in _lines(file, wanted, _grouped(wanted))]
    kept = [file.source.segment(alias) for alias in statement.names if alias not in gone]
    if kept:
        text = file.source.segment(statement)
        lines.append(f"{text[: text.index('import')]}import {', '.join(kept)}")
    return Edit(span, (newline.join(lines).replace(newline, glue),))


def _unused(file: File, editor: Editor) -> set[ast.alias]:
    """Legacy import aliases whose name no kept code uses."""
    legacy_ones = {
        alias: target
        for alias, target in file.flow.imports.items()
        if alias in file.parents and _is_legacy_import(file, alias, target)
    }
    names = {_bound(alias) for alias in legacy_ones}
    kept: set[str] = set()
    for node in file.nodes:
        named = isinstance(node, ast.Name) and node.id in names and not _is_hidden(file, node)
        quoted = isinstance(node, ast.Constant) and node in file.flow.symbols
        if (named or quoted) and editor.kept(file.source.span(node).start):
            kept.update(re.findall(r"\w+", file.source.segment(node)))
    exported = _exported(file)
    kept |= exported
    others = exported - file.bound.keys() - {_bound(alias) for alias in file.flow.imports}
    gone = set()
    for alias, target in legacy_ones.items():
        if alias.name == "*":
            if not others and not _star_used(file, editor, target):
                gone.add(alias)
        elif _bound(alias) not in kept and not _is_protected(file, file.parents[alias]):
            gone.add(alias)
    return gone


def _is_hidden(file: File, name: ast.Name) -> bool:
    """Whether a parameter or a variable of a function around is meant, and not what is imported."""
    below: ast.AST = name
    for around in file.ancestors(name):
        if isinstance(around, FunctionNode | ast.Lambda):
            body = around.body if isinstance(around.body, list) else [around.body]
            scope = file.flow.scopes.get(around)
            bound = scope is not None and name.id in scope.values.keys() - scope.outer
            if bound and below in body:
                imported = (one for one in file.bound[name.id] if isinstance(one, ast.alias))
                return all(file.function(one) is not around for one in imported)
        below = around
    return False


def _direct(file: File, gone: set[ast.alias]) -> dict[ast.alias, Wanted]:
    """Legacy names that are used still, and were imported from a module that may lose them."""
    found = {
        alias: file.flow.lent(target)
        for alias, target in file.flow.imports.items()
        if alias in file.parents and alias not in gone and alias.name != "*"
    }
    return {alias: (*_split(origin), _bound(alias)) for alias, origin in found.items() if origin}


def _split(qualified: str) -> tuple[str, str]:
    """`opentracing.ext.tags` is the member `tags` of `opentracing.ext`."""
    module, _, member = qualified.rpartition(".")
    return (module, member) if module else (qualified, "")


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _is_legacy_import(file: File, alias: ast.alias, target: str) -> bool:
    star = alias.name == "*" and file.flow.is_legacy(f"{target}.x")
    return file.flow.is_legacy(target) or star or bool(file.flow.lent(target))


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


def _removals(file: File, gone: set[ast.alias], removed: set[ast.stmt]) -> list[Edit]:
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
            _remove(file, statement, keep=_must_stay(file, block, statements, removed, statement))
            for statement in statements
        )
    return made


def _must_stay(
    file: File,
    block: list[ast.stmt],
    going: list[ast.stmt],
    removed: set[ast.stmt],
    statement: ast.stmt,
) -> bool:
    """Whether `pass` has to stand where the statement was: all of its block goes."""
    if isinstance(file.parents[statement], ast.Module):
        return False
    empties = all(one in going or one in removed for one in block)
    return empties and statement is max(going, key=lambda one: one.lineno)


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


def _grouped(wanted: Iterable[Wanted]) -> dict[str, list[str]]:
    """The members to import by module, sorted as isort does."""
    grouped: dict[str, list[str]] = {}
    for module, member, local in wanted:
        if member:
            name = member if local == member else f"{member} as {local}"
            grouped.setdefault(module, []).append(name)
    return {module: sorted(set(names), key=_order) for module, names in grouped.items()}


def _from_line(file: File, module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 99:
        return line
    body = "".join(f"    {name},\n" for name in names)
    return f"from {module} import (\n{body})".replace("\n", file.source.newline)


def _joined(file: File, grouped: dict[str, list[str]], gone: set[ast.alias]) -> list[Edit]:
    """Add names to imports from the same module that are there; they leave `grouped`."""
    made = []
    for statement in file.source.tree.body:
        if (
            not isinstance(statement, ast.ImportFrom)
            or statement.level
            or statement.module not in grouped
            or any(alias in gone or alias.name == "*" for alias in statement.names)
        ):
            continue
        names = grouped.pop(statement.module)
        first, last = (file.source.span(statement.names[index]) for index in (0, -1))
        old = [file.source.segment(alias) for alias in statement.names]
        if "\n" in file.source.text[first.start : last.end]:
            made.append(Edit(Span(last.end, last.end), (", " + ", ".join(names),)))
            continue
        merged = [*old, *names]
        if old == sorted(old, key=_order):
            merged.sort(key=_order)
        made.append(Edit(Span(first.start, last.end), (", ".join(merged),)))
    return made


def _order(name: str) -> tuple[int, str]:
    """Constants before classes before functions."""
    if name.partition(" ")[0].isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def _insertion(
    file: File, gone: set[ast.alias], lines: list[tuple[str, str]], made: list[Edit]
) -> list[Edit]:
    """Put the lines into the block of the first legacy import, or below the imports of the head."""
    newline = file.source.newline
    text = newline.join(line for _, line in lines) + newline
    if block := _first_block(file, gone):
        sort = [one.module or "" for one in block if isinstance(one, ast.ImportFrom)]
        if sort == sorted(sort, key=str.lower):
            places = [_place(file, block, module, line) for module, line in lines]
        else:
            first = next(one for one in block if gone.intersection(one.names))
            start = file.source.line_start(file.source.span(first).start)
            places = [Edit(Span(start, start), (text,))]
        return [*made, *places, *_blank_lines(file, gone, keep=block)]
    at, blank = _below_imports(file)
    if at == len(file.source.text) and not file.source.text.endswith(("\n", "\r")):
        text = newline + text
    return [*made, Edit(Span(at, at), (text, newline if blank else ""))]


def _first_block(file: File, gone: set[ast.alias]) -> list[Import]:
    """The block of the first legacy import that goes, or none."""
    return next(
        (one for one in _blocks(file) if any(gone.intersection(each.names) for each in one)), []
    )


def _blocks(file: File) -> list[list[Import]]:
    """The runs of import statements at the top level, one to a line, without gaps."""
    blocks: list[list[Import]] = []
    end = -1
    for statement in file.source.tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            start = file.source.span(statement).start
            alone = not file.source.text[file.source.line_start(start) : start].strip()
            if alone and statement.lineno == end + 1:
                blocks[-1].append(statement)
            elif alone:
                blocks.append([statement])
            end = statement.end_lineno or statement.lineno
    return blocks


def _place(file: File, block: list[Import], module: str, line: str) -> Edit:
    """The sorted place of one new line among the imports of a block."""
    source = file.source
    text = line + source.newline
    for statement in block:
        is_from = isinstance(statement, ast.ImportFrom)
        later = is_from and not statement.level and (statement.module or "") > module  # type: ignore[union-attr]
        if (line.startswith("import ") and is_from) or later:
            at = source.line_start(source.span(statement).start)
            return Edit(Span(at, at), (text,))
    at = source.line_end(source.span(block[-1]).end)
    if at == len(source.text) and not source.text.endswith(("\n", "\r")):
        return Edit(Span(at, at), (source.newline, line))
    return Edit(Span(at, at), (text,))


def _blank_lines(file: File, gone: set[ast.alias], keep: list[Import] | None = None) -> list[Edit]:
    """The blank line below each block of imports that goes as a whole."""
    source = file.source
    made = []
    for block in _blocks(file):
        if block is keep or block == keep or not all(a in gone for one in block for a in one.names):
            continue
        start = source.line_end(source.span(block[-1]).end)
        end = source.line_end(start)
        if not source.text[start:end].strip() and start < end:
            made.append(Edit(Span(start, end), ()))
    return made


def _guarded(file: File, gone: set[ast.alias]) -> ast.Import | ast.ImportFrom | None:
    """The first legacy import under `try: ... except ImportError` or `if` at the module's top."""
    if any(
        file.flow.is_legacy(target) and isinstance(file.parents.get(statement), ast.Module)
        for alias, target in file.flow.imports.items()
        if (statement := file.parents.get(alias)) is not None
    ):
        return None
    for statement in file.source.tree.body:
        if isinstance(statement, ast.Try | ast.If) and not _is_for_types(statement):
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
    block = _first_block(file, gone)
    at = max(at, source.line_end(source.span(block[-1]).end)) if block else at
    trace, _ = file.local_name("opentelemetry", "trace")
    text = f"{newline}tracer = {trace}.get_tracer(__name__){newline}"
    following = source.text[at:]
    if following.strip() and not following.lstrip(" \t").startswith(("\n", "\r")):
        text += newline
    return Edit(Span(at, at), (text,))
