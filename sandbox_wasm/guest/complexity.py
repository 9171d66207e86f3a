"""How complicated a program is, by three measures of its syntax tree. Pure functions, called by `syntax`.

* cyclomatic: 1 + decisions (McCabe);
* cognitive: breaks in the linear flow, each dearer by its nesting (SonarSource's rules);
* Halstead: volume N·log2(n) and effort D·V with D = n1/2 · N2/n2, over operators (n1, N1) and operands (n2, N2).
"""

from __future__ import annotations

import ast
import math

_DECISIONS = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.comprehension)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def cyclomatic(tree: ast.AST) -> int:
    """McCabe's number of the whole program: one path, and one more for each decision."""
    count = 1
    for node in ast.walk(tree):
        if isinstance(node, _DECISIONS):
            count += 1
            if isinstance(node, ast.comprehension):
                count += len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        elif isinstance(node, ast.Match):
            count += max(len(node.cases) - 1, 1)
    return count


def cognitive(tree: ast.AST) -> int:
    """Cognitive complexity: 1 for each break in the flow, and 1 more for each level of nesting around it."""
    return _cognitive(tree, 0)


def _cognitive(node: ast.AST, nesting: int, inside: bool = False) -> int:
    """`inside`: a function. A function in a function nests, at any depth; one at module or class level does not."""
    if isinstance(node, ast.If):
        return 1 + nesting + _branches(node, nesting, inside)
    if isinstance(node, (*_LOOPS, ast.IfExp, ast.Match)):
        total = 1 + nesting
        for name, child in _children(node):
            deeper = name in ("body", "cases") or (name == "orelse" and isinstance(node, ast.IfExp))
            if name == "orelse" and isinstance(node, _LOOPS):
                deeper = True
            total += _cognitive(child, nesting + deeper, inside)
        return total + (1 if isinstance(node, _LOOPS) and node.orelse else 0)
    if isinstance(node, ast.ExceptHandler):
        return 1 + nesting + sum(_cognitive(child, nesting + 1, inside) for child in ast.iter_child_nodes(node))
    if isinstance(node, ast.BoolOp):
        return 1 + sum(_cognitive(child, nesting, inside) for child in ast.iter_child_nodes(node))
    if isinstance(node, _FUNCTIONS):
        inner = nesting + 1 if inside or nesting else 0
        return sum(_cognitive(child, inner, True) for child in ast.iter_child_nodes(node))
    inside = inside and not isinstance(node, ast.ClassDef)
    return sum(_cognitive(child, nesting, inside) for child in ast.iter_child_nodes(node))


def _branches(node: ast.If, nesting: int, inside: bool) -> int:
    """The test and branches of an if; `elif` and `else` cost 1 without their nesting."""
    total = _cognitive(node.test, nesting, inside)
    total += sum(_cognitive(child, nesting + 1, inside) for child in node.body)
    if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        return total + 1 + _branches(node.orelse[0], nesting, inside)
    if node.orelse:
        total += 1 + sum(_cognitive(child, nesting + 1, inside) for child in node.orelse)
    return total


def _children(node: ast.AST) -> list[tuple[str, ast.AST]]:
    pairs: list[tuple[str, ast.AST]] = []
    for name, value in ast.iter_fields(node):
        items = value if isinstance(value, list) else [value]
        pairs.extend((name, item) for item in items if isinstance(item, ast.AST))
    return pairs


def halstead(tree: ast.AST) -> tuple[float, float]:
    """Halstead's volume and effort, over arithmetic, logical and comparing operators and what they work on."""
    operators: list[str] = []
    operands: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp):
            operators.append(type(node.op).__name__)
            operands += [_operand(node.left), _operand(node.right)]
        elif isinstance(node, ast.UnaryOp):
            operators.append(type(node.op).__name__)
            operands.append(_operand(node.operand))
        elif isinstance(node, ast.BoolOp):
            operators.append(type(node.op).__name__)
            operands += [_operand(value) for value in node.values]
        elif isinstance(node, ast.AugAssign):
            operators.append(type(node.op).__name__)
            operands += [_operand(node.target), _operand(node.value)]
        elif isinstance(node, ast.Compare):
            operators += [type(operator).__name__ for operator in node.ops]
            operands += [_operand(node.left), *[_operand(value) for value in node.comparators]]
    return halstead_of(len(set(operators)), len(operators), len(set(operands)), len(operands))


def halstead_of(distinct_operators: int, operators: int, distinct_operands: int, operands: int) -> tuple[float, float]:
    """Volume and effort from the four counts n1, N1, n2, N2."""
    vocabulary = distinct_operators + distinct_operands
    if not vocabulary or not distinct_operands:
        return 0.0, 0.0
    volume = (operators + operands) * math.log2(vocabulary)
    return volume, distinct_operators / 2 * operands / distinct_operands * volume


def _operand(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return "name " + node.id
    if isinstance(node, ast.Attribute):
        return "attribute " + node.attr
    if isinstance(node, ast.Constant):
        return f"constant {type(node.value).__name__} {hex(node.value) if type(node.value) is int else node.value!r}"
    return "expression " + str(id(node))
