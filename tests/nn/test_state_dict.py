"""State dicts: contents, loading, what does not match, hooks around them."""

from collections import OrderedDict

import numpy as np
import pytest
import torch

import deepgpu as dg
from tests.nn.twins import built, copy_weights, ours

NET = "nn.Sequential(OrderedDict(conv=nn.Conv2d(2, 3, 3), bn=nn.BatchNorm2d(3), head=nn.Sequential(nn.Linear(3, 2))))"


def nets():
    return tuple(eval(NET, {"nn": library.nn, "OrderedDict": OrderedDict}) for library in (torch, dg))


def test_keys_shapes_and_metadata_are_those_of_torch():
    theirs, mine = nets()
    a, b = mine.state_dict(), theirs.state_dict()
    assert isinstance(a, OrderedDict)
    assert [(k, tuple(v.shape)) for k, v in a.items()] == [(k, tuple(v.shape)) for k, v in b.items()]
    assert a._metadata == b._metadata


def test_entries_share_memory_and_leave_the_graph_unless_kept():
    mine = nets()[1]
    state = mine.state_dict(prefix="net.")
    assert next(iter(state)) == "net.conv.weight"
    assert not state["net.conv.weight"].requires_grad
    state["net.conv.weight"].zero_()
    assert (mine.conv.weight == 0).all()
    kept = mine.state_dict(keep_vars=True)
    assert kept["conv.weight"] is mine.conv.weight
    given = OrderedDict()
    assert mine.state_dict(destination=given) is given
    assert list(given) == list(kept)


def test_weights_of_torch_load_through_numpy():
    theirs, mine = nets()
    copy_weights(theirs, mine)
    for key, value in theirs.state_dict().items():
        np.testing.assert_array_equal(mine.state_dict()[key].numpy(), value.numpy(), err_msg=key)


def test_loading_copies_into_the_parameters_and_casts():
    mine = nets()[1]
    weight = mine.conv.weight
    state = {k: v.double() * 0 + 2 if v.is_floating_point() else v for k, v in mine.state_dict().items()}
    result = mine.load_state_dict(state)
    assert str(result) == repr(result) == "<All keys matched successfully>"
    assert mine.conv.weight is weight
    assert weight.dtype is dg.float32
    assert (weight == 2).all()
    state["conv.weight"].zero_()
    assert (weight == 2).all()


def _errors(change, strict=True):
    """What torch and deepgpu say of a state dict that ``change`` was applied to."""
    texts = []
    for net, tensor in zip(nets(), (torch.zeros, dg.zeros), strict=True):
        state = net.state_dict()
        change(state, tensor)
        with pytest.raises(RuntimeError) as caught:
            net.load_state_dict(state, strict=strict)
        texts.append(str(caught.value).replace("deepgpu.", "torch."))
    return texts


