"""Products: shapes, dtypes and memory orders, SciPy's contract, and what is refused."""

from __future__ import annotations

import pathlib
from typing import Any, Callable

import numpy as np
import pytest

import krylens

def close(found: Any, expected: Any) -> None:
    """Equal but for the order in which float32 products add up: some units of 2⁻²⁴, in the norm."""
    assert np.shape(found) == np.shape(expected)
    assert np.linalg.norm(np.subtract(found, expected)) <= 1e-5 * np.linalg.norm(expected)


@pytest.fixture
def wide(model: krylens.Model) -> krylens.Jacobian:
    """A Jacobian of different numbers of outputs and inputs: (24, 72)."""
    return model.jacobian([1, 2, 3, 4], from_layer=0, to_layer=2, from_token=[0, 1, 3])


def dense(J: krylens.Jacobian) -> Any:
    return J @ np.eye(J.shape[1])


def test_it_is_a_linear_operator_of_scipy(wide: krylens.Jacobian) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    assert isinstance(wide, linalg.LinearOperator) and wide.shape == (24, 72) and wide.dtype == np.float32
    assert wide.T.shape == wide.H.shape == (72, 24) and wide.T.T is not None
    A, B = dense(wide), np.ones((24, 2))
    close((2 * wide).matmat(np.eye(72)), 2 * A)
    close((wide @ wide.T) @ B, A @ (A.T @ B))
    close((wide.T @ wide + linalg.aslinearoperator(np.eye(72))) @ A.T, A.T @ A @ A.T + A.T)


def test_transposes(wide: krylens.Jacobian, random: np.random.Generator) -> None:
    A = dense(wide)
    x, y, Y = random.standard_normal(72), random.standard_normal(24), random.standard_normal((24, 5))
    for transposed in (wide.T, wide.H):
        close(transposed @ y, A.T @ y)
        close(transposed @ Y, A.T @ Y)
        close(transposed.rmatvec(x), A @ x)
    close(wide.T.T @ x, A @ x)
    # ⟨J x, y⟩ = ⟨x, Jᵀ y⟩ to the rounding of float32.
    assert abs((wide @ x) @ y - x @ (wide.T @ y)) < 1e-5 * np.linalg.norm(wide @ x) * np.linalg.norm(y)


@pytest.mark.parametrize("dtype, result", [
    ("f4", "f4"), ("f2", "f4"), ("f8", "f8"), (">f4", "f4"), (">f8", "f8"), ("i4", "f8"), ("i8", "f8"), ("u1", "f8"),
    ("?", "f8"), ("g", "f8")])
def test_dtypes(wide: krylens.Jacobian, dtype: str, result: str) -> None:
    X = (np.arange(72 * 3).reshape(72, 3) % 5).astype(dtype)
    expected = dense(wide) @ X.astype(float)
    for product in (wide @ X, wide.matmat(X), np.stack([wide @ x for x in X.T], axis=1)):
        assert product.dtype == np.dtype(result) and product.shape == (24, 3)
        close(product, expected)
    assert wide.rmatmat(np.ones((24, 2), dtype=dtype)).dtype == np.dtype(result)


def test_shapes(wide: krylens.Jacobian) -> None:
    assert (wide @ np.ones(72)).shape == wide.matvec(np.ones(72)).shape == (24,)
    assert wide.matvec(np.ones((72, 1))).shape == (wide @ np.ones((72, 1))).shape == (24, 1)
    assert wide.rmatvec(np.ones(24)).shape == (72,) and wide.rmatvec(np.ones((24, 1))).shape == (72, 1)
    for k in (0, 1, 2, 65, 200):
        assert wide.matmat(np.ones((72, k))).shape == (24, k) and wide.rmatmat(np.ones((24, k))).shape == (72, k)
    assert (wide @ ([1.0] * 72)).shape == (24,)


@pytest.mark.parametrize("arrange", [
    np.ascontiguousarray, np.asfortranarray, lambda X: np.repeat(X, 2, axis=0)[::2], lambda X: np.repeat(X, 3, axis=1)[:, ::3],
    lambda X: X[::-1][::-1], lambda X: np.flip(np.flip(X).copy()), lambda X: np.stack([X, X])[1], lambda X: np.ma.array(X),
    lambda X: np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(X.dtype).reshape(X.shape)])
def test_memory_orders(wide: krylens.Jacobian, random: np.random.Generator, arrange: Callable[[Any], Any]) -> None:
    X = random.standard_normal((72, 7)).astype(np.float32)
    expected, arranged = wide @ X, arrange(X)
    np.testing.assert_array_equal(arranged, X)
    arranged.flags.writeable = False
    np.testing.assert_array_equal(wide @ arranged, expected)
    np.testing.assert_array_equal(wide @ arranged[:, 3], wide @ X[:, 3].copy())
    np.testing.assert_array_equal(arranged, X)


def test_sparse_and_matrix(wide: krylens.Jacobian) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = np.eye(72)[:, :4]
    np.testing.assert_array_equal(wide.matmat(sparse.csr_matrix(X)), wide @ X)
    np.testing.assert_array_equal(np.asarray(wide.matvec(np.asmatrix(X[:, :1]))), wide.matvec(X[:, :1]))


