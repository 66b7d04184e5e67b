"""Hooks of modules: what they see, in which order, what they may replace."""

import gc
import weakref

import numpy as np
import pytest
import torch

import deepgpu as dg

LIBRARIES = (torch, dg)


def shown(value):
    if isinstance(value, (tuple, list)):
        return tuple(shown(v) for v in value)
    return value.tolist() if hasattr(value, "tolist") else value


class Log(list):
    """Hooks that record what they are given, after the module and a name."""

    def hook(self, name, result=None):
        def recording(module, *given):
            self.append((name, *shown(given)))
            return result(*given) if result else None

        return recording


def both(run):
    """The log of ``run(library, log)`` with deepgpu, once it is equal to that with torch."""
    logs = []
    for library in LIBRARIES:
        log = Log()
        run(library, log)
        logs.append(log)
    assert logs[1] == logs[0]
    return logs[1]


def scale_net(lib):
    class Scale(lib.nn.Module):
        def forward(self, x, factor=1.0, *, shift=0.0):
            return x * factor + shift

    return Scale()


def test_forward_hooks_see_and_replace_arguments_and_output():
    def run(lib, log):
        m = scale_net(lib)
        m.register_forward_pre_hook(log.hook("pre"))
        m.register_forward_pre_hook(log.hook("one", lambda args: args[0] + 1))
        m.register_forward_pre_hook(log.hook("two", lambda args: (args[0], 3.0)))
        m.register_forward_pre_hook(log.hook("first"), prepend=True)
        m.register_forward_pre_hook(log.hook("kw", lambda a, k: (a, {"shift": k["shift"] * 2})), with_kwargs=True)
        m.register_forward_hook(log.hook("post", lambda args, out: out * 10))
        m.register_forward_hook(log.hook("post kw"), with_kwargs=True)
        m.register_forward_hook(log.hook("post first"), prepend=True)
        log.append(m(lib.ones(2), 2.0, shift=0.5).tolist())

    log = both(run)
    assert log[-1] == [70.0, 70.0]
    assert [entry[0] for entry in log[:5]] == ["first", "pre", "one", "two", "kw"]


def test_a_handle_takes_its_hook_out():
    m = dg.nn.Identity()
    log = Log()
    with m.register_forward_hook(log.hook("a")):
        m(dg.ones(1))
    handle = m.register_forward_pre_hook(log.hook("b"))
    handle.remove()
    m(dg.ones(1))
    assert len(log) == 1


def test_a_pre_hook_with_keywords_must_return_both():
    for lib in LIBRARIES:
        m = scale_net(lib)
        m.register_forward_pre_hook(lambda m, a, k: a[0], with_kwargs=True)
        with pytest.raises(RuntimeError, match="must return None or a tuple"):
            m(lib.ones(2))


def test_hooks_that_are_always_called_run_after_a_failure():
    def run(lib, log):
        m = scale_net(lib)
        m.register_forward_hook(log.hook("always"), always_call=True)
        m.register_forward_hook(log.hook("normal"))
        m.register_forward_hook(log.hook("fails", lambda *given: 1 / 0), always_call=True)
        with pytest.warns(UserWarning, match="always_call=True"), pytest.raises(TypeError):
            m(lib.ones(1), None)
        with pytest.raises(ZeroDivisionError):  # it has been called by then
            m(lib.ones(1))

    both(run)


def linear_net(lib):
    net = lib.nn.Sequential(lib.nn.Linear(2, 3), lib.nn.ReLU(), lib.nn.Linear(3, 1))
    with lib.no_grad():
        for i, p in enumerate(net.parameters()):
            p.copy_(lib.arange(p.numel()).reshape(p.shape) - i)
    return net


def test_backward_hooks_see_the_gradients_of_inputs_and_outputs():
    def run(lib, log):
        net = linear_net(lib)
        for name, m in net.named_modules():
            m.register_full_backward_pre_hook(log.hook(f"{name} pre"))
            m.register_full_backward_hook(log.hook(name))
        x = lib.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=True)
        net(x).sum().backward()
        log.append(("result", x.grad.tolist(), net[0].weight.grad.tolist()))

    log = both(run)
    assert [entry[0] for entry in log] == [" pre", "2 pre", "2", "1 pre", "1", "0 pre", "0", "", "result"]


def test_backward_hooks_replace_gradients():
    def run(lib, log):
        net = linear_net(lib)
        net[2].register_full_backward_pre_hook(log.hook("pre", lambda g: (g[0] * 2,)))
        net[2].register_full_backward_hook(log.hook("doubled", lambda gi, go: (gi[0] * 3,)))
        net[2].register_full_backward_hook(log.hook("seen"))
        net[2].register_full_backward_hook(log.hook("before"), prepend=True)
        x = lib.tensor([[1.0, 2.0]], requires_grad=True)
        net(x).sum().backward()
        log.append(("result", x.grad.tolist(), net[2].weight.grad.tolist()))

    assert [entry[0] for entry in both(run)] == ["pre", "before", "doubled", "seen", "result"]


