"""Syntax trees of the package: what a module defines, and what each definition refers to.

A definition is written down without comments, docstrings and types of arguments. Names of modules
do not appear in it, and of definitions only where something else might be of the same shape.

Belongs here: reading modules, scopes of names, what names stand for. Does not belong here: what is
reached from where, and its digest (code_key.py).
"""

import ast
import contextlib
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Scope = dict[str, str | None]
"""Names that are bound -> the dotted name of what was imported as them; None = anything else."""
_SILENT = {"annotation", "ctx", "kind", "returns", "type_comment", "type_params"}
"""Fields that change nothing, or nothing where they are not asked for."""


class Definition(NamedTuple):
    """What a module defines under a name; without a name, what it does when it is imported."""

    module: str
    name: str
    """`f.g` is a function in a function."""


@dataclass
class Written:
    """A definition and what it refers to."""

    shape: str = ""
    """md5 of it, with a mark wherever it refers to another definition."""
    refers_to: list[Definition] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)
    """Dotted names of what is not of the package; strings, too, may be such."""
    files: list[Path] = field(default_factory=list)
    """Data beside its module."""


@dataclass
class _Module:
    name: str
    file: Path
    imports: _Scope = field(default_factory=dict)
    definitions: dict[str, list[ast.stmt]] = field(default_factory=lambda: {"": []})

    def mark(self, name: str) -> str:
        """Stands for a definition where it is referred to; classes are what they are called."""
        first = self.definitions[name][0]
        beside = sum(first in several for other, several in self.definitions.items() if other) > 1
        return f"@{name}" if beside or isinstance(first, ast.ClassDef) else "@"


def md5(text: str) -> str:
    """md5 of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def having(file: Path, inner: str) -> list[str]:
    """The public functions of a module in which a function called `inner` is defined."""
    functions = [s for s in ast.parse(file.read_text()).body if isinstance(s, ast.FunctionDef)]
    return [
        f.name
        for f in functions
        if f.name[0] != "_" and any(getattr(s, "name", None) == inner for s in f.body)
    ]


@functools.cache
def read(root: Path, one: Definition) -> Written:
    """A definition of the package that lies at `root`.

    Raises:
        ValueError: there is no such definition, or one reads files beside it in an unknown way.
    """
    module, (outer, *inner) = _module(root, one.module), one.name.split(".")
    if module is None or outer not in module.definitions:
        raise ValueError(f"{root}: {one.module} has no {outer!r}")
    statements, scopes = module.definitions[outer], []
    for name in inner:
        (function,) = statements
        within = {node.name: node for node in ast.walk(function) if isinstance(node, _Function)}
        if name not in within:
            raise ValueError(f"{root}: {outer} of {one.module} has no {name!r}")
        # Where one function in another calls a third one, the other is reached as a whole.
        scopes.append({**_scope(function), **dict.fromkeys(within, f"{one.module}.{outer}")})
        statements = [within[name]]
    return _Reader(root, module, scopes).read(statements)


@functools.cache
def _module(root: Path, name: str) -> _Module | None:
    """A module of the package; None if there is none of that name."""
    package, *path = name.split(".")
    if package != root.name:
        return None
    at = root.joinpath(*path)
    file = at / "__init__.py" if at.is_dir() else at.with_suffix(".py")
    if not file.is_file():
        return None
    module = _Module(name, file)
    for statement in _parsed(file.read_bytes()):
        if not _is_for_others(statement):
            _define(module, statement)
    return module


@functools.cache
def _parsed(source: bytes) -> list[ast.stmt]:
    """A module's statements: one tree, however many copies of the package are looked at."""
    return ast.parse(source).body


def _is_for_others(statement: ast.stmt) -> bool:
    """Whether only type checkers see it, or only whoever runs the module."""
    words = ("TYPE_CHECKING", "__main__")
    return isinstance(statement, ast.If) and any(w in ast.dump(statement.test) for w in words)


def _define(module: _Module, statement: ast.stmt) -> None:
    names = bound([statement])
    module.imports |= {name: target for name, target in names.items() if target}
    for name in (name for name, target in names.items() if not target):
        module.definitions.setdefault(name, []).append(statement)
    quiet = _Function | ast.ClassDef | ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign
    if not names or not isinstance(statement, quiet):
        module.definitions[""].append(statement)


def bound(body: Iterable[ast.AST]) -> _Scope:
    """Names that statements bind in their own scope."""
    found: _Scope = {}
    elsewhere: set[str] = set()
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.setdefault(node.name, None)
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                waiting += [n.target for n in ast.walk(node) if isinstance(n, ast.NamedExpr)]
                continue
            case ast.Lambda():
                continue
            case ast.Import() | ast.ImportFrom():
                found |= _imported(node)
            case ast.Global() | ast.Nonlocal():
                elsewhere |= set(node.names)
            case (
                ast.Name(id=name, ctx=ast.Store())
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                found.setdefault(name, None)
        waiting += ast.iter_child_nodes(node)
    return {name: target for name, target in found.items() if name not in elsewhere}


def _imported(statement: ast.Import | ast.ImportFrom) -> _Scope:
    if isinstance(statement, ast.ImportFrom):
        return {n.asname or n.name: f"{statement.module}.{n.name}" for n in statement.names}
    whole = {n.asname: n.name for n in statement.names if n.asname}
    first = [n.name.split(".")[0] for n in statement.names if not n.asname]
    return {**whole, **dict(zip(first, first, strict=True))}


@functools.cache
def _scope(function: ast.AST) -> _Scope:
    """Names that are a function's own."""
    assert isinstance(function, _Function | ast.Lambda)
    body = function.body if isinstance(function.body, list) else [function.body]
    arguments = (node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg))
    return {**dict.fromkeys(arguments), **bound(body)}


