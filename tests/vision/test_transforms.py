"""Transforms with their random draws: where they come from, what they decide, and batches against single images."""

import pickle

import numpy as np
import pytest
from PIL import Image

import deepgpu as dg
from deepgpu import nn
from deepgpu.vision import transforms as T
from deepgpu.vision.transforms import functional as F
from deepgpu.vision.transforms.base import IMAGES, TENSORS, of_batch


def _bytes(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _tensor(*shape, seed=0):
    return dg.tensor(_bytes(*shape, seed=seed))


def _pil(height=11, width=8, seed=0):
    return Image.fromarray(_bytes(height, width, 3, seed=seed))


RANDOM = [
    T.RandomCrop(6),
    T.RandomCrop((6, 7), padding=2),
    T.RandomCrop(20, pad_if_needed=True, padding_mode="edge"),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(0.3),
    T.RandomResizedCrop(5),
    T.ColorJitter(0.3, 0.3, 0.3, 0.1),
    T.RandomRotation(30),
    T.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (1, 2, 3, 4)),
    T.RandomPerspective(),
    T.RandomGrayscale(0.5),
    T.GaussianBlur(3),
    T.RandomInvert(),
    T.RandomPosterize(2),
    T.RandomSolarize(100),
    T.RandomAdjustSharpness(2),
    T.RandomAutocontrast(),
    T.RandomEqualize(),
    T.ElasticTransform(20.0, 2.0),
    T.AutoAugment(),
    T.AutoAugment(T.AutoAugmentPolicy.CIFAR10),
    T.AutoAugment(T.AutoAugmentPolicy.SVHN, T.InterpolationMode.BILINEAR, fill=3),
    T.RandAugment(),
    T.TrivialAugmentWide(fill=(1, 2, 3)),
    T.AugMix(),
    T.RandomApply([T.RandomHorizontalFlip(1.0)]),
    T.RandomChoice([T.RandomHorizontalFlip(1.0), T.RandomVerticalFlip(1.0)]),
    T.RandomOrder([T.RandomHorizontalFlip(), T.CenterCrop(7)]),
]
ON_TENSORS = [
    *RANDOM,
    T.RandomErasing(),
    T.RandomErasing(value="random"),
    T.RandomErasing(value=(1, 2, 3)),
    T.Cutout(4),
]
FIXED = [
    T.Pad(2),
    T.CenterCrop((5, 4)),
    T.Resize(5),
    T.Resize((7, 9), T.InterpolationMode.NEAREST),
    T.Grayscale(),
    T.Grayscale(3),
]