def test_several_inputs_and_outputs():
    def run(lib, log):
        class Two(lib.nn.Module):
            def forward(self, a, n, b, c, i):
                return a * b * n, [1], b + 1, a * 2, c

        m = Two()
        m.register_full_backward_pre_hook(log.hook("pre"))
        m.register_full_backward_hook(log.hook("hook"))
        a = lib.tensor([1.0, 2.0], requires_grad=True)
        b = lib.tensor([3.0, 4.0], requires_grad=True)
        out = m(a, 5, b, lib.ones(2), lib.arange(2))
        log.append(("values", shown(out)))
        (out[0].sum() + out[2].sum()).backward()
        log.append(("result", a.grad.tolist(), b.grad.tolist()))

    both(run)


def test_inputs_without_grad_leave_only_the_outputs_to_see():
    def run(lib, log):
        net = linear_net(lib)
        net.register_full_backward_hook(log.hook("net"))
        with pytest.warns(UserWarning, match="no inputs require gradients"):
            net(lib.ones(1, 2)).sum().backward()
        net.register_full_backward_hook(lambda m, gi, go: (go[0],))
        with (
            pytest.warns(UserWarning, match="no inputs require gradients"),
            pytest.raises(RuntimeError, match="no input requires gradient"),
        ):
            net(lib.ones(1, 2)).sum().backward()

    both(run)


def test_a_wrong_number_of_gradients_is_an_error():
    for lib in LIBRARIES:
        m = lib.nn.Identity()
        m.register_full_backward_hook(lambda m, gi, go: (gi[0], gi[0]))
        with pytest.raises(RuntimeError, match="invalid number of grad_input, got 2, but expected 1"):
            m(lib.ones(1, requires_grad=True)).sum().backward()
        m = lib.nn.Identity()
        m.register_full_backward_pre_hook(lambda m, go: (go[0], go[0]))
        with pytest.raises(RuntimeError, match="invalid number of grad_output, got 2, but expected 1"):
            m(lib.ones(1, requires_grad=True)).sum().backward()


def test_an_output_that_is_no_tensor_is_warned_about():
    for lib in LIBRARIES:

        class Named(lib.nn.Module):
            def forward(self, x):
                return {"y": x * 2}

        m = Named()
        m.register_full_backward_hook(lambda m, gi, go: None)
        with pytest.warns(UserWarning, match="should be a Tensor or a tuple"):
            m(lib.ones(1, requires_grad=True))


def test_without_recording_nothing_is_watched():
    m = dg.nn.Linear(2, 2)
    m.register_full_backward_hook(lambda *given: None)
    with dg.no_grad():
        assert not m(dg.ones(1, 2)).requires_grad


def test_hooks_run_in_every_backward_and_every_call():
    net = linear_net(dg)
    log = Log()
    net[0].register_full_backward_hook(log.hook("hook"))
    x = dg.ones(1, 2, requires_grad=True)
    y = net(x).sum() + net(2 * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert len(log) == 4


def test_second_derivatives_pass_the_gates():
    for lib in LIBRARIES:
        m = lib.nn.Sigmoid()
        calls = []
        m.register_full_backward_hook(lambda m, gi, go, calls=calls: calls.append(len(gi)))
        x = lib.tensor([0.5, -1.0], dtype=lib.float64, requires_grad=True)
        (g,) = lib.autograd.grad(m(x).sum(), x, create_graph=True)
        (gg,) = lib.autograd.grad(g.sum(), x)
        s = 1 / (1 + np.exp(-np.array([0.5, -1.0])))
        np.testing.assert_allclose(gg.detach().numpy(), s * (1 - s) * (1 - 2 * s), rtol=1e-12)
        assert calls == [1]


@pytest.mark.parametrize("memory_format", [dg.contiguous_format, dg.channels_last])
def test_in_place_layers_behind_a_gate_change_the_input_itself(memory_format):
    """Torch refuses this; here what passes a gate is a view."""
    results = []
    for hooked in (False, True):
        dg.manual_seed(0)
        relu = dg.nn.ReLU(inplace=True)
        if hooked:
            relu.register_full_backward_hook(lambda m, gi, go: None)
        x = dg.randn(2, 3, 4, 4).contiguous(memory_format=memory_format).requires_grad_()
        h = x * 2
        y = relu(h) + h
        y.square().sum().backward()
        results.append((y, h, x.grad))
    for plain, watched in zip(*results, strict=True):
        np.testing.assert_array_equal(watched.detach(), plain.detach())


def test_hooks_keep_nothing_alive():
    m = dg.nn.Linear(2, 2)
    m.register_full_backward_hook(lambda *given: None)
    x = dg.ones(1, 2, requires_grad=True)
    gc.disable()
    try:
        y = m(x)
        gone = weakref.ref(y)
        del y
        assert gone() is None
    finally:
        gc.enable()


def test_the_old_backward_hook_names_the_new_one():
    with pytest.raises(NotImplementedError, match="register_full_backward_hook"):
        dg.nn.Identity().register_backward_hook(print)
