#!/usr/bin/env python3
"""Writes Fixtures/: results of scipy and numpy for statistics, trajectories and couplings.

Needs numpy and scipy; the same bytes every time.
"""
import json
import pathlib

import numpy as np
from scipy import special, stats

FIXTURES = pathlib.Path(__file__).parent / "Fixtures"


def lists(n, slope, noise, seed):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=n)
    x = 0.5 * z + generator.normal(size=n)
    y = slope * x - 0.7 * z + noise * generator.normal(size=n) + 3
    return x, y, z


def partial(x, y, z):
    """Returns r and p of the residuals on z, with n − 3 degrees of freedom."""
    line_x, line_y = stats.linregress(z, x), stats.linregress(z, y)
    rx = x - line_x.intercept - line_x.slope * z
    ry = y - line_y.intercept - line_y.slope * z
    r = stats.pearsonr(rx, ry).statistic
    nu = len(x) - 3
    return r, 2 * stats.t.sf(abs(r) * np.sqrt(nu / (1 - r * r)), nu)


def correlation(n, slope, noise, seed, ties=False):
    x, y, z = lists(n, slope, noise, seed)
    if ties:
        x, y = np.round(x), np.round(y)
    line, rank, (r, p) = stats.linregress(x, y), stats.spearmanr(x, y), partial(x, y, z)
    mean = {"mean": y.mean(), "standardError": stats.sem(y)}
    return {
        "x": x.tolist(), "y": y.tolist(), "z": z.tolist(),
        "r": line.rvalue, "slope": line.slope, "intercept": line.intercept, "pValue": line.pvalue,
        "rho": rank.statistic, "rankP": rank.pvalue, "partialR": r, "partialP": p,
    } | mean


def paired(n, shift, noise, seed):
    """Returns Student's paired test of b − a."""
    generator = np.random.default_rng(seed)
    a = generator.normal(size=n)
    b = a + shift + noise * generator.normal(size=n)
    return {
        "a": a.tolist(), "b": b.tolist(), "mean": (b - a).mean(), "standardError": stats.sem(b - a),
        "pValue": stats.ttest_rel(b, a).pvalue}


def scores(n, prompts, threshold, seed):
    """Returns models with a number per prompt and a score; results of linregress, spearmanr, residuals on ln(width)."""
    generator = np.random.default_rng(seed)
    depth = generator.integers(12, 81, n)
    width = 64 * generator.integers(8, 129, n)
    parameters = 12 * depth * width**2 + 32000 * width
    level = generator.uniform(0.1, 0.7, n)
    per_prompt = level[:, None] + 0.02 * generator.normal(size=(n, prompts))
    x = per_prompt.mean(1)
    y = np.round(20 + 45 * level + 2 * np.log(width / 512) + 4 * generator.normal(size=n), 2)
    rivals = {"ln(parameters)": np.log(parameters), "depth": depth.astype(float), "ln(width)": np.log(width)}
    line, rank = stats.linregress(x, y), stats.spearmanr(x, y)
    r, p = partial(x, y, np.log(width))
    kept = y > threshold
    above = stats.linregress(x[kept], y[kept])
    return {
        "models": [
            {"name": f"org/model-{i}", "perPrompt": per_prompt[i].tolist(), "score": y[i],
             "parameters": int(parameters[i]), "depth": int(depth[i]), "width": int(width[i])}
            for i in range(n)],
        "r": line.rvalue, "rSquared": line.rvalue**2, "slope": line.slope, "intercept": line.intercept,
        "pValue": line.pvalue, "rho": rank.statistic, "rankP": rank.pvalue, "partialR": r, "partialP": p,
        "rivals": {name: stats.linregress(z, y).rvalue ** 2 for name, z in rivals.items()},
        "threshold": threshold, "aboveCount": int(kept.sum()), "aboveRSquared": above.rvalue**2,
        "abovePValue": above.pvalue,
    }