@pytest.mark.parametrize("transform", RANDOM, ids=repr)
def test_random_transforms_of_pil_images_are_seeded(transform):
    images = []
    for seed in (1, 1, 2, 3, 4, 5, 6, 7):
        dg.manual_seed(seed)
        images.append(np.asarray(transform(_pil(24, 20).point(lambda v: v // 2))))
    np.testing.assert_array_equal(images[0], images[1])
    assert any(not np.array_equal(images[0], other) for other in images[2:])


@pytest.mark.parametrize("transform", ON_TENSORS, ids=repr)
def test_each_image_of_a_batch_has_its_own_draws(transform):
    dg.manual_seed(0)
    one = _tensor(3, 24, 20) // 2  # room for autocontrast
    batch = dg.stack([one] * 12)
    out = transform(batch)
    assert out.dtype is dg.uint8
    assert len(out) == 12
    assert len({image.numpy().tobytes() for image in out}) > 1
    nested = transform(batch.reshape(3, 4, 3, 24, 20))
    assert tuple(nested.shape) == (3, 4, *out.shape[1:])
    dg.manual_seed(0)
    np.testing.assert_array_equal(transform(batch).numpy(), out.numpy())
    np.testing.assert_array_equal(batch.numpy(), np.stack([one.numpy()] * 12))  # not overwritten
    assert tuple(transform(one).shape) == tuple(out.shape[1:])
    assert len(transform(batch[:0])) == 0


@pytest.mark.parametrize("transform", FIXED, ids=repr)
def test_fixed_transforms_of_batches(transform):
    batch = _tensor(4, 3, 11, 8)
    np.testing.assert_array_equal(transform(batch).numpy(), np.stack([transform(image).numpy() for image in batch]))


@pytest.mark.parametrize("transform", [t for t in FIXED + RANDOM if t.exact_on_bytes], ids=repr)
def test_exact_on_bytes_is_exact(transform):
    """With the same draws, on a tensor exactly what it does to the Pillow image."""
    image = _pil()
    tensor = F.pil_to_tensor(image)
    for seed in range(5):
        dg.manual_seed(seed)
        theirs = F.pil_to_tensor(transform(image))
        dg.manual_seed(seed)
        np.testing.assert_array_equal(transform(tensor).numpy(), theirs.numpy())


def test_random_crop_takes_every_place_equally_often():
    dg.manual_seed(0)
    place = dg.arange(5 * 6).reshape(1, 1, 5, 6).to(dg.uint8)
    batch = place.expand(6000, 1, 5, 6)
    corners = T.RandomCrop((3, 4))(batch).numpy()[:, 0, 0, 0]
    alone = np.array([T.RandomCrop((3, 4))(place[0]).numpy()[0, 0, 0] for _ in range(900)])
    expected = sorted(row * 6 + column for row in range(3) for column in range(3))
    for found in (corners, alone):
        values, counts = np.unique(found, return_counts=True)
        assert values.tolist() == expected
        assert np.abs(counts / len(found) - 1 / 9).max() < 0.04
    windows = T.RandomCrop((3, 4))(batch).numpy()[:, 0].astype(int)
    np.testing.assert_array_equal(
        windows - windows[:, :1, :1], np.broadcast_to(place.numpy()[0, 0, :3, :4], (6000, 3, 4))
    )


@pytest.mark.parametrize("transform", [T.RandomHorizontalFlip(0.3), T.RandomVerticalFlip(0.3)])
def test_flips_have_their_probability(transform):
    dg.manual_seed(0)
    batch = dg.tensor([[[[0, 1], [2, 3]]]], dtype=dg.uint8).expand(4000, 1, 2, 2)
    flipped = transform(batch).numpy()
    changed = (flipped != batch.numpy()).any((1, 2, 3))
    assert abs(changed.mean() - 0.3) < 0.04
    axis = -1 if isinstance(transform, T.RandomHorizontalFlip) else -2
    np.testing.assert_array_equal(flipped[changed], np.flip(batch.numpy(), axis)[changed])


def test_cutout():
    dg.manual_seed(0)
    n, size = 20000, 3
    holes = T.Cutout(size, fill=5)(dg.zeros(n, 2, 6, 7, dtype=dg.uint8)).numpy()
    assert set(np.unique(holes)) == {0, 5}
    np.testing.assert_array_equal(holes[:, 0], holes[:, 1])
    covered = (holes[:, 0] == 5).mean(0)
    rows, columns = (np.array([sum(abs(i - c) <= 1 for c in range(k)) for i in range(k)]) / k for k in (6, 7))
    np.testing.assert_allclose(covered, np.outer(rows, columns), atol=0.02)
    assert (holes[:, 0] == 5).sum((1, 2)).max() == size * size


def test_random_erasing():
    dg.manual_seed(0)
    images = dg.ones(300, 3, 20, 30)
    erased = T.RandomErasing(p=0.5, scale=(0.1, 0.2), ratio=(0.5, 2.0), value=(2, 3, 4))(images).numpy()
    changed = (erased != 1).any((1, 2, 3))
    assert 100 < changed.sum() < 200
    for image in erased[changed]:
        rows, columns = (np.flatnonzero((image[0] != 1).any(axis)) for axis in (1, 0))
        window = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(window, np.broadcast_to(np.array([2, 3, 4]).reshape(3, 1, 1), window.shape))
        assert 0.1 * 600 - 30 <= window[0].size <= 0.2 * 600 + 30
        assert 0.4 < len(rows) / len(columns) < 2.5
    noise = T.RandomErasing(p=1.0, scale=(0.3, 0.33), ratio=(1, 1), value="random")(dg.full((1, 60, 60), 9.0)).numpy()
    drawn = noise[noise != 9]
    assert abs(drawn.mean()) < 0.15
    assert abs(drawn.std() - 1) < 0.1


def test_random_resized_crop_windows():
    dg.manual_seed(0)
    image = dg.zeros(1, 40, 60)
    windows = np.array([T.RandomResizedCrop.get_params(image, (0.2, 0.5), (0.75, 4 / 3)) for _ in range(500)])
    top, left, height, width = windows.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 40).all()
    assert (left + width <= 60).all()
    assert (np.abs(height * width / 2400 - 0.35) < 0.18).all()
    assert (np.abs(np.log(width / height)) < np.log(4 / 3) + 0.06).all()
    assert T.RandomResizedCrop.get_params(dg.zeros(1, 10, 100), (0.9, 1.0), (0.75, 4 / 3)) == (0, 43, 10, 13)
    assert T.RandomResizedCrop.get_params(dg.zeros(1, 100, 10), (0.9, 1.0), (0.75, 4 / 3)) == (43, 0, 13, 10)


def test_color_jitter_is_its_steps_in_order():
    dg.manual_seed(5)
    jitter = T.ColorJitter((0.5, 1.5), 0.2, 0.2, 0.1)
    out = jitter(_tensor(3, 6, 6))
    dg.manual_seed(5)
    order, *factors = T.ColorJitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    steps = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    expected = _tensor(3, 6, 6)
    for i in order:
        expected = steps[i](expected, factors[i])
    np.testing.assert_array_equal(out.numpy(), expected.numpy())
    assert sorted(order) == [0, 1, 2, 3]
    assert T.ColorJitter(brightness=0.3).brightness == (0.7, 1.3)
    assert T.ColorJitter(contrast=2).contrast == (0, 3)
    assert T.ColorJitter().hue is None
    image = _tensor(3, 6, 6)
    np.testing.assert_array_equal(T.ColorJitter()(image).numpy(), image.numpy())


def test_affine_and_perspective_draws_stay_within_their_limits():
    dg.manual_seed(0)
    for _ in range(200):
        angle, moved, scale, shear = T.RandomAffine.get_params((-5, 7), (0.1, 0.5), (0.8, 1.1), (-3, 4, 1, 2), (40, 20))
        assert -5 <= angle <= 7
        assert abs(moved[0]) <= 4
        assert abs(moved[1]) <= 10
        assert 0.8 <= scale <= 1.1
        assert -3 <= shear[0] <= 4
        assert 1 <= shear[1] <= 2
        start, end = T.RandomPerspective.get_params(40, 20, 0.5)
        assert start == [[0, 0], [39, 0], [39, 19], [0, 19]]
        inwards = np.abs(np.subtract(start, end))
        assert inwards[:, 0].max() <= 10
        assert inwards[:, 1].max() <= 5


OPERATIONS = {
    "Identity": lambda x, v: x,
    "ShearX": lambda x, v: F.affine(x, 0, (0, 0), 1, (np.degrees(np.arctan(v)), 0), center=(0, 0)),
    "ShearY": lambda x, v: F.affine(x, 0, (0, 0), 1, (0, np.degrees(np.arctan(v))), center=(0, 0)),
    "TranslateX": lambda x, v: F.affine(x, 0, (int(v), 0), 1, 0),
    "TranslateY": lambda x, v: F.affine(x, 0, (0, int(v)), 1, 0),
    "Rotate": F.rotate,
    "Brightness": lambda x, v: F.adjust_brightness(x, 1 + v),
    "Color": lambda x, v: F.adjust_saturation(x, 1 + v),
    "Contrast": lambda x, v: F.adjust_contrast(x, 1 + v),
    "Sharpness": lambda x, v: F.adjust_sharpness(x, 1 + v),
    "Posterize": lambda x, v: F.posterize(x, int(v)),
    "Solarize": F.solarize,
    "AutoContrast": lambda x, v: F.autocontrast(x),
    "Equalize": lambda x, v: F.equalize(x),
}


def test_trivial_augment_does_every_operation_in_its_range():
    """Each result is one operation at one of the magnitudes of the paper's table 1."""
    image = _tensor(3, 24, 20) // 2
    bins = np.linspace(0, 1, 31)
    ranges = {
        "ShearX": 0.99 * bins,
        "ShearY": 0.99 * bins,
        "TranslateX": 32 * bins,
        "TranslateY": 32 * bins,
        "Rotate": 135 * bins,
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.99 * bins),
    }
    possible = {}
    for name, operation in OPERATIONS.items():
        magnitudes = [*ranges[name], *-ranges[name]] if name in ranges else [0]
        magnitudes = np.rint(8 - 6 * bins) if name == "Posterize" else magnitudes
        magnitudes = 255 * (1 - bins) if name == "Solarize" else magnitudes
        for magnitude in magnitudes:
            possible.setdefault(operation(image, float(magnitude)).numpy().tobytes(), set()).add(name)
    dg.manual_seed(0)
    drawn = [possible.get(T.TrivialAugmentWide()(image).numpy().tobytes()) for _ in range(400)]
    assert all(drawn)
    assert set().union(*drawn) == set(OPERATIONS)


def test_rand_augment_has_one_magnitude():
    image = _tensor(3, 24, 20) // 2
    part = 9 / 30
    magnitudes = {
        "ShearX": 0.3 * part,
        "ShearY": 0.3 * part,
        "TranslateX": 150 / 331 * 20 * part,
        "TranslateY": 150 / 331 * 24 * part,
        "Rotate": 30 * part,
        **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), 0.9 * part),
        "Posterize": round(8 - 4 * part),
        "Solarize": 255 * (1 - part),
    }
    possible = {}
    for name, operation in OPERATIONS.items():
        for sign in (1, -1) if name not in ("Posterize", "Solarize") else (1,):
            result = operation(image, sign * magnitudes.get(name, 0))
            possible.setdefault(result.numpy().tobytes(), set()).add(name)
    dg.manual_seed(0)
    drawn = [possible.get(T.RandAugment(num_ops=1)(image).numpy().tobytes()) for _ in range(400)]
    assert all(drawn)
    assert set().union(*drawn) == set(OPERATIONS)


