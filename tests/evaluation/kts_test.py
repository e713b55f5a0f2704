"""Kernel temporal segmentation against the original's, `ruptures` and all cuts."""

import itertools

import numpy as np
import pytest

from gpsattn_jax.evaluation import kts


def scenes(lengths, dimension=16, noise=0.2, seed=0):
    """Unit features of a few scenes, float32 as an extractor gives them."""
    draw = np.random.default_rng(seed)
    centres = np.repeat(draw.random((len(lengths), dimension)), lengths, axis=0)
    features = np.abs(centres + noise * draw.normal(size=centres.shape))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return features.astype(np.float32)


def scatter(features, cuts):
    parts = np.split(np.float64(features), cuts)
    return sum(np.square(part - part.mean(0)).sum() for part in parts)


def test_the_original_cuts_the_same(golden):
    with np.load(golden / "pglsum/x_kts.npz") as cases:
        for place in range(8):
            case = {
                key.split("/")[1]: cases[key]
                for key in cases
                if key.startswith(f"k{place}/")
            }
            features, number = case["features"], int(case["fixed_ncp"])
            for name, found in {
                "auto_vmax1": kts(features),
                "auto_vmax0.3": kts(features, vmax=0.3),
                "fixed": kts(features, number),
            }.items():
                np.testing.assert_array_equal(found.cuts, case[f"{name}_cps"])
                np.testing.assert_allclose(found.scores, case[f"{name}_scores"])
            number, lmin, lmax = map(int, case["bounded"])
            found, expected = (
                kts(features, number, lmin=lmin, lmax=lmax),
                case["bounded_scores"],
            )
            np.testing.assert_array_equal(found.cuts, case["bounded_cps"])
            np.testing.assert_allclose(found.scores[-1], expected[-1])
            # The first segment there may only have lmax - 1 steps; ours lmax.
            assert (found.scores <= expected * (1 + 1e-9)).all()


@pytest.mark.parametrize("number", [1, 7, 40])
def test_ruptures_cuts_the_same(number):
    ruptures = pytest.importorskip("ruptures")
    features = np.float64(scenes([60, 20, 100, 30, 90]))
    search = ruptures.KernelCPD(kernel="linear", min_size=1).fit(features)
    expected = search.predict(n_bkps=number)[:-1]
    assert kts(features, number).cuts.tolist() == expected


@pytest.mark.parametrize("lmin, lmax", [(1, None), (2, 4), (3, 4), (1, 3), (4, 4)])
@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_no_other_cuts_are_better(number, lmin, lmax):
    features = scenes([3, 5, 4], noise=0.5)
    sizes = range(lmin, (lmax or 12) + 1)
    costs = {
        cuts: scatter(features, cuts)
        for cuts in itertools.combinations(range(1, 12), number)
        if all(size in sizes for size in np.diff((0, *cuts, 12)))
    }
    if not costs:
        with pytest.raises(ValueError, match="do not divide into segments"):
            kts(features, number, lmin=lmin, lmax=lmax)
        return
    found = kts(features, number, lmin=lmin, lmax=lmax)
    assert tuple(found.cuts) == min(costs, key=costs.get)
    np.testing.assert_allclose(found.scores[-1], min(costs.values()), atol=1e-12)


@pytest.mark.parametrize("lmax", [None, 90])
def test_scenes_are_found_over_many_blocks(lmax):
    lengths = [50, 80, 30, 64, 64, 9, 85, 40]
    features = scenes(lengths, noise=0.05)
    found = kts(features, lmax=lmax, vmax=0.5)
    assert found.cuts.tolist() == np.cumsum(lengths)[:-1].tolist()
    np.testing.assert_allclose(found.scores[-1], scatter(features, found.cuts))
    assert np.isinf(found.scores[0]) == (lmax is not None)


@pytest.mark.parametrize("vmax", [0.1, 0.5, 1.0, 3.0])
def test_the_scan_may_stop_early(vmax):
    """As the least of all numbers of cuts, each found by itself."""
    features, steps = scenes([7, 9, 12], noise=0.4), 28
    all_scores = kts(features, steps - 1).scores
    count = np.arange(1, steps)
    penalty = vmax * count / (2 * steps) * (np.log(steps / count) + 1)
    sums = all_scores / steps + np.concatenate([[0], penalty])
    assert len(kts(features, vmax=vmax).cuts) == sums.argmin()
    most = kts(features, vmax=vmax, max_cuts=1)
    assert len(most.cuts) == sums[:2].argmin()


def test_a_still_video_is_one_shot():
    assert kts(np.full((200, 8), 8**-0.5, np.float32)).cuts.tolist() == []
    assert kts(np.ones((1, 3))).cuts.tolist() == []
    assert kts(np.ones((1, 3))).scores.tolist() == [0]


def test_a_constant_offset_costs_no_precision():
    features = np.float64(scenes([70, 70]))
    far = kts(features + 1e3, 1)
    np.testing.assert_allclose(far.scores, kts(features, 1).scores, rtol=1e-8)


NAN = scenes([5, 5])
NAN[3, 2] = np.nan


@pytest.mark.parametrize(
    "features, options, message",
    [
        (NAN, {}, "features must be finite; row 3 of 10 is not"),
        (NAN[0], {}, r"features must be \[T, D\]"),
        (NAN[:0], {}, r"features must be \[T, D\].*got \(0, 16\)"),
        (NAN[4:], {"num_cuts": 6}, r"num_cuts must be in 0\.\.T-1=5; got 6"),
        (NAN[4:], {"max_cuts": -1}, r"max_cuts must be in 0\.\.T-1=5; got -1"),
        (NAN[4:], {"lmin": 0}, "lmin must be at least 1; got 0"),
        (NAN[4:], {"lmax": 0}, "lmax must be at least 1; got 0"),
        (NAN[4:], {"vmax": -1.0}, "vmax must be at least 0; got -1.0"),
        (NAN[4:], {"vmax": np.nan}, "vmax must be at least 0; got nan"),
        (NAN[4:], {"lmin": 4, "lmax": 5}, "T=6 steps.*lmin=4 to lmax=5"),
        (NAN[4:], {"lmin": 3, "lmax": 2}, "lmin=3 to lmax=2"),
        (NAN[4:], {"lmin": 7}, "do not divide"),
        (NAN[4:], {"lmax": 2, "max_cuts": 1}, "with at most 1 cuts do not divide"),
        (NAN[4:], {"lmin": 3, "num_cuts": 2}, "with 2 cuts do not divide"),
    ],
)
def test_bad_input_is_named(features, options, message):
    with pytest.raises(ValueError, match=message):
        kts(features, **options)
