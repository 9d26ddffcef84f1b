"""The code that makes an exhibit's numbers, as a checksum: numbers of other code are not mixed with them."""

import ast
import hashlib
import inspect
import symtable
import textwrap
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

ROOM = "rnnjax.museum"
"""The package whose code is followed; all other code has a version."""

Place = tuple[str, str]
"""A module and a name at its top."""


def checksum(run: Callable[..., Any]) -> str:
    """SHA-256 of a function and all that it needs in the museum, without comments and docstrings.

    A change of an exhibit's words, of its picture or of a criterion leaves it as it is.
    """
    found = {(run.__module__, run.__name__): plain(ast.parse(textwrap.dedent(inspect.getsource(run))))}
    todo = list(found)
    while todo:
        module, name = todo.pop()
        for place in needs(module, found[module, name]):
            if place not in found:
                found[place] = definitions(place[0])[place[1]]
                todo.append(place)
    return hashlib.sha256("".join(code for _, code in sorted(found.items())).encode()).hexdigest()


def needs(module: str, code: str) -> Iterable[Place]:
    """The names of the museum's modules that some code of a module uses."""
    used = set(global_names(symtable.symtable(code, module, "exec")))
    for name in sorted(used & definitions(module).keys()):
        yield module, name
    for name in sorted(used & imports(module).keys()):
        source, real = imports(module)[name]
        if source == ROOM and find_spec(f"{ROOM}.{real}"):
            yield from ((f"{ROOM}.{real}", each) for each in definitions(f"{ROOM}.{real}"))
        elif source.startswith(ROOM):
            yield source, real


def global_names(table: symtable.SymbolTable) -> Iterable[str]:
    """The names that code takes from its module."""
    at_top = table.get_type() == "module"
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (at_top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from global_names(child)


@cache
def definitions(module: str) -> dict[str, str]:
    """The code of each function, class and constant at the top of a module."""
    found: dict[str, str] = {}
    for node in tree(module).body:
        for name in defines(node):
            found[name] = found.get(name, "") + plain(node)
    return found


@cache
def imports(module: str) -> dict[str, Place]:
    """The module, and the name there, of each name that a module imports from another."""
    lines = [node for node in tree(module).body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: (line.module or "", alias.name) for line in lines for alias in line.names}


@cache
def tree(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(inspect.getsource(import_module(module)))


def defines(node: ast.stmt) -> list[str]:
    """The names that a statement gives to functions, classes and constants."""
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Assign(targets=targets):
            return [leaf.id for target in targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]
    return []


def plain(node: ast.AST) -> str:
    """Code without comments and docstrings."""
    alone = lambda part: isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef | ast.ClassDef):
            part.body = [line for line in part.body if not alone(line)] or [ast.Pass()]
    return ast.unparse(node) + "\n"