CHANGES = [
    lambda s, t: s.pop("conv.bias"),
    lambda s, t: (s.pop("conv.bias"), s.pop("bn.running_mean"), s.update({"conv.extra": t(1), "tail.weight": t(2)})),
    lambda s, t: s.update({"conv.bias.more": t(1), "head": t(1), "head.0.x.y": t(1)}),
    lambda s, t: s.update({"conv.weight": t(3, 2, 1, 1), "head.0.bias": t(5)}),
    lambda s, t: (s.pop("head.0.bias"), s.update({"conv.weight": t(3), "x": t(1)})),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_dict_that_does_not_match_is_described_as_torch_does(change):
    theirs, mine = _errors(change)
    assert mine == theirs


def test_shapes_must_match_even_when_not_strict():
    theirs, mine = _errors(CHANGES[3], strict=False)
    assert mine == theirs
    assert "copying a param with shape torch.Size([5]) from checkpoint" in mine
    assert "the shape in current model is torch.Size([2])" in mine


def test_without_strict_the_result_lists_the_keys():
    theirs, mine = nets()
    results = []
    for net, tensor in ((theirs, torch.zeros), (mine, dg.zeros)):
        state = net.state_dict()
        CHANGES[1](state, tensor)
        results.append(net.load_state_dict(state, strict=False))
    assert results[1].missing_keys == results[0].missing_keys == ["conv.bias", "bn.running_mean"]
    assert results[1].unexpected_keys == results[0].unexpected_keys
    assert repr(results[1]) == repr(results[0])
    assert tuple(results[1]) == (results[1].missing_keys, results[1].unexpected_keys)


def test_what_is_no_tensor_is_refused():
    mine = nets()[1]
    state = dict(mine.state_dict())
    state["conv.bias"] = np.zeros(3)
    with pytest.raises(RuntimeError, match=r'"conv.bias", expected a tensor .* received <class .numpy.ndarray.>'):
        mine.load_state_dict(state)
    with pytest.raises(TypeError, match="dict-like"):
        mine.load_state_dict([1])


def test_assign_takes_the_tensors_themselves():
    mine = nets()[1]
    mine.conv.weight.requires_grad_(False)
    state = {k: v.double() if v.is_floating_point() else v for k, v in mine.state_dict().items()}
    state["conv.bias"] = dg.nn.Parameter(state["conv.bias"])
    mine.load_state_dict(state, assign=True)
    assert mine.conv.weight.dtype is dg.float64
    assert not mine.conv.weight.requires_grad
    assert mine.conv.weight.data_ptr() == state["conv.weight"].data_ptr()
    assert mine.conv.bias is state["conv.bias"]
    assert mine.bn.running_mean is state["bn.running_mean"]


def test_scalars_as_old_torch_wrote_them():
    mine = dg.nn.Module()
    mine.s = dg.nn.Parameter(dg.tensor(1.0))
    mine.load_state_dict({"s": dg.tensor([3.0])})
    assert mine.s.item() == 3


def test_batch_norm_of_version_1_has_no_count():
    mine = nets()[1]
    state = mine.state_dict()
    del state["bn.num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        mine.load_state_dict(state)
    mine.load_state_dict(dict(state))  # without metadata, the version is 1


def test_a_module_can_read_older_formats_by_its_version():
    class Renamed(dg.nn.Module):
        _version = 2

        def __init__(self):
            super().__init__()
            self.new = dg.nn.Parameter(dg.zeros(1))

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
            if local_metadata.get("version", 1) < 2:
                state_dict[prefix + "new"] = state_dict.pop(prefix + "old")
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    net = dg.nn.Sequential(Renamed())
    given = {"0.old": dg.ones(1)}
    net.load_state_dict(given)
    assert net[0].new.item() == 1
    assert list(given) == ["0.old"]  # the caller's dict is left alone
    assert net.state_dict()._metadata["0"] == {"version": 2}


def test_extra_state():
    class Counter(dg.nn.Module):
        n = 0

        def get_extra_state(self):
            return {"n": self.n}

        def set_extra_state(self, state):
            self.n = state["n"]

    a, b = dg.nn.Sequential(Counter()), dg.nn.Sequential(Counter())
    a[0].n = 5
    assert a.state_dict() == {"0._extra_state": {"n": 5}}
    b.load_state_dict(a.state_dict())
    assert b[0].n == 5
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0._extra_state"'):
        b.load_state_dict({})
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "_extra_state"'):
        dg.nn.Identity().load_state_dict({"_extra_state": 1})
    with pytest.raises(RuntimeError, match="set_extra_state"):
        dg.nn.Identity().set_extra_state(1)


def test_hooks_around_saving_and_loading_run_as_in_torch():
    logs = []
    for net, tensor in zip(nets(), (torch.ones, dg.ones), strict=True):
        log = []
        logs.append(log)
        net.bn.register_state_dict_pre_hook(lambda m, prefix, keep, log=log: log.append(("save", prefix, keep)))
        net.bn.register_state_dict_post_hook(
            lambda m, s, prefix, meta, log=log: log.append(("saved", sorted(s), prefix, meta))
        )
        net.register_state_dict_post_hook(lambda m, s, prefix, meta, t=tensor: s.update({"note": t(1)}))
        state = net.state_dict()
        assert "note" in state

        def before(m, s, prefix, meta, strict, missing, unexpected, errors, log=log):
            log.append(("load", prefix, meta, strict, list(missing), list(unexpected), list(errors)))

        def after(m, keys, net=net, log=log):
            log.append(("loaded", type(m).__name__, list(keys.missing_keys), list(keys.unexpected_keys)))
            if m is net:
                keys.unexpected_keys.clear()

        net.bn.register_load_state_dict_pre_hook(before)
        net.bn.register_load_state_dict_post_hook(after)
        handle = net.register_load_state_dict_post_hook(after)
        net.load_state_dict(state)  # the note is forgiven
        handle.remove()
        with pytest.raises(RuntimeError, match="note"):
            net.load_state_dict(state)
    assert logs[1] == logs[0]


def test_hooks_may_not_return_a_state_dict():
    net = dg.nn.Linear(1, 1)
    handle = net.register_state_dict_post_hook(lambda m, s, prefix, meta: {})
    with pytest.raises(RuntimeError, match="return None"):
        net.state_dict()
    handle.remove()
    net.register_load_state_dict_post_hook(lambda m, keys: keys)
    with pytest.raises(RuntimeError, match="return None"):
        net.load_state_dict(net.state_dict())


def test_modules_that_are_built_alike_exchange_state():
    a, b = built("nn.Linear(3, 2)")[1], dg.nn.Linear(3, 2)
    b.load_state_dict(a.state_dict())
    x = ours(torch.ones(1, 3))
    np.testing.assert_array_equal(a(x).detach(), b(x).detach())