def test_double_precision(model: krylens.Model) -> None:
    double = model.jacobian([1, 2, 3, 4], layer=2, precision="double")
    single = model.jacobian([1, 2, 3, 4], layer=2)
    assert double.dtype == np.float64
    close(dense(double), dense(single))
    x = np.random.default_rng(1).standard_normal(24)
    # Linear to the rounding of float64, which products in float32 are not.
    assert np.linalg.norm(double @ (x + 1e-9 * x) - (1 + 1e-9) * (double @ x)) < 1e-13 * np.linalg.norm(double @ x)
    assert (double @ x.astype(np.float32)).dtype == np.float32


def test_the_same_numbers_every_time(wide: krylens.Jacobian, random: np.random.Generator) -> None:
    X = random.standard_normal((72, 9)).astype(np.float32)
    first = wide @ X
    wide.T @ first
    np.testing.assert_array_equal(wide @ X, first)


@pytest.mark.parametrize("method, shape", [
    ("matvec", (71,)), ("matvec", (72, 2)), ("matvec", (1, 72)), ("matvec", ()), ("matvec", (72, 1, 1)), ("rmatvec", (72,)),
    ("matmat", (72,)), ("matmat", (3, 72)), ("matmat", (72, 1, 1)), ("rmatmat", (72, 2)), ("rmatmat", (0, 0)), ("dot", (71,)),
    ("dot", (24, 3)), ("dot", (2, 72, 2))])
def test_wrong_shapes(wide: krylens.Jacobian, method: str, shape: Any) -> None:
    with pytest.raises(ValueError):
        getattr(wide, method)(np.ones(shape))


@pytest.mark.parametrize("vector", [
    np.ones(72, dtype=complex), np.array([object()] * 72), np.array(["1"] * 72), np.zeros(72, "M8[s]"),
    np.zeros(72, [("a", "f4")]), np.array([None] * 72)])
def test_wrong_dtypes(wide: krylens.Jacobian, vector: Any) -> None:
    for take in (wide.matvec, lambda x: wide.matmat(x[:, None]), lambda x: wide @ x):
        with pytest.raises(krylens.InvalidArgument, match="real"):
            take(vector)


def test_masked_entries_are_refused(wide: krylens.Jacobian) -> None:
    masked = np.ma.masked_greater(np.arange(72.0), 70)
    for take in (wide.matvec, lambda x: wide.matmat(x[:, None]), lambda x: wide @ x):
        with pytest.raises(krylens.InvalidArgument, match="masked"):
            take(masked)
    assert np.array_equal(wide @ masked.filled(0), wide @ np.ma.masked_array(masked.filled(0), mask=False))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_that_are_not_finite(wide: krylens.Jacobian, bad: float, dtype: Any) -> None:
    X = np.ones((72, 3), dtype=dtype)
    X[5, 1] = bad
    for take in (lambda: wide @ X, lambda: wide @ X[:, 1], lambda: wide.T @ np.full(24, bad, dtype=dtype)):
        with pytest.raises(krylens.InvalidArgument):
            take()
    assert np.isfinite(wide @ np.ones((72, 3), dtype=dtype)).all()


def test_overflow_of_single_precision(wide: krylens.Jacobian) -> None:
    """A float64 that float32 cannot hold is an exception, whatever names it."""
    with pytest.raises(krylens.Error):
        wide @ np.full(72, 1e300)


def test_closed(model: krylens.Model, llama: pathlib.Path) -> None:
    J = model.jacobian([1, 2, 3], layer=1)
    J.close()
    J.close()
    for use in (lambda: J @ np.ones(24), lambda: J.T @ np.ones(24), lambda: J.svds(2), lambda: J.matmat(np.ones((24, 0)))):
        with pytest.raises(krylens.ClosedError, match="the Jacobian is closed"):
            use()
    assert "closed" in repr(J)
    with krylens.open(llama) as other:
        K = other.jacobian([1, 2, 3], layer=1)
    for use in (lambda: other.tokenize("a"), lambda: other.jacobian([1]), lambda: other.align([[1]]), lambda: other.token_text(1)):
        with pytest.raises(krylens.ClosedError, match="the model is closed"):
            use()
    assert (K @ np.ones(24)).shape == (24,), "a Jacobian outlives its model"
    with K:
        pass
    with pytest.raises(krylens.ClosedError):
        K @ np.ones(24)


def test_without_scipy(llama: pathlib.Path, process: Callable[..., Any]) -> None:
    process("""
        import sys
        sys.modules["scipy"] = sys.modules["tqdm"] = None
        import numpy as np, krylens
        J = krylens.open(sys.argv[1]).jacobian([1, 2, 3], from_layer=0, to_layer=2, from_token=[0, 2])
        A = J @ np.eye(48)
        assert A.shape == J.shape == (24, 48) and J.T.shape == (48, 24)
        np.testing.assert_allclose(J.T @ np.eye(24), A.T, atol=1e-5)
        np.testing.assert_allclose(J.T.T @ np.ones(48), A @ np.ones(48), atol=1e-4)
        np.testing.assert_allclose(J.H.matvec(np.ones((24, 1))), A.T @ np.ones((24, 1)), atol=1e-4)
        np.testing.assert_allclose(J.rmatmat(np.ones((24, 2))), A.T @ np.ones((24, 2)), atol=1e-4)
        np.testing.assert_allclose(J.svds(2, progress=True).s, np.linalg.svd(A)[1][:2], rtol=1e-5)
        for bad in (np.ones(47), np.ones((47, 2)), np.ones((1, 1, 1))):
            try:
                J @ bad
            except ValueError:
                continue
            raise AssertionError("a wrong shape was taken")
        """, llama)
