"""diag(1, …, 50000), the 40 largest triplets by PRIMME: products and the residual norm that is reached."""
import sys
import time
from importlib.metadata import version

try:
    import numpy as np
    import primme
    from scipy.sparse.linalg import LinearOperator
except ImportError as error:
    sys.exit(print(f"PRIMME: not run ({error}; python3 -m pip install primme scipy)"))

N, K = 50_000, 40
D = np.arange(1.0, N + 1)
products = 0


def times(x):
    global products
    products += 1 if x.ndim == 1 else x.shape[1]
    return D[:, None] * x if x.ndim == 2 else D * x


a = LinearOperator((N, N), matvec=times, rmatvec=times, matmat=times, rmatmat=times, dtype=float)
for tolerance in (1e-5, 1e-6):
    products, start = 0, time.time()
    u, s, vt = primme.svds(a, k=K, tol=tolerance, which="LM")
    seconds = time.time() - start
    order = np.argsort(-s)
    u, s, v = u[:, order], s[order], vt.T[:, order]
    # ‖(A v − σ u, Aᵀ u − σ v)‖, the largest of the 40.
    residual = np.sqrt(((D[:, None] * v - u * s) ** 2 + (D[:, None] * u - v * s) ** 2).sum(0)).max()
    off = np.abs(s - D[::-1][:K]).max()
    print(
        f"PRIMME {version('primme')}, tol {tolerance:g}: {products} products, residual "
        f"{residual / s[0]:.1e} σ₁, values off by {off:.1e}, {seconds:.1f} s")