def test_auto_augment_s_policies():
    for policy in T.AutoAugmentPolicy:
        pairs = T.AutoAugment(policy).policies
        assert len(pairs) == 25
        assert {o.name for pair in pairs for o in pair} <= {*OPERATIONS, "Invert"}
        assert all(0 <= o.p <= 1 for pair in pairs for o in pair)
    pairs = T.AutoAugment(T.AutoAugmentPolicy.CIFAR10).policies
    assert pairs[1] == (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9))  # of the paper's table 7


def test_aug_mix_stays_between_its_chains():
    dg.manual_seed(0)
    flat = dg.full((3, 8, 8), 90, dtype=dg.uint8)
    mixed = np.stack([T.AugMix(severity=1)(flat).numpy() for _ in range(30)])
    assert set(np.unique(mixed)) <= {89, 90}  # the weakest operations change nothing but the rounding
    image = _tensor(3, 24, 20)
    strong = [
        np.abs(T.AugMix(severity=s)(image).numpy().astype(int) - image.numpy()).mean()
        for s in (1, 10)
        for _ in range(20)
    ]
    assert np.mean(strong[:20]) < np.mean(strong[20:])


def test_elastic_transform():
    image = _tensor(3, 24, 20)
    still = F.elastic_transform(image, dg.zeros(1, 24, 20, 2))
    np.testing.assert_array_equal(still.numpy(), image.numpy())
    shifted = F.elastic_transform(image, dg.tensor([2 / 20 * 2, 2 / 24 * -3]).expand(1, 24, 20, 2), fill=7).numpy()
    np.testing.assert_array_equal(shifted[:, 3:, :-2], image.numpy()[:, :-3, 2:])
    assert (shifted[:, :3] == 7).all()
    dg.manual_seed(0)
    displacement = T.ElasticTransform.get_params((40.0, 10.0), (3.0, 3.0), (60, 50)).numpy()
    assert displacement.shape == (1, 60, 50, 2)
    assert np.abs(displacement[..., 0]).max() <= 40 / 50
    assert displacement[..., 0].std() > 2 * displacement[..., 1].std()
    steps = np.abs(np.diff(displacement[0, :, :, 0], axis=1))
    assert steps.mean() < displacement[..., 0].std() / 2  # neighbours move alike


