"""Reads preprocessed CUDA C++: which kernels there are, what their parameters are called.

The compiler does all real parsing. What is done here is what g++ cannot do for CUDA: find the functions marked
``__global__`` and read ``__launch_bounds__``, on the preprocessor's output, where macros have been expanded.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      |(?P<marker>(?<![^\n])\#[^\n]*)
      |(?P<raw>(?:u8|[uUL])?R"(?P<delimiter>[^()\\\s]{0,16})\((?s:.*?)\)(?P=delimiter)")
      |(?P<string>(?:u8|[uUL])?"(?:[^"\\\n]|\\.)*")
      |(?P<char>(?:u8|[uUL])?'(?:[^'\\\n]|\\.)+')
      |(?P<word>[A-Za-z_$][\w$]*)
      |(?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
      |(?P<punctuator>::|->|.)""",
    re.VERBOSE | re.DOTALL,
)
_LINE_MARKER = re.compile(r'# (\d+) "((?:[^"\\]|\\.)*)"((?: \d)*)')


class Token(NamedTuple):
    """A token of the source and where it stands in the text."""

    text: str
    kind: str
    start: int
    end: int
    file: str
    line: int


@dataclass(frozen=True)
class KernelDeclaration:
    """A ``__global__`` function: qualified name, linkage, parameters and launch bound (0: none, or not a number)."""

    name: str
    extern_c: bool
    parameters: tuple[str, ...]
    file: str
    line: int
    max_threads: int


def tokens(text: str) -> list[Token]:
    """The tokens of the user's files in preprocessed text (those of system headers are left out)."""
    found: list[Token] = []
    file, line, system = "", 1, False
    is_system: dict[
        str, bool
    ] = {}  # a macro of a system header is marked as one where it is used: the first mark counts
    position = 0
    while position < len(text):
        if system:  # to the next line marker
            next_marker = text.find("\n# ", position)
            if next_marker < 0:
                break
            position = next_marker + 1
        match = _TOKEN.match(text, position)
        assert match is not None
        kind, lexeme = match.lastgroup or "", match.group()
        if kind == "delimiter":
            kind = "raw"
        position = match.end()
        if kind == "marker":
            if marker := _LINE_MARKER.match(lexeme):
                # The line number is that of the next line; the newline behind the marker is still to be counted.
                line, file = int(marker[1]) - 1, marker[2]
                system = is_system.setdefault(file, "3" in marker[3].split())
            continue
        if kind != "space":
            found.append(Token(lexeme, kind, match.start(), match.end(), file, line))
        line += lexeme.count("\n")
    return found


def _closing(stream: list[Token], opening: int) -> int:
    """The index of the bracket that closes the one at ``opening``."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    close, depth = pairs[stream[opening].text], 0
    for i in range(opening, len(stream)):
        if stream[i].text == stream[opening].text:
            depth += 1
        elif stream[i].text == close:
            depth -= 1
            if depth == 0:
                return i
    raise ValueError(f"{stream[opening].file}:{stream[opening].line}: `{stream[opening].text}` is never closed")


def _parameter_names(stream: list[Token], first: int, last: int) -> tuple[str, ...]:
    """The names of the parameters between two parentheses; an unnamed one is called by its number."""
    groups: list[list[Token]] = [[]]
    depth = 0
    for token in stream[first:last]:
        if token.text in "([{<":
            depth += 1
        elif token.text in ")]}>":
            depth -= 1
        if token.text == "," and depth == 0:
            groups.append([])
        else:
            groups[-1].append(token)
    names = []
    for number, group in enumerate(g for g in groups if g):
        declarator = group
        for i, token in enumerate(group):  # up to a default argument or the bounds of an array
            if token.text in ("=", "[") and i:
                declarator = group[:i]
                break
        words = [t.text for t in declarator if t.kind == "word"]
        named = len(words) > 1 and declarator[-1].kind == "word"
        names.append(words[-1] if named else f"#{number}")
    if len(names) == 1 and [t.text for t in stream[first:last]] == ["void"]:
        return ()
    return tuple(names)


def _launch_bound(stream: list[Token], first: int, last: int) -> int:
    """The first argument of ``__launch_bounds__`` if it is a constant expression of numbers, else 0."""
    expression, depth = "", 0
    for token in stream[first:last]:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and depth == 0:
            break
        expression += token.text
    if not re.fullmatch(r"[\d()+*/-]+", expression):
        return 0
    return int(eval(expression.replace("/", "//"), {"__builtins__": {}}))


_NOT_A_NAME = {"__attribute__", "alignas", "decltype", "noexcept", "__emu_launch_bounds__"}


def scan(text: str) -> tuple[str, list[KernelDeclaration]]:
    """Finds the kernels of preprocessed source.

    Returns
    -------
    text : str
        The source without ``__launch_bounds__``, every remaining token in its place.
    kernels : list of KernelDeclaration
        In the order of the source; a kernel that is declared and defined appears once.
    """
    stream = tokens(text)
    scopes: list[str] = []  # one an open brace: "namespace X", 'extern "C"' or ""
    kernels: dict[str, KernelDeclaration] = {}
    bounds: list[tuple[int, int]] = []  # the indices of the tokens to blank out
    statement = 0  # where the present declaration begins
    for i, token in enumerate(stream):
        if token.text == "__emu_launch_bounds__":
            bounds.append((i, _closing(stream, i + 1)))
        elif token.text in ";}":
            if token.text == "}" and scopes:
                scopes.pop()
            statement = i + 1
        elif token.text == "{":
            words = [t.text for t in stream[statement:i]]
            if "namespace" in words:
                scopes.append("namespace " + "".join(w for w in words[words.index("namespace") + 1 :] if w != "inline"))
            else:
                scopes.append('extern "C"' if words == ["extern", '"C"'] else "")
            statement = i + 1
        elif token.text == "emu_global":
            declaration = _kernel(stream, i, statement, scopes)
            if declaration is not None:
                kernels.setdefault(declaration.name, declaration)
    for first, last in reversed(bounds):
        a, b = stream[first].start, stream[last].end
        text = text[:a] + re.sub(r"[^\n]", " ", text[a:b]) + text[b:]
    return text, list(kernels.values())


def _kernel(stream: list[Token], marker: int, statement: int, scopes: list[str]) -> KernelDeclaration | None:
    """The kernel whose ``__global__`` stands at ``marker``."""
    max_threads = 0
    i = marker + 1
    while i < len(stream) and stream[i].text not in ";{":
        if stream[i].text == "(":
            close = _closing(stream, i)
            before = stream[i - 1]
            if before.text == "__emu_launch_bounds__":
                max_threads = _launch_bound(stream, i + 1, close)
            elif before.kind == "word" and before.text not in _NOT_A_NAME:
                words = [t.text for t in stream[statement:marker]]
                extern_c = 'extern "C"' in scopes or any(
                    pair == ("extern", '"C"') for pair in itertools.pairwise(words)
                )
                spaces = [s.removeprefix("namespace ") for s in scopes if s.startswith("namespace ")]
                name = "::".join([*(s for s in spaces if s), before.text])
                return KernelDeclaration(
                    name, extern_c, _parameter_names(stream, i + 1, close), before.file, before.line, max_threads
                )
            i = close
        i += 1
    return None
