"""Containers: the same statements on torch's and on ours leave the same contents."""

import copy
from collections import OrderedDict

import pytest
import torch

import deepgpu as dg

LIBRARIES = (torch, dg)
SETUP = """
from collections import OrderedDict
L = lambda n: nn.Linear(n, 1)
s = nn.Sequential(L(1), L(2), L(3), L(4))
named = nn.Sequential(OrderedDict(a=L(1), b=L(2), c=L(3)))
m = nn.ModuleList([L(1), L(2), L(3)])
d = nn.ModuleDict({"x": L(1), "y": L(2)})
p = nn.ParameterList([lib.ones(1), lib.ones(2), 7])
q = nn.ParameterDict({"a": lib.ones(1), "b": lib.ones(2), "c": "text"})
"""


def contents(container):
    """Names and sizes of what a container holds."""
    if hasattr(container, "_modules") and container._modules:
        return [(name, contents(child)) for name, child in container._modules.items()]
    if isinstance(container, (torch.nn.ParameterList, dg.nn.ParameterList)):
        return [tuple(v.shape) if hasattr(v, "shape") else v for v in container]
    if isinstance(container, (torch.nn.ParameterDict, dg.nn.ParameterDict)):
        return [(k, tuple(v.shape) if hasattr(v, "shape") else v) for k, v in container.items()]
    return repr(container)


def outcome(library, statements):
    names = {"nn": library.nn, "lib": library, "copy": copy}
    exec(SETUP, names)
    try:
        exec(statements, names)
    except Exception as error:
        return type(error)
    result = names.get("r")
    shown = contents(result) if isinstance(result, library.nn.Module) else result
    return shown, [contents(names[c]) for c in ("s", "named", "m", "d", "p", "q")]


STATEMENTS = [
    # Sequential
    "r = s[1]",
    "r = s[-1]",
    "r = named[1:]",
    "r = s[::2]",
    "s[1] = L(9)",
    "s[-1] = nn.ReLU()",
    "del s[1]",
    "del s[-4]",
    "del s[1:3]",
    "del named[0]",
    "r = s.append(L(5))",
    "r = s.extend([L(5), L(6)])",
    "r = s.insert(1, L(9))",
    "s.insert(4, L(9))",
    "s.insert(-1, L(9))",
    "r = s.pop(1)",
    "r = s + named",
    "s += named",
    "r = named * 2",
    "r = 3 * named",
    "s *= 2",
    "r = len(s), [x.in_features for x in s]",
    "r = nn.Sequential(nn.Linear(2, 3), nn.ReLU())(lib.ones(1, 2)).shape == (1, 3)",
    "s[4]",
    "s['0']",
    "s[7] = L(1)",
    "s.insert(6, L(1))",
    "s.insert(0, 3)",
    "s + m",
    "s * 0",
    "s * 1.5",
    "s.append(3)",
    "s.pop(9)",
    "nn.Sequential(3)",
    # ModuleList
    "r = m[0]",
    "r = m[1:]",
    "m[1] = L(9)",
    "m[0] = L(8); m[-1] = L(9)",
    "del m[0]",
    "del m[-2:]",
    "r = m.append(L(4))",
    "r = m.extend(list(s))",
    "m.insert(0, L(9))",
    "m.insert(3, L(9))",
    "r = m.pop()",
    "r = m.pop(0)",
    "r = m + [L(5)]",
    "m += [L(5)]",
    "r = len(m), [x.in_features for x in m], m[0] in m",
    "m[3]",
    "m.extend(3)",
    "m.append(3)",
    "m(1)",
    # ModuleDict
    "r = d['x']",
    "d['x'] = L(9)",
    "d['z'] = L(9)",
    "del d['x']",
    "r = d.pop('y')",
    "d.clear()",
    "d.update({'y': L(5), 'w': L(6)})",
    "d.update([('y', L(5)), ['w', L(6)]])",
    "d.update(nn.ModuleDict({'k': L(1)}))",
    "r = len(d), list(d), list(d.keys()), [v.in_features for v in d.values()], 'x' in d, 'z' in d, len(d.items())",
    "r = nn.ModuleDict([('k', L(1))])",
    "d['z']",
    "d['x'] = 3",
    "d['a.b'] = L(1)",
    "d.update(3)",
    "d.update([3])",
    "d.update([('a', L(1), 2)])",
    # ParameterList
    "r = type(p[0]).__name__, p[2]",
    "p[0] = lib.ones(5); p[-1] = lib.ones(6)",
    "p[1] = nn.Parameter(lib.ones(5), requires_grad=False)",
    "r = p[1:]",
    "p.append(lib.ones(4))",
    "p.extend([lib.ones(4), 'x'])",
    "p += [lib.ones(3)]",
    "r = len(p), len(list(p.parameters())), [n for n, _ in p.named_parameters()]",
    "p[3]",
    "p.extend(3)",
    "p(1)",
    # ParameterDict
    "r = type(q['a']).__name__, q['c']",
    "q['a'] = lib.ones(5)",
    "q['z'] = lib.ones(5)",
    "del q['a']",
    "r = q.pop('c')",
    "r = q.popitem()[0]",
    "q.clear()",
    "r = q.get('a').shape == (1,), q.get('z'), q.get('z', 3)",
    "r = q.setdefault('n', 4), q.setdefault('c', 4)",
    "q.update({'a': lib.ones(4)})",
    "q.update([('a', lib.ones(4))])",
    "q.update(nn.ParameterDict({'k': lib.ones(4)}))",
    "r = q.copy()",
    "r = q.fromkeys(['m', 'n'], 1)",
    "r = q | nn.ParameterDict({'a': lib.ones(4)})",
    "q |= nn.ParameterDict({'a': lib.ones(4)})",
    "r = len(q), list(q), list(reversed(q)), 'a' in q, list(q.keys()), len(list(q.values()))",
    "r = [n for n, _ in q.named_parameters()]",
    "q['keys'] = lib.ones(1)",
    "q.update(3)",
    "q(1)",
]


@pytest.mark.parametrize("statements", STATEMENTS)
def test_statement_leaves_what_it_leaves_in_torch(statements):
    theirs, mine = (outcome(library, statements) for library in LIBRARIES)
    assert mine == theirs


def test_sequential_chains_by_call():
    calls = []

    class Add(dg.nn.Module):
        def forward(self, x):
            calls.append(x)
            return x + 1

    net = dg.nn.Sequential(Add(), Add())
    assert net(0) == 2
    assert calls == [0, 1]


def test_list_of_one_module_many_times_holds_it_many_times():
    layer = dg.nn.Linear(1, 1)
    m = dg.nn.ModuleList([layer] * 3)
    assert len(m) == 3
    assert len(list(m.parameters())) == 2


def test_parameters_of_a_list_are_trained():
    p = dg.nn.ParameterList([dg.ones(2), dg.ones(2)])
    sum(v.sum() for v in p).backward()
    assert [v.grad.tolist() for v in p] == [[1, 1], [1, 1]]


def test_where_torch_trips_over_names():
    """Torch's ``*=`` takes all names for numbers, and its ParameterDict raises AttributeError."""
    named = dg.nn.Sequential(OrderedDict(a=dg.nn.Identity()))
    named *= 2
    assert list(named._modules) == ["a", "1"]
    with pytest.raises(KeyError):
        dg.nn.ParameterDict()["z"]
