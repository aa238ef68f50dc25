"""Singular triplets: equal to the command's to the bit, to SciPy's within tolerance, and what a solve reports."""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

import krylens


@pytest.mark.parametrize("options, map_, solve", [
    ([], {}, {}),
    (["--from-layer", 0, "--to-layer", 2, "--from-token", "all"], {"from_layer": 0, "to_layer": 2, "from_token": "all"}, {}),
    (["--to-layer", "logits", "--solver", "arpack", "--seed", 3], {"to_layer": "logits"}, {"solver": "arpack", "seed": 3}),
    (["--to-layer", 2, "--head", 1, "--tolerance", 1e-4, "--certify", "off"], {"to_layer": 2, "head": 1},
     {"tolerance": 1e-4, "certify": "off"}),
    (["--from-layer", 1, "--to-layer", 3, "--path", "own", "--solver", "randomized"],
     {"from_layer": 1, "to_layer": 3, "path": "own"}, {"solver": "randomized"})])
def test_bits_are_the_commands(
    llama: pathlib.Path, model: krylens.Model, command: Callable[..., None], tmp_path: pathlib.Path, options: List[Any],
    map_: Dict[str, Any], solve: Dict[str, Any],
) -> None:
    command("triplets", llama, "--token-ids", "1,2,3,4", "--top", 4, *options, "-o", tmp_path / "run", "--quiet")
    run = krylens.load(tmp_path / "run")
    assert isinstance(run, krylens.MapRun)
    found, stored = model.jacobian([1, 2, 3, 4], **map_).svds(4, **solve), run.triplets()
    assert found.s.tolist() == run.map()["singular_values"]
    assert found.residual_norms.tolist() == run.map()["residual_norms"]
    np.testing.assert_array_equal(found.U.astype(np.float32), stored.U)
    np.testing.assert_array_equal(found.Vt.astype(np.float32), stored.Vt)
    for key in ("bound", "vector_bound", "certificate", "clusters", "solver", "applications", "passes"):
        assert found.report[key] == run.map()[key], key


@pytest.mark.parametrize("precision", ["single", "double"])
def test_scipy_finds_the_same(model: krylens.Model, precision: str) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    J = model.jacobian([1, 2, 3, 4], from_layer=0, to_layer=2, from_token=[1, 3], precision=precision)
    U, s, Vt = found = J.svds(5)
    u, t, vt = linalg.svds(J, k=5)
    order = np.argsort(-t)
    u, t, vt = u[:, order], t[order], vt[order]
    # SciPy's ARPACK squares the operator: values to √ε of σ₁ in the worst case, far better for the largest ones; and in
    # single precision products carry some units of 2⁻²⁴ each.
    tolerance = 1e-4 if precision == "single" else 1e-8
    np.testing.assert_allclose(t, s, rtol=tolerance, atol=tolerance * s[0])
    assert u.shape == U.shape and vt.shape == Vt.shape
    # The same subspaces: singular values of UᵀU' are cosines, 1 to the square of the angles, which are residual over gap.
    for mine, other in ((U, u), (Vt.T, vt.T)):
        assert np.linalg.svd(mine.T @ other)[1].min() > 1 - 1e-4
    assert found.converged


def test_values_descend_and_the_rest_is_as_scipy_has_it(jacobian: krylens.Jacobian) -> None:
    found = jacobian.svds(4)
    U, s, Vt = found
    assert found.U is U and found.s is s and found.Vt is Vt
    assert U.shape == (24, 4) and s.shape == (4,) and Vt.shape == (4, 24) and U.dtype == s.dtype == Vt.dtype == np.float64
    assert (np.diff(s) <= 0).all()
    A = jacobian @ np.eye(24)
    # J was applied in float32: 24 products of 2⁻²⁴ each, relative to ‖J‖.
    assert np.linalg.norm(A @ Vt.T - U * s) < 24 * 2**-23 * np.linalg.norm(A)
    np.testing.assert_allclose(np.linalg.svd(A)[1][:4], s, rtol=1e-5)
    assert (found.residual_norms <= 1e-5 * s[0]).all() and found.bounds is not None and (found.bounds > 0).all()
    assert found.vector_bounds is not None and found.report["solver"] == "block" and found.report["passes"] > 0


@pytest.mark.parametrize("k", [1, 6, 23, 24])
def test_every_count(jacobian: krylens.Jacobian, k: int) -> None:
    assert jacobian.svds(k).s.shape == (k,)


@pytest.mark.parametrize("settings, words", [
    ({"k": 0}, "top"), ({"k": 25}, "top"), ({"k": -1}, "top"), ({"k": 2.5}, "k 2.5"), ({"k": "2"}, "k '2'"), ({"k": None}, "k None"),
    ({"k": 2**70}, "top"), ({"tolerance": -1.0}, "tolerance"), ({"tolerance": float("nan")}, "settings"),
    ({"tolerance": "small"}, "tolerance"), ({"solver": "lapack"}, "solver"), ({"certify": "maybe"}, "certify"),
    ({"seed": -1}, "seed"), ({"precision": "half"}, "precision"), ({"solver": object()}, "settings"), ({"progress": 3}, "progress")])
def test_settings_that_are_refused(jacobian: krylens.Jacobian, settings: Dict[str, Any], words: str) -> None:
    with pytest.raises(krylens.InvalidArgument, match=words):
        jacobian.svds(**{"k": 2, **settings})


def test_a_solve_that_does_not_converge_warns(jacobian: krylens.Jacobian) -> None:
    with pytest.warns(krylens.ConvergenceWarning, match="converged"):
        found = jacobian.svds(4, tolerance=1e-14, precision="single")
    assert not found.converged and found.s.shape == (4,)


def test_triplets_can_be_kept(jacobian: krylens.Jacobian) -> None:
    found = jacobian.svds(3)
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        np.testing.assert_array_equal(other.U, found.U)
        assert other.report == found.report and other.residual_norms.tolist() == found.residual_norms.tolist()
    jacobian.close()
    assert "converged" in repr(found) and json.dumps(found.report)


def test_progress(jacobian: krylens.Jacobian, capsys: pytest.CaptureFixture[str]) -> None:
    steps: List[Any] = []
    silent = jacobian.svds(4)
    told = jacobian.svds(4, progress=lambda *step: steps.append(step))
    assert steps and all(isinstance(phase, str) and done <= total for phase, done, total, _ in steps)
    assert told.s.tolist() == silent.s.tolist()
    pytest.importorskip("tqdm")
    assert jacobian.svds(4, progress=True).s.tolist() == silent.s.tolist()
    assert "solving" in capsys.readouterr().err


def test_an_exception_of_a_progress_function_ends_the_solve(jacobian: krylens.Jacobian) -> None:
    class Enough(Exception):
        pass

    def stop(*_: Any) -> None:
        raise Enough("at once")

    with pytest.raises(Enough, match="at once"):
        jacobian.svds(4, progress=stop)
    assert jacobian.svds(2).converged, "the Jacobian can be used on"
