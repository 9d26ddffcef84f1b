"""The museum's code that makes an exhibit's numbers, as a checksum: numbers of other code are not mixed with them."""

import ast
import hashlib
import inspect
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from typing import Any

PACKAGE = "rnnjax.museum"
"""The package whose code is followed. Code of others counts as the name by which it is imported."""

Place = tuple[str, str]
"""A module and a name at its top."""


def checksum(run: Callable[..., Any]) -> str:
    """SHA-256 of a function and all that it needs in the museum, without comments and docstrings.

    A change of an exhibit's words, of its picture or of a criterion leaves it as it is.
    """
    module, name = run.__module__, run.__name__
    at_top = getattr(sys.modules[module], name, None) is run
    code = statements(module)[name] if at_top else stripped(ast.parse(textwrap.dedent(inspect.getsource(run))))
    found, todo = {(module, name): code}, [(module, name)]
    while todo:
        place = todo.pop()
        for needed in needs(*place, found[place]):
            if needed not in found:
                found[needed] = statements(needed[0])[needed[1]]
                todo.append(needed)
    return hashlib.sha256("".join(code for _, code in sorted(found.items())).encode()).hexdigest()


def needs(module: str, name: str, code: str) -> Iterable[Place]:
    """The names of the museum's modules that the code of a name uses."""
    first = ast.parse(code).body[0]
    if isinstance(first, ast.Import | ast.ImportFrom):
        return imported(first)
    used = set(global_names(symtable.symtable(code, module, "exec"))) - {name}
    return [(module, each) for each in sorted(used & statements(module).keys())]


def imported(line: ast.Import | ast.ImportFrom) -> Iterable[Place]:
    """The names of the museum that an import brings: one, or all of a module."""
    (alias,) = line.names
    source = line.module or "" if isinstance(line, ast.ImportFrom) else ""
    whole = f"{source}.{alias.name}".removeprefix(".")
    if not whole.startswith(f"{PACKAGE}."):
        return []
    return [(whole, each) for each in statements(whole)] if whole in sys.modules else [(source, alias.name)]


def global_names(table: symtable.SymbolTable) -> Iterable[str]:
    """The names that code takes from its module."""
    outside = table.get_type() in ("module", "class")
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (outside or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from global_names(child)


@cache
def statements(module: str) -> dict[str, str]:
    """The statements at the top of a module that make, or change, each of its names; an import has one name."""
    found: dict[str, str] = {}
    for node in ast.parse(inspect.getsource(import_module(module))).body:
        for name, code in made_by(node).items():
            found[name] = found.get(name, "") + code
    return found


def made_by(node: ast.stmt) -> dict[str, str]:
    """The code by which a statement makes, or changes, each of some names."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name: stripped(node)}
        case ast.Import(names=names):
            return {alias.asname or alias.name: stripped(ast.Import([alias])) for alias in names}
        case ast.ImportFrom(module=source, names=names, level=level):
            return {alias.asname or alias.name: stripped(ast.ImportFrom(source, [alias], level)) for alias in names}
    parts = node.targets if isinstance(node, ast.Assign) else [node]
    found = [leaf for part in parts for leaf in ast.walk(part) if isinstance(leaf, ast.Name)]
    made = [leaf.id for leaf in found if isinstance(leaf.ctx, ast.Store)]
    return dict.fromkeys(made or [leaf.id for leaf in found], stripped(node))  # x[0] = 1 and x.update() change x


def stripped(node: ast.AST) -> str:
    """Code without comments and docstrings."""
    alone = lambda part: isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef):
            part.body = [line for line in part.body if not alone(line)] or [ast.Pass()]
    return ast.unparse(node) + "\n"
