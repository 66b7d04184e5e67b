"""Module: registration, attributes, walks, modes, conversions, printing, copies."""

import copy
import pickle

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, close, copy_weights, plain

NET = """nn.Sequential(
    nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(True),
    nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.ModuleDict({'drop': nn.Dropout(), 'none': nn.Identity()})))"""

SHARED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = self.a
        self.c = nn.Linear(2, 2)
        self.c.weight = self.a.weight
        self.register_buffer("m", lib.zeros(2))
        self.register_buffer("n", self.m, persistent=False)
        self.register_buffer("o", None)
        self.register_parameter("w", None)
        self.v = nn.Parameter(lib.ones(3))
net = Net()
"""


def shared_nets():
    nets = []
    for library in (torch, dg):
        names = {"nn": library.nn, "lib": library}
        exec(SHARED, names)
        nets.append(names["net"])
    return nets


def named(members):
    return [(name, tuple(m.shape) if hasattr(m, "shape") else type(m).__name__) for name, m in members]


@pytest.mark.parametrize("nets", [shared_nets(), built(NET)], ids=["shared", "nested"])
@pytest.mark.parametrize("walk", ["named_parameters", "named_buffers", "named_modules"])
@pytest.mark.parametrize("prefix", ["", "net"])
@pytest.mark.parametrize("remove_duplicate", [True, False])
def test_walks_find_what_torch_finds(nets, walk, prefix, remove_duplicate):
    theirs, mine = (getattr(n, walk)(prefix=prefix, remove_duplicate=remove_duplicate) for n in nets)
    assert named(mine) == named(theirs)


def test_walks_of_direct_members():
    for theirs, mine in (shared_nets(), built(NET)):
        for walk in ("named_parameters", "named_buffers"):
            assert named(getattr(mine, walk)(recurse=False)) == named(getattr(theirs, walk)(recurse=False))
        assert named(mine.named_children()) == named(theirs.named_children())
        for walk in ("parameters", "buffers", "modules", "children"):
            assert len(list(getattr(mine, walk)())) == len(list(getattr(theirs, walk)()))


def test_dir_lists_members():
    for theirs, mine in (shared_nets(), built(NET)):
        assert set(mine._parameters) | set(mine._buffers) <= set(dir(mine))
        assert [n for n in dir(mine) if n.isdigit()] == [n for n in dir(theirs) if n.isdigit()] == []


class Empty(dg.nn.Module):
    pass


# (statements on a fresh module m; the error of the last is compared)
MISTAKES = [
    "m.w = nn.Parameter(lib.ones(2)); m.w = lib.ones(2)",
    "m.w = nn.Parameter(lib.ones(2)); m.w = 3",
    "m.w = nn.Parameter(lib.ones(2)); m.w = nn.Identity()",
    "m.a = nn.Identity(); m.a = lib.ones(2)",
    "m.register_buffer('b', lib.ones(2)); m.b = 3",
    "m.register_parameter('w', lib.ones(2))",
    "m.register_parameter('w.v', nn.Parameter(lib.ones(2)))",
    "m.register_parameter('', nn.Parameter(lib.ones(2)))",
    "m.register_parameter(3, None)",
    "m.register_parameter('forward', None)",
    "m.register_buffer('b', 3)",
    "m.register_buffer('b.c', None)",
    "m.register_buffer('', None)",
    "m.register_buffer('train', None)",
    "m.add_module('a', 3)",
    "m.add_module('', nn.Identity())",
    "m.add_module('a.b', nn.Identity())",
    "m.add_module('eval', nn.Identity())",
    "m.missing",
    "del m.missing",
    "m()",
    "m.to(lib.int64)",
    "m.to([])",
    "m.train('yes')",
    "m.get_submodule('a.b')",
    "m.get_parameter('w')",
    "m.a = nn.Linear(1, 1); m.get_parameter('a')",
    "m.a = nn.Linear(1, 1); m.get_submodule('a.weight')",
    "m.a = nn.Linear(1, 1); m.get_buffer('a.weight')",
    "m.get_buffer('b')",
    "m.set_submodule('', nn.Identity())",
    "m.set_submodule('a.b', nn.Identity())",
    "m.set_submodule('a', 3)",
    "m.set_submodule('a', nn.Identity(), strict=True)",
    "m.a = nn.Linear(1, 1); m.set_submodule('a.weight', nn.Identity())",
    "m.get_extra_state()",
]


@pytest.mark.parametrize("statements", MISTAKES)
def test_mistakes_raise_the_errors_that_torch_raises(statements):
    errors = []
    for library in (torch, dg):
        names = {"nn": library.nn, "lib": library, "m": library.nn.Module()}
        *before, last = statements.split("; ")
        exec("; ".join(before), names)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the type is what is compared
            exec(last, names)
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1])
    assert str(errors[1])


def test_assignment_before_init_says_so():
    class Early(dg.nn.Module):
        def __init__(self, member):
            self.member = member

    for member, what in ((dg.nn.Parameter(dg.ones(1)), "parameter"), (dg.nn.Identity(), "module")):
        with pytest.raises(AttributeError, match=f"cannot assign {what} before Module.__init__"):
            Early(member)
    with pytest.raises(AttributeError, match="buffer before"):
        Empty.__new__(Empty).register_buffer("b", None)


def test_an_attribute_can_change_its_kind():
    m = Empty()
    m.x = 3
    m.x = dg.nn.Parameter(dg.ones(2))
    assert list(m._parameters) == ["x"]
    assert "x" not in m.__dict__
    del m.x
    m.x = dg.nn.Identity()
    assert list(m._modules) == ["x"]
    m.x = dg.nn.Parameter(dg.ones(1))
    assert list(m._parameters) == ["x"]
    assert not m._modules
    del m.x
    m.x = dg.nn.Identity()
    m.x = None
    assert m.x is None
    assert m._modules == {"x": None}
    del m.x
    assert not hasattr(m, "x")
    m.register_buffer("b", dg.ones(1), persistent=False)
    m.b = dg.zeros(1)  # stays a buffer that is not saved
    assert list(m._buffers) == ["b"]
    assert not m.state_dict()
    del m.b
    m.register_buffer("b", dg.ones(1))
    assert list(m.state_dict()) == ["b"]


def test_members_by_dotted_name():
    net = built(NET)[1]
    assert net.get_submodule("") is net
    assert net.get_submodule("3.2.drop") is net[3][2]["drop"]
    assert net.get_parameter("3.1.bias") is net[3][1].bias
    assert net.get_buffer("1.running_var") is net[1].running_var
    net.set_submodule("3.2.drop", dg.nn.Identity())
    assert isinstance(net[3][2]["drop"], dg.nn.Identity)
    net.set_submodule("3.3", dg.nn.Tanh())
    assert isinstance(net[3][3], dg.nn.Tanh)


@pytest.mark.parametrize(
    "source",
    [
        NET,
        "nn.Module()",
        "nn.Sequential()",
        "nn.ModuleList([nn.Linear(1, 2), nn.Linear(1, 2), nn.Sequential(nn.ReLU()), nn.Linear(1, 2)])",
        "nn.ModuleList([nn.Sequential(nn.ReLU(), nn.ReLU())] * 3)",
        "nn.ModuleList()",
        "nn.ModuleDict({'a': nn.ModuleList([nn.Flatten()])})",
        "nn.ParameterList([lib.ones(2, 3), nn.Parameter(lib.ones(1))])",
    ],
)
def test_printed_form_is_that_of_torch(source):
    theirs, mine = built(source)
    assert plain(repr(mine)) == repr(theirs)


def test_printed_form_with_several_lines_of_settings_and_an_empty_member():
    def make(nn):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(1, 1)
                self.b = nn.Identity()
                self.b = None

            def extra_repr(self):
                return "first=1\nsecond=2"

        class Leaf(nn.Module):
            def extra_repr(self):
                return "first=1\nsecond=2"

        return nn.Sequential(Net(), Leaf())

    assert repr(make(dg.nn)) == repr(make(torch.nn))


def test_modes_reach_every_module():
    net = built(NET)[1]
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_apply_visits_children_first():
    seen = {library: [] for library in (torch, dg)}
    for library, net in zip(seen, built(NET), strict=True):
        assert net.apply(lambda m, kinds=seen[library]: kinds.append(type(m).__name__)) is net
    assert seen[dg] == seen[torch]


def test_freezing_and_gradients():
    net = dg.nn.Linear(2, 1)
    net(dg.ones(1, 2)).sum().backward()
    grad = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is grad
    np.testing.assert_array_equal(grad, np.zeros((1, 2)))
    net.zero_grad()
    assert net.weight.grad is None
    assert net.requires_grad_(False) is net
    assert not any(p.requires_grad for p in net.parameters())
    assert not net(dg.ones(1, 2)).requires_grad


@pytest.mark.parametrize(
    "convert",
    [
        lambda m, lib: m.double(),
        lambda m, lib: m.float(),
        lambda m, lib: m.half(),
        lambda m, lib: m.bfloat16(),
        lambda m, lib: m.to(lib.float64),
        lambda m, lib: m.to("cpu", lib.float16),
        lambda m, lib: m.to(device=lib.device("cpu"), dtype=lib.bfloat16, non_blocking=True),
        lambda m, lib: m.to(lib.zeros(1, dtype=lib.float64)),
        lambda m, lib: m.type(lib.float64),
        lambda m, lib: m.cpu(),
    ],
)
def test_conversions(convert):
    theirs, mine = built(NET)
    parameter = mine[0].weight
    parameter.sum().backward()
    assert convert(mine, dg) is mine
    convert(theirs, torch)
    assert mine[0].weight is parameter
    assert parameter.requires_grad
    assert parameter.grad.dtype is parameter.dtype
    for name, t in theirs.state_dict().items():
        assert plain(str(mine.state_dict()[name].dtype)) == str(t.dtype), name


def test_memory_format_reaches_4d_parameters():
    theirs, mine = built(NET)
    copy_weights(theirs, mine)
    mine.to(memory_format=dg.channels_last)
    theirs.to(memory_format=torch.channels_last)
    for (name, own), (_, p) in zip(mine.named_parameters(), theirs.named_parameters(), strict=True):
        assert own.stride() == p.stride(), name
        close(own, p, 0, name)
    mine.to(memory_format=dg.contiguous_format)
    assert mine[0].weight.is_contiguous()


def test_to_empty_allocates_anew():
    net = dg.nn.Linear(2, 3)
    before = net.weight.data_ptr()
    assert net.to_empty(device="cpu") is net
    assert net.weight.shape == (3, 2)
    assert net.weight.data_ptr() != before


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same_and_share_nothing(again):
    layer, other = dg.nn.Linear(2, 2), dg.nn.Linear(2, 2)
    other.weight = layer.weight
    mine = dg.nn.Sequential(layer, dg.nn.BatchNorm1d(2), layer, other).eval()
    twin = again(mine)
    assert twin[0] is twin[2]
    assert twin[3].weight is twin[0].weight
    assert named(twin.named_parameters()) == named(mine.named_parameters())
    assert list(twin.state_dict()) == list(mine.state_dict())
    assert not twin.training
    x = dg.randn(3, 2)
    np.testing.assert_array_equal(twin(x).detach(), mine(x).detach())
    with dg.no_grad():
        twin[0].weight.zero_()
    assert (mine[0].weight != 0).any()


def test_modules_hold_plain_attributes_and_tensors():
    m = Empty()
    m.t = dg.ones(2)
    m.n = 3
    assert not list(m.parameters())
    assert m.__dict__["t"] is m.t