def path(layers, tokens, width, seed):
    generator = np.random.default_rng(seed)
    states = np.cumsum(generator.normal(size=(layers + 1, tokens, width)) + 0.2, axis=0)
    steps = np.diff(states, axis=0)
    units = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    norms = np.linalg.norm(states, axis=-1)
    growth = np.diff(np.log(norms), axis=0)
    rows = states.reshape(-1, width)
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    return {
        "states": states.tolist(), "norms": norms.tolist(),
        "lineShapeScore": (layers / np.linalg.norm(units.sum(0), axis=-1)).tolist(),
        "growthPerBlock": growth.tolist(), "growth": growth.mean(0).tolist(),
        "expodistance": (growth.var(0) / growth.mean(0) ** 2).tolist(),
        "explainedVariance": (values[:2] ** 2 / (values**2).sum()).tolist(),
    }


def couplings(blocks, width, ranks, seed):
    """Returns the misfits of all pairs by their definition; row = Jacobian i, column = basis of j."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(width, width))
    jacobians = [shared + 0.6 * generator.normal(size=(width, width)) for _ in range(blocks)]
    bases = [np.linalg.svd(j) for j in jacobians]
    tables = []
    for k in ranks:
        for form in ("same", "crossed"):
            for sign in ("signed", "absolute"):
                for normalisation, order in (("frobenius", 2), ("trace", 1)):
                    table = []
                    for j_i, (_, s_i, _) in zip(jacobians, bases):
                        row = []
                        for u, _, vt in bases:
                            left, right = (u[:, :k], vt[:k].T) if form == "same" else (vt[:k].T, u[:, :k])
                            a = left.T @ j_i @ right
                            a = np.abs(a) if sign == "absolute" else a
                            misfit = np.linalg.norm(a - np.diag(s_i[:k])) / np.linalg.norm(s_i[:k], order)
                            row.append(misfit)
                        table.append(row)
                    tables.append({
                        "rank": k, "form": form, "sign": sign, "normalisation": normalisation,
                        "misfit": table})

    def overlap(p, q):
        return np.linalg.norm(p[:, :k].T @ q[:, :k]) ** 2 / k

    k = ranks[-1]
    return {
        "jacobians": [j.tolist() for j in jacobians], "tables": tables, "overlapRank": k,
        "left": [[overlap(u, w) for w, _, _ in bases] for u, _, _ in bases],
        "right": [[overlap(v.T, w.T) for _, _, w in bases] for _, _, v in bases],
    }


def main():
    tails = [
        {"t": t, "degreesOfFreedom": nu, "p": 2 * stats.t.sf(t, nu)}
        for nu in (1, 2, 3, 7, 30, 1000) for t in (0.0, 1e-3, 0.5, 1.0, 2.5, 9.0, 60.0)
    ]
    betas = [
        {"x": x, "a": a, "b": b, "value": special.betainc(a, b, x)}
        for a in (0.5, 1.0, 3.5, 40.0) for b in (0.5, 2.0, 25.0) for x in (0.01, 0.3, 0.5, 0.9, 0.999)
    ]
    fixture = {
        "correlations": [
            correlation(4, 1.0, 0.5, 1), correlation(12, 0.9, 0.8, 2), correlation(40, -0.4, 1.0, 3),
            correlation(30, 2.0, 0.01, 4), correlation(25, 0.8, 1.0, 5, ties=True),
        ],
        "pairs": [paired(2, 1.0, 0.1, 8), paired(8, 0.05, 0.2, 9), paired(32, 0.5, 0.1, 10)],
        "tails": tails, "betas": betas, "path": path(6, 4, 9, 6),
        "coupling": couplings(3, 10, (2, 4), 7),
    }
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / "reference.json").write_text(json.dumps(fixture) + "\n")
    (FIXTURES / "scores.json").write_text(json.dumps(scores(12, 5, 40.0, 11)) + "\n")


if __name__ == "__main__":
    main()
