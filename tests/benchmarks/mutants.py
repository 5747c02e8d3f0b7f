"""Random mutants of core, each with one change by an operator of cosmic-ray.

Type annotations are not changed, and operators are not replaced by bitwise ones.
"""

from __future__ import annotations

import ast
import difflib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).parents[2]
CORE = Path("src/napari_tem_fft/core")
#: Replacing by these, or these themselves, says little of arithmetic: a type error or a set of types.
BITS = ("BitOr", "BitAnd", "BitXor", "LShift", "RShift", "Mod_", "_Mod")


@dataclass(frozen=True)
class Mutant:
    """One change of one module; `line` is the first line of its statement."""

    module: str
    operator: str
    occurrence: int
    line: int
    difference: str


def modules() -> list[str]:
    """Modules of core, such as "mask" or "matching/rings"."""
    paths = sorted(path for path in (HOUSE / CORE).rglob("*.py") if path.name != "__init__.py")
    return [path.relative_to(HOUSE / CORE).with_suffix("").as_posix() for path in paths]


def text_of(module: str) -> str:
    return (HOUSE / CORE / f"{module}.py").read_text()


def bare(code: str) -> str:
    """The syntax tree of a module without annotations."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if isinstance(getattr(node, name, None), ast.AST):
                setattr(node, name, ast.Constant(None))
    return ast.dump(tree)


def places(code: str) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """Positions at which the module can be changed, with the operators (name, occurrence)."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    nodes = list(ast_nodes(get_ast(code)))
    found: dict[tuple[int, int], list[tuple[str, int]]] = {}
    for name in sorted(operator_names()):
        if get_operator(name).arguments() or any(word in name for word in BITS):
            continue
        operator = get_operator(name)()
        starts = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(starts):
            found.setdefault(start, []).append((name, occurrence))
    return found


def mutated(code: str, operator: str, occurrence: int) -> str:
    """The module with one change."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    try:
        return str(mutate_code(code, get_operator(operator)(), occurrence) or code)
    except AttributeError:  # cosmic-ray 8.7 cannot change "except (A, B)"
        return code


def statements(code: str) -> list[tuple[int, int]]:
    """First and last line of each statement; of compound statements only those before the body."""
    spans = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            spans.append((node.lineno, last))
    return spans


def drawn(module: str, number: int, seed: int) -> Iterator[Mutant]:
    """Sample of a module's mutants at different positions."""
    code = text_of(module)
    found, chance, original = places(code), random.Random(f"{seed} {module}"), bare(code)
    starts = sorted(found)
    for start in chance.sample(starts, len(starts)):
        if not number:
            return
        operator, occurrence = chance.choice(found[start])
        try:
            changed = bare(mutated(code, operator, occurrence))
        except SyntaxError:  # "not" in the place of "~", which binds less
            continue
        if changed != original:
            number -= 1
            yield mutant_of(module, operator, occurrence)


def mutant_of(module: str, operator: str, occurrence: int) -> Mutant:
    """The mutant for the current text of the module."""
    code = text_of(module)
    changed = mutated(code, operator, occurrence)
    head, *lines = list(difflib.unified_diff(code.splitlines(), changed.splitlines(), n=0, lineterm=""))[2:]
    at = int(head.split()[1].lstrip("-").partition(",")[0])
    line = max((first for first, last in statements(code) if first <= at <= last), default=at)
    return Mutant(module, operator, occurrence, line, "\n".join((head, *lines)))


def again(recorded: Mutant) -> Mutant | None:
    """A recorded mutant in the current text of the module; None if the line has another text."""
    code = text_of(recorded.module)
    if mutated(code, recorded.operator, recorded.occurrence) == code:
        return None
    now = mutant_of(recorded.module, recorded.operator, recorded.occurrence)
    return now if now.difference.splitlines()[1:] == recorded.difference.splitlines()[1:] else None


def inner_lines(module: str) -> frozenset[int]:
    """Lines inside functions, which are run by a call rather than by the import."""
    nodes = ast.walk(ast.parse(text_of(module)))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    spans = [range(node.body[0].lineno, (node.end_lineno or 0) + 1) for node in functions]
    return frozenset(line for span in spans for line in span)


def shares(names: Sequence[str], mutants: int) -> dict[str, int]:
    """Number of mutants of each module: in proportion to its lines, at least two."""
    sizes = {name: len(text_of(name).splitlines()) for name in modules()}
    return {name: max(2, round(mutants * sizes[name] / sum(sizes.values()))) for name in names}