def _meant(root: Path, dotted: str) -> tuple[list[Definition], str]:
    """Definitions that a dotted name stands for, and how it is written."""
    parts = dotted.split(".")
    ends = range(len(parts), 0, -1)
    known = ((end, _module(root, ".".join(parts[:end]))) for end in ends)
    end, module = next((found for found in known if found[1]), (0, None))
    if module is None:
        return [], dotted
    if end == len(parts):
        return [Definition(module.name, name) for name in module.definitions], "@"
    name, attributes = parts[end], parts[end + 1 :]
    if target := module.imports.get(name):
        return _meant(root, ".".join([target, *attributes]))
    if name not in module.definitions:
        return [], ".".join([name, *attributes])
    return [Definition(module.name, name)], ".".join([module.mark(name), *attributes])


def _dotted(node: ast.expr) -> list[str]:
    """The names in `a.b.c`; what comes first is `()` if it is no name."""
    match node:
        case ast.Attribute():
            return [*_dotted(node.value), node.attr]
        case ast.Name():
            return [node.id]
    return ["()"]


class _Reader(ast.NodeVisitor):
    """Writes a definition down, scope by scope: a name that is bound in one refers to no other."""

    def __init__(self, root: Path, module: _Module, scopes: list[_Scope]) -> None:
        self.root, self.module, self.scopes = root, module, scopes
        self.text: list[str] = []
        self.strings: list[str] = []
        self.found = Written()
        self.in_class = False

    def read(self, statements: Iterable[ast.stmt]) -> Written:
        for statement in statements:
            if isinstance(statement, _Function):
                self._function(statement)
            else:
                self.visit(statement)
        if "__file__" in self.text:
            self.found.files = list(_data(self.module.file, self.strings))
        self.found.shape = md5("\n".join(self.text))
        return self.found

    def generic_visit(self, node: ast.AST) -> None:
        self.text.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if name not in _SILENT and value is not None and value != []:
                self.text.append(f"{name}=")
                for part in value if isinstance(value, list) else (value,):
                    self.visit(part) if isinstance(part, ast.AST) else self.text.append(repr(part))
        self.text.append("end")

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Only what is used of it counts."""

    visit_ImportFrom = visit_Import

    def visit_Pass(self, node: ast.Pass) -> None:
        """Nothing."""

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """A string may name a package; the name of a module of ours is known by no other."""
        if not isinstance(node.value, str):
            self.generic_visit(node)
            return
        self.strings.append(node.value)
        self.found.outside.add(node.value)
        self.text.append("a module" if _module(self.root, node.value) else repr(node.value))

    def visit_Name(self, node: ast.Name | ast.Attribute) -> None:
        first, *attributes = _dotted(node)
        if meaning := self._meaning(first):
            found, text = _meant(self.root, ".".join([meaning, *attributes]))
            self.found.refers_to += found
            self.found.outside |= set() if found else {text}
            self.text.append(text)
        elif isinstance(node, ast.Name):
            self.text.append(node.id)
        else:
            self.generic_visit(node)

    visit_Attribute = visit_Name

    def visit_FunctionDef(self, node: _Function) -> None:
        self.text.append(node.name)
        self._function(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        in_class, self.in_class = self.in_class, True
        self.generic_visit(node)
        self.in_class = in_class

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Only types of fields count, and of these no quoted one: nobody reads it at run time."""
        if self.in_class:
            if not isinstance(node.annotation, ast.Constant):
                self.visit(node.annotation)
            self.generic_visit(node)
        elif node.value:
            self.generic_visit(ast.Assign([node.target], node.value))

    def visit_ListComp(self, node: _Comprehension) -> None:
        """The first iterable is outside of its own scope."""
        self.visit(node.generators[0].iter)
        with self._within(bound(part.target for part in node.generators)):
            self.generic_visit(node)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _function(self, node: _Function | ast.Lambda) -> None:
        """Decorators and defaults are outside of a function's own scope."""
        in_class, self.in_class = self.in_class, False
        self.text.append(type(node).__name__)
        for outside in (*getattr(node, "decorator_list", ()), node.args):
            self.visit(outside)
        with self._within(_scope(node)):
            for part in node.body if isinstance(node.body, list) else [node.body]:
                self.visit(part)
        self.text.append("end")
        self.in_class = in_class

    @contextlib.contextmanager
    def _within(self, scope: _Scope) -> Iterator[None]:
        self.scopes.append(scope)
        yield
        self.scopes.pop()

    def _meaning(self, name: str) -> str | None:
        """The dotted name of what a name stands for; None if it is a local one, or Python's."""
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in self.module.definitions:
            return f"{self.module.name}.{name}"
        return self.module.imports.get(name)


def _data(module: Path, strings: Iterable[str]) -> Iterator[Path]:
    """Files that a definition finds by where its module lies: by a suffix, or a name beside it.

    Raises:
        ValueError: it finds them in another way.
    """
    named = [module.with_suffix(s) for s in strings if re.fullmatch(r"\.\w+", s)]
    named += [module.parent / s for s in strings if s]
    places = [place for place in named if place.exists()]
    if not places:
        raise ValueError(f"{module}: say the file beside it by a suffix, or by its name")
    for place in places:
        found = [place] if place.is_file() else sorted(f for f in place.rglob("*") if f.is_file())
        yield from (f for f in found if f.suffix not in (".py", ".pyc"))