def test_compose_and_its_repr():
    steps = T.Compose([T.RandomCrop(28, padding=2), T.RandomApply([T.ColorJitter(0.1)], p=0.3), T.ToTensor()])
    assert repr(steps) == (
        "Compose(\n    RandomCrop(size=(28, 28), padding=2)\n    RandomApply(\n        p=0.3\n        "
        "ColorJitter(brightness=(0.9, 1.1), contrast=None, saturation=None, hue=None)\n    )\n    ToTensor()\n)"
    )
    assert isinstance(steps(_pil(28, 28)), dg.Tensor)
    assert T.Compose([lambda x: x + 1, lambda x: x * 2])(3) == 8
    assert T.Lambda(lambda x: x + 1)(3) == 4


def test_random_choice_and_order():
    dg.manual_seed(0)
    choice = T.RandomChoice([lambda x: "a", lambda x: "b", lambda x: "c"], p=[1, 0, 3])
    drawn = [choice(0) for _ in range(2000)]
    assert set(drawn) == {"a", "c"}
    assert abs(drawn.count("a") / 2000 - 0.25) < 0.05
    order = T.RandomOrder([lambda x: x + "a", lambda x: x + "b"])
    assert {order("") for _ in range(50)} == {"ab", "ba"}
    apply = T.RandomApply([lambda x: x + 1, lambda x: x * 2], p=0.25)
    drawn = [apply(1) for _ in range(2000)]
    assert set(drawn) == {1, 4}
    assert abs(drawn.count(4) / 2000 - 0.25) < 0.05


