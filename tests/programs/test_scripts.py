"""Training scripts in the style of PyTorch's tutorials and examples, run from one source with both libraries.

Each script's ``main`` takes its data and random numbers as NumPy arrays and a function that sets the start of a
module, and returns what it measured: at least 20 steps.
"""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.programs.swap import load

TEXT = """the quick brown fox jumps over the lazy dog and the dog sleeps while the fox runs over the hill and the quick
dog wakes and runs after the brown fox until the fox jumps over the river and the lazy dog sleeps again on the hill and
then the river runs down the hill while the brown dog and the quick fox sleep until the morning wakes the lazy hill and
the fox and the dog run over the river again and again until the quick river sleeps and the brown hill wakes the fox"""


def digits():
    """Real images (N, 8, 8) of 0 to 16 and their labels."""
    data = load_digits()
    return data.images.astype(np.uint8), data.target.astype(np.int64)


def starter():
    """Sets the start of modules to the same numbers in both libraries, whatever was drawn before."""
    rng = np.random.default_rng(7)

    def start(module):
        state = module.state_dict()
        for key, value in state.items():
            if key.endswith("num_batches_tracked"):
                continue
            fan_in = int(np.prod(value.shape[1:])) if value.ndim > 1 else 1
            drawn = rng.standard_normal(tuple(value.shape)) * (0.7 / np.sqrt(fan_in))
            if value.ndim == 1:
                drawn = 1 + 0.1 * drawn if key.endswith(("weight", "var")) else 0.1 * drawn
            value.copy_(value.new_tensor(np.abs(drawn) if key.endswith("var") else drawn))
        module.load_state_dict(state)

    return start


def both(script, run):
    """What ``run(module)`` gives for each library."""
    return run(load(f"scripts/{script}.py", "deepgpu")), run(load(f"scripts/{script}.py", "torch"))


def same(ours, theirs, rtol=2e-4):
    """float32 losses that add up rounding over the steps."""
    assert len(ours) == len(theirs) >= 20
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=1e-5)


def test_mnist_with_checkpoints(tmp_path, capsys):
    images, labels = digits()

    def run(module):
        losses = module.main(images * 15, labels, starter(), ["--epochs", "2", "--batch-size", "64"])
        output = [capsys.readouterr().out]
        path = str(tmp_path / f"{module.__name__}.pt")
        # one epoch, then from its checkpoint the second
        halves = module.main(images * 15, labels, starter(), ["--epochs", "1", "--checkpoint", path])
        halves += module.main(images * 15, labels, starter(), ["--epochs", "2", "--checkpoint", path])
        np.testing.assert_allclose(halves, losses, rtol=1e-5)
        assert "=> loaded checkpoint (epoch 1)" in capsys.readouterr().out
        return losses, output

    (ours, text), (theirs, expected) = both("mnist", run)
    same(ours, theirs, rtol=2e-3)
    assert text[0].count("Train Epoch: 2 [320/640 (50%)]") == expected[0].count("Train Epoch: 2 [320/640 (50%)]") == 1
    assert ours[-1] > 80  # of 200 that are right, after 20 steps


def test_vae():
    images, _ = digits()
    same(*both("vae", lambda module: module.main(images[:768] * 15, np.random.default_rng(0), starter())))


def test_dcgan():
    images, _ = digits()
    same(*both("dcgan", lambda module: module.main(images, np.random.default_rng(0), starter())), rtol=2e-3)


def test_word_language_model(tmp_path):
    def run(module):
        return module.main(" ".join([TEXT] * 8), starter(), tmp_path / f"{module.__name__}.pt")

    (ours, words), (theirs, expected) = both("word_lm", run)
    same(ours, theirs)
    assert words == expected


def test_siamese():
    images, labels = digits()
    same(*both("siamese", lambda module: module.main(images, labels, np.random.default_rng(0), starter())))


def test_finetune(tmp_path):
    images, labels = digits()

    def run(module):
        return module.main(images, labels, starter(), tmp_path / f"{module.__name__}.pth")

    same(*both("finetune", run))


def test_transformer_language_model():
    starts = np.random.default_rng(0).integers(0, len(TEXT) - 17, (20, 2, 6))
    (ours, text), (theirs, expected) = both("transformer_lm", lambda module: module.main(TEXT, starts, starter()))
    same(ours, theirs)
    assert text == expected


def test_regression():
    (ours, lines), (theirs, expected) = both("regression", lambda module: module.main())
    same(ours, theirs)
    assert [line.replace("deepgpu.", "torch.") for line in lines] == expected


def test_only_import_lines_are_exchanged():
    from tests.programs.swap import HERE, for_deepgpu

    for file in sorted(HERE.glob("*/*.py")):
        before, after = file.read_text().split("\n"), for_deepgpu(file.read_text()).split("\n")
        changed = [a for a, b in zip(before, after, strict=True) if a != b]
        assert changed, file
        assert all(line.startswith(("import torch", "from torch")) for line in changed), file
    with pytest.raises(ValueError, match=r"no rule for 'import torch\.nn, os'"):
        for_deepgpu("import torch.nn, os")
