"""Solvers of others, and torch, on a Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import krylens


@pytest.fixture
def tall(model: krylens.Model) -> krylens.Jacobian:
    return model.jacobian([1, 2, 3, 4], from_layer=0, to_layer=2, from_token=[1, 3], precision="double")


@pytest.mark.parametrize("solver", ["lsqr", "lsmr"])
def test_least_squares_of_scipy(tall: krylens.Jacobian, solver: str) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    A, b, damp = tall @ np.eye(tall.shape[1]), np.linspace(-1, 1, tall.shape[0]), 0.5
    limit = {"lsqr": "iter_lim", "lsmr": "maxiter"}[solver]
    x = getattr(linalg, solver)(tall, b, damp, atol=1e-12, btol=1e-12, **{limit: 1000})[0]
    # Damped, so that the condition is below ‖A‖² / damp² ≈ 10⁴: tolerances of 1e-12 leave 1e-8.
    expected = np.linalg.solve(A.T @ A + damp**2 * np.eye(A.shape[1]), A.T @ b)
    assert np.linalg.norm(x - expected) <= 1e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("solver", ["gmres", "minres", "cg"])
def test_linear_systems_of_scipy(tall: krylens.Jacobian, solver: str) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    m = tall.shape[0]
    A, b = linalg.aslinearoperator(np.eye(m)) + tall @ tall.T, np.ones(m)
    x, status = getattr(linalg, solver)(A, b, maxiter=1000)
    # The default tolerance of the three is 1e-5, of ‖b‖ or of ‖A‖‖x‖, and ‖A‖ is below 1000.
    assert status == 0 and np.linalg.norm(A @ x - b) < 1e-2 * np.linalg.norm(b)


def test_eigenvalues_of_scipy(model: krylens.Model) -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    J = model.jacobian([1, 2, 3, 4], layer=2, precision="double")
    found = linalg.eigs(J, k=3, return_eigenvectors=False)
    all_of_them = np.linalg.eigvals(J @ np.eye(24))
    largest = np.sort(np.abs(all_of_them))[::-1]
    np.testing.assert_allclose(np.sort(np.abs(found))[::-1][:3], largest[:3], rtol=1e-6)


def test_a_torch_tensor_goes_through_and_back(model: krylens.Model) -> None:
    torch = pytest.importorskip("torch")
    J = model.jacobian([1, 2, 3, 4], from_layer=0, to_layer=2, from_token=[1, 3])

    class Product(torch.autograd.Function):  # type: ignore[misc]
        """X ↦ J X, whose derivative is Jᵀ."""

        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            return torch.from_numpy(J @ x.detach().numpy())

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            return torch.from_numpy(J.T @ gradient.numpy())

    A = torch.from_numpy(np.ascontiguousarray(J @ np.eye(J.shape[1], dtype=np.float32)))
    x = torch.linspace(-1, 1, 3 * J.shape[1]).reshape(J.shape[1], 3).requires_grad_()
    y = Product.apply(x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, A @ x, rtol=1e-4, atol=1e-4)
    (y**2).sum().backward()
    torch.testing.assert_close(x.grad, 2 * A.T @ (A @ x.detach()), rtol=1e-3, atol=1e-3)
    # Torch's own arrays on the processor share their memory with numpy's, there and back.
    assert torch.from_dlpack(J @ x.detach().numpy()).shape == y.shape
    assert model.jacobian(torch.tensor([1, 2, 3, 4]), layer=1).info["token_ids"] == [1, 2, 3, 4]
    # Torch's threads and BLAS and the library's are all in use now; both go on.
    torch.testing.assert_close(Product.apply(x), y)


@pytest.mark.parametrize("first", ["torch", "krylens"])
def test_torch_and_numpy_beside_the_library(llama: Any, process: Any, first: str) -> None:
    pytest.importorskip("torch")
    process(f"""
        import sys
        import {first}
        import krylens, torch, numpy as np
        J = krylens.open(sys.argv[1]).jacobian([1, 2, 3], layer=1)
        A, B = np.random.rand(300, 300), torch.rand(300, 300)
        for _ in range(3):
            J.svds(3), np.linalg.svd(A), torch.linalg.svd(B), A @ A, B @ B
        """, llama)


def test_lineax_solves_through_jax(model: krylens.Model) -> None:
    jax, lineax = pytest.importorskip("jax"), pytest.importorskip("lineax")
    J = model.jacobian([1, 2, 3, 4], layer=2)
    n, m = (jax.ShapeDtypeStruct((side,), "float32") for side in J.shape[::-1])

    @jax.custom_vjp
    def product(x: Any) -> Any:
        return jax.pure_callback(lambda x: J @ np.asarray(x), m, x)

    def backward(_: Any, y: Any) -> Any:
        return (jax.pure_callback(lambda y: J.T @ np.asarray(y), n, y),)

    product.defvjp(lambda x: (product(x), None), backward)
    operator = lineax.FunctionLinearOperator(lambda x: x + product(x), n)
    b = np.ones(24, dtype=np.float32)
    x = np.asarray(lineax.linear_solve(operator, b, lineax.GMRES(rtol=1e-5, atol=1e-5)).value)
    # The solver's tolerances, with the rounding of float32 products of vectors of norm 5.
    np.testing.assert_allclose(x + J @ x, b, atol=1e-3)
    gradient = jax.grad(lambda x: product(x) @ product(x))(b)
    np.testing.assert_allclose(gradient, 2 * J.T @ (J @ b), rtol=1e-3, atol=1e-3)
