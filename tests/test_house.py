"""The house is in order: short modules and functions, and public names that say what they take and give."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "napari_tem_fft"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 350, 40

Function = ast.FunctionDef | ast.AsyncFunctionDef


def tree_of(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[Function]:
    yield from (node for node in ast.walk(tree) if isinstance(node, Function))


def body_lines(function: Function) -> int:
    """Lines of a function without its signature and docstring."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def public(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Public classes and functions of a module, and public methods of its public classes.

    Setters are described by their property, and a protocol's methods by what has them.
    """
    for node in tree.body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
            if isinstance(node, ast.ClassDef):
                methods = (one for one in node.body if isinstance(one, Function) and not is_told(one))
                yield from ((f"{node.name}.{m.name}", m) for m in methods if not m.name.startswith("_"))


def is_told(method: Function) -> bool:
    """Whether a method is a setter, or has no body of its own."""
    setter = any(isinstance(one, ast.Attribute) and one.attr == "setter" for one in method.decorator_list)
    body = method.body[0]
    return setter or (isinstance(body, ast.Expr) and getattr(body.value, "value", None) is ...)


def arrays(docstring: str) -> list[str]:
    """Lines of a numpydoc docstring that list an array among parameters or results."""
    return re.findall(r"^(?:\w[\w, ]* : )?ndarray.*$", docstring, re.MULTILINE)


def described(rooms: tuple[str, ...]) -> Iterator[tuple[str, ast.AST, str]]:
    """Where and what every public function of some rooms is, with its docstring."""
    for module in MODULES:
        if module.startswith(rooms):
            for name, node in public(tree_of(module)):
                if isinstance(node, Function):
                    yield f"{module}: {name}", node, ast.get_docstring(node) or ""


def test_modules_and_functions_are_short() -> None:
    for module in MODULES:
        text = (PACKAGE / module).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= LONGEST_MODULE, module
        long = [f.name for f in functions(ast.parse(text)) if body_lines(f) > LONGEST_FUNCTION]
        assert not long, f"{module}: {', '.join(long)}: more than {LONGEST_FUNCTION} lines"


def test_public_names_are_described() -> None:
    for module in MODULES:
        tree = tree_of(module)
        assert ast.get_docstring(tree), f"{module} does not say what it is"
        silent = [name for name, node in public(tree) if not ast.get_docstring(node)]  # type: ignore[arg-type]
        assert not silent, f"{module}: {', '.join(silent)}"


def test_arrays_of_public_functions_have_shapes() -> None:
    for where, _, text in described(("io/", "api", "_api")):
        for line in arrays(text):
            assert re.search(r"shape|\bof\b.*\bas\b|same", line), f"{where}: {line!r} has no shape"


def test_errors_of_public_functions_are_listed() -> None:
    """A function that raises an error itself says so."""
    for where, node, text in described(("core/", "io/", "api", "_api")):
        raises = any(isinstance(one, ast.Raise) and one.exc is not None for one in ast.walk(node))
        assert not raises or "Raises\n------" in text, f"{where} raises and does not say so"
