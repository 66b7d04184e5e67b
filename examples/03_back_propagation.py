"""Back-propagation by hand: the delta rule in NumPy, and autograd, take the same steps.

A feed-forward net of 3 inputs, 4 hidden and 2 output units, all sigmoids, learns to tell irises apart. With the error
E = 1/2 sum (t - y)² of one example, and f' = f (1 - f), Rumelhart, Hinton & Williams (1986) have the deltas

    output:  delta_k = (t_k - y_k) y_k (1 - y_k)
    hidden:  delta_j = h_j (1 - h_j) sum_k delta_k w_kj

and behind each example every weight moves by eta times the delta of the unit it leads to times the input it carries.
That is gradient descent on E, so autograd must find the same weights, up to rounding.
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_iris
from study import Study, main

import deepgpu as dg
from deepgpu import nn

ETA = 0.5


def sigmoid(v: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-v))."""
    return 1 / (1 + np.exp(-v))


def by_hand(weights: list[np.ndarray], x: np.ndarray, t: np.ndarray) -> float:
    """One example: forward, deltas, update in place. Gives the error before the update."""
    w1, b1, w2, b2 = weights
    h = sigmoid(w1 @ x + b1)
    y = sigmoid(w2 @ h + b2)
    delta_output = (t - y) * y * (1 - y)
    delta_hidden = h * (1 - h) * (w2.T @ delta_output)  # with the weights before their update
    w2 += ETA * np.outer(delta_output, h)
    b2 += ETA * delta_output
    w1 += ETA * np.outer(delta_hidden, x)
    b1 += ETA * delta_hidden
    return float(((t - y) ** 2).sum() / 2)


def study(s: Study) -> dict[str, Any]:
    """The same examples to both nets, from the same weights."""
    iris = load_iris()
    kept = iris.target < 2
    x = iris.data[kept][:, 1:]  # three inputs
    x = (x - x.mean(0)) / x.std(0)
    t = np.eye(2)[iris.target[kept]]
    net = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2), nn.Sigmoid()).double()
    weights = [p.detach().numpy().copy() for p in net.parameters()]
    optimizer = dg.optim.SGD(net.parameters(), lr=ETA)
    order = np.random.default_rng(s.seed).permutation(len(x))
    before = float(((t - net(dg.tensor(x)).detach().numpy()) ** 2).sum(1).mean() / 2)

    updates = 100 if s.quick else 1000
    differences, errors = [], []
    for n in s.track(range(updates), "updates"):
        i = order[n % len(x)]
        errors.append(by_hand(weights, x[i], t[i]))
        loss = ((dg.tensor(t[i]) - net(dg.tensor(x[i]))) ** 2).sum() / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert abs(loss.item() - errors[-1]) < 1e-12
        pairs = zip(weights, net.parameters(), strict=True)
        differences.append(max(float(np.abs(w - p.detach().numpy()).max()) for w, p in pairs))
    largest = max(differences)
    claim = f"equal weights after each of {updates} updates"
    s.found(claim, f"largest difference {largest:.1e} (float64)", largest <= 1e-12)
    y = net(dg.tensor(x)).detach().numpy()
    after = float(((t - y) ** 2).sum(1).mean() / 2)
    s.found("the mean error of all irises falls", f"from {before:.3f} to {after:.3f}", after < before / 2)
    right = float((y.argmax(1) == t.argmax(1)).mean())
    s.found("the irises are told apart", f"{100 * right:.0f} % of {len(x)}", right >= 0.98)
    with s.figure(1, 2, (9, 3)) as axes:
        axes[0, 0].plot(errors, lw=0.8)
        axes[0, 0].set(title="error of the example", xlabel="update", yscale="log")
        axes[0, 1].semilogy(np.maximum(differences, 1e-18))
        axes[0, 1].axhline(1e-12, color="tab:red", lw=0.8)
        axes[0, 1].set(title="by hand - autograd, largest weight", xlabel="update", ylim=(1e-18, 1e-11))
    return {"differences": differences, "errors": errors, "accuracy": right}


if __name__ == "__main__":
    main(study)