def test_modules_can_hold_transforms():
    steps = nn.Sequential(T.CenterCrop(4), T.ConvertImageDtype(dg.float32))
    assert tuple(steps(_tensor(3, 6, 6)).shape) == (3, 4, 4)
    apply = T.RandomApply(nn.ModuleList([T.CenterCrop(4)]), p=1.0)
    assert tuple(apply(_tensor(3, 6, 6)).shape) == (3, 4, 4)


@pytest.mark.parametrize("transform", [*ON_TENSORS, *FIXED, T.ToTensor(), T.Normalize([0.5], [0.5])], ids=repr)
def test_pickling(transform):
    assert repr(pickle.loads(pickle.dumps(transform))) == repr(transform)


def test_linear_transformation():
    x = np.random.default_rng(0).random((5, 2, 3, 4))
    matrix, mean = np.random.default_rng(1).random((24, 24)), np.random.default_rng(2).random(24)
    whiten = T.LinearTransformation(dg.tensor(matrix), dg.tensor(mean))
    expected = ((x.reshape(5, 24) - mean) @ matrix).reshape(x.shape)
    np.testing.assert_allclose(whiten(dg.tensor(x)).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(whiten(dg.tensor(x[1])).numpy(), expected[1], rtol=1e-12)


def test_which_transforms_take_whole_batches():
    usual = T.Compose([T.RandomCrop(4, padding=1), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize([0.5], [0.5])])
    assert of_batch(usual, IMAGES) == TENSORS
    assert of_batch(T.Compose([usual, T.RandomErasing(), T.ColorJitter(0.2)]), IMAGES) == TENSORS
    assert of_batch(T.Compose([T.RandomApply([T.RandomCrop(4)]), T.PILToTensor()]), IMAGES) == TENSORS
    assert of_batch(T.CenterCrop(3), IMAGES) == IMAGES
    for transform in (
        T.Compose([T.Resize(5), T.ToTensor()]),  # Pillow rounds otherwise
        T.Compose([T.ToTensor(), T.ToTensor()]),
        T.Compose([T.ToTensor(), lambda x: x]),
        T.Compose([T.ToTensor(), T.Lambda(lambda x: x)]),
        T.Compose([T.ToTensor(), T.FiveCrop(2)]),
        T.Compose([T.ToTensor(), T.RandomRotation(10, expand=True)]),
        T.Compose([T.RandomApply([T.ToTensor()])]),
        T.Cutout(3),
        None,
    ):
        assert of_batch(transform, IMAGES) is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: T.RandomCrop(9)(_tensor(3, 8, 8)), ValueError, r"\(9, 9\) is larger than input image size \(8, 8\)"),
        (
            lambda: T.RandomCrop(9)(_tensor(2, 3, 8, 8)),
            ValueError,
            r"\(9, 9\) is larger than input image size \(8, 8\)",
        ),
        (lambda: T.RandomCrop((1, 2, 3)), ValueError, "one or two ints"),
        (lambda: T.RandomErasing(value="black"), ValueError, "but got 'black'"),
        (lambda: T.RandomErasing(p=1.1), ValueError, "`p` takes a probability"),
        (lambda: T.RandomErasing(scale=(0.3, 0.1)), ValueError, "`scale` takes"),
        (lambda: T.RandomErasing(1.0, value=(1, 2))(dg.rand(3, 9, 9)), ValueError, "1 or 3 numbers"),
        (lambda: T.RandomErasing()(_pil()), TypeError, r"behind `ToTensor\(\)`"),
        (lambda: T.Cutout(3)(_pil()), TypeError, r"behind `ToTensor\(\)`"),
        (lambda: T.Cutout(0), ValueError, "a number of pixels >= 1"),
        (lambda: T.ColorJitter(hue=0.6), ValueError, "`hue` takes limits within -0.5 and 0.5"),
        (lambda: T.ColorJitter(brightness=-0.1), ValueError, "`brightness` takes a number >= 0"),
        (lambda: T.RandomRotation(-1), ValueError, "`degrees` takes one number >= 0, or two"),
        (lambda: T.RandomAffine(0, translate=(0, 2)), ValueError, "`translate` takes parts between 0 and 1"),
        (lambda: T.RandomAffine(0, scale=(0, 2)), ValueError, "`scale` takes factors > 0"),
        (lambda: T.RandomResizedCrop(3, scale=(1, 0.5)), ValueError, "`scale` takes"),
        (lambda: T.GaussianBlur(3, 0), ValueError, "`sigma` takes"),
        (lambda: T.RandomApply(3), TypeError, "`transforms` takes a sequence, but got int"),
        (lambda: T.RandomChoice([abs], p=[1, 2]), ValueError, "one weight for each of 1 transforms"),
        (lambda: T.Lambda(3), TypeError, "`lambd` takes a function"),
        (lambda: T.Pad(1, padding_mode="wrap"), ValueError, "but got 'wrap'"),
        (lambda: T.LinearTransformation(dg.zeros(2, 3), dg.zeros(2)), ValueError, "a square matrix"),
        (lambda: T.LinearTransformation(dg.zeros(2, 2), dg.zeros(3)), ValueError, "`mean_vector` takes shape"),
        (lambda: T.Resize((1, 2, 3)), ValueError, "one or two ints"),
        (lambda: T.RandAugment(magnitude=31), ValueError, "an int from 0 to 30, but got 31"),
        (lambda: T.RandAugment()(dg.rand(3, 4, 4)), TypeError, r"uint8 tensor.*before `ToTensor\(\)`"),
        (lambda: T.AugMix(severity=11), ValueError, "an int from 1 to 10, but got 11"),
        (lambda: T.AutoAugment("mnist"), ValueError, "mnist"),
        (lambda: T.ElasticTransform(alpha=(1, 2, 3)), ValueError, "`alpha` takes one or two numbers"),
    ],
)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()
