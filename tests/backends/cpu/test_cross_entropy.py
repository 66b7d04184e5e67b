"""Cross-entropy of labels, the kernels and the composed reference alike, against PyTorch in float64."""

import numpy as np
import pytest
import torch

SHAPES = [(7, 10), (1, 1), (300, 33), (2, 5, 6, 7), (3, 4, 5), (9,)]


def double(x):
    return torch.from_numpy(np.ascontiguousarray(x, np.float64))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_cross_entropy(backend, shape, weighted, smoothing, dtype, tolerance, laid_out, rng):
    axis = min(1, len(shape) - 1)
    classes = shape[axis]
    x = (5 * rng.standard_normal(shape)).astype(dtype)
    x = laid_out(x) if x.ndim > 1 else x
    labels = np.asarray(rng.integers(0, classes, tuple(n for i, n in enumerate(shape) if i != axis)))
    weight = rng.uniform(0.5, 2, classes).astype(x.dtype if x.dtype.itemsize > 2 else np.float32) if weighted else None
    g = np.asarray(rng.standard_normal(labels.shape), np.float64 if x.dtype == np.float64 else np.float32)
    tx = double(x).requires_grad_()
    tw = None if weight is None else double(weight)
    expected = torch.nn.functional.cross_entropy(
        tx, torch.from_numpy(labels), tw, reduction="none", label_smoothing=smoothing
    )
    losses, norms = backend.cross_entropy(x, labels, weight, smoothing)
    atol = 50 * min(tolerance, 1e-6)
    np.testing.assert_allclose(np.float64(losses), expected.detach().numpy(), rtol=atol, atol=atol)
    (exact,) = torch.autograd.grad(expected, tx, double(g).reshape(expected.shape))
    gx = backend.cross_entropy_backward(g, x, norms, labels, weight, smoothing)
    assert gx.dtype == dtype
    assert gx.shape == shape
    np.testing.assert_allclose(gx.astype(np.float64), exact.numpy(), rtol=0, atol=40 * tolerance)


def test_one_gradient_for_all_labels(backend, dtype, tolerance, rng):
    x, labels = rng.standard_normal((6, 4, 3)).astype(dtype), rng.integers(0, 4, (6, 3))
    tx = double(x).requires_grad_()
    (exact,) = torch.autograd.grad(0.5 * torch.nn.functional.cross_entropy(tx, torch.from_numpy(labels)), tx)
    g = np.array(0.5 / labels.size, np.float64 if x.dtype == np.float64 else np.float32)
    gx = backend.cross_entropy_backward(g, x, backend.cross_entropy(x, labels, None, 0.0)[1], labels, None, 0.0)
    np.testing.assert_allclose(gx.astype(np.float64), exact.numpy(), rtol=0, atol=40 * tolerance)


def test_labels_that_do_not_count(backend, rng):
    x, labels = rng.standard_normal((5, 3)).astype(np.float32), np.array([0, -1, 2, -1, 1])
    losses, norms = backend.cross_entropy(x, labels, None, 0.2)
    assert (losses == 0).tolist() == [False, True, False, True, False]
    gx = backend.cross_entropy_backward(np.ones(5, np.float32), x, norms, labels, None, 0.2)
    assert (gx == 0).all(axis=1).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_special_values(backend, value):
    x = np.array([[1, value, 2], [value] * 3, [0, 1, 2]], np.float32)
    labels = np.array([0, 1, 2])
    tx = torch.from_numpy(x.copy()).requires_grad_()
    expected = torch.nn.functional.cross_entropy(tx, torch.from_numpy(labels), reduction="none")
    losses, norms = backend.cross_entropy(x, labels, None, 0.0)
    np.testing.assert_allclose(losses, expected.detach().numpy(), rtol=1e-6, equal_nan=True)
    (exact,) = torch.autograd.grad(expected.sum(), tx)
    gx = backend.cross_entropy_backward(np.ones(3, np.float32), x, norms, labels, None, 0.0)
    np.testing.assert_allclose(gx, exact.numpy(), atol=1e-6, equal_nan=True)
