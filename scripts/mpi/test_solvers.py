"""Solvers on vectors that the processes of a team hold between them, on one block that they hold between them, too."""
import json

from harness import FIXTURES, close

# The singular values of two solves within this tolerance differ by at most 1e-6 · σ₁ (Weyl).
PRECISE = ["--tolerance", "5e-7", "--top", "6", "--threads", "1", "--json"]


def bench(krylens, ranks, model, solvers, *arguments):
    """What each solver measured, in this many processes that are one team; None: alone."""
    options = [word for solver in solvers for word in ("--solver", solver)]
    slices = ["--slices", ranks] if ranks else []
    finished = krylens.run(ranks, "bench", model, *options, *slices, *PRECISE, *arguments).check()
    found = json.loads(finished.output)
    assert [m["solver"] for m in found] == solvers
    assert all(m["converged"] and m["processes"] == (ranks or 1) for m in found), finished.output
    return found


def test_solvers_agree_with_the_dense_svd(krylens):
    # 9 heads of 64 for 2 and 4 processes.
    krylens.run(None, "synthesize", "--like", "smollm2-135m", "--layers", 1, "--vocabulary", 512, "block").check()
    dense = bench(krylens, None, "block", ["dense"])[0]["singular_values"]
    for ranks in (2, 4):
        for found in bench(krylens, ranks, "block", ["block", "parpack", "randomized"]):
            assert found["answered"] == found["solver"] and found["sent_bytes"] > 0
            close(found["singular_values"], dense)


def test_some_processes_have_nothing(krylens):
    # 4 heads for 5 processes.
    dense = bench(krylens, None, FIXTURES / "llama", ["dense"])[0]["singular_values"]
    for found in bench(krylens, 5, FIXTURES / "llama", ["block", "parpack"]):
        close(found["singular_values"], dense)


def test_parpack_in_one_process_is_arpack(krylens):
    alone = bench(krylens, None, FIXTURES / "llama", ["parpack", "arpack"])
    assert [m["answered"] for m in alone] == ["arpack", "arpack"]
    assert alone[0]["singular_values"] == alone[1]["singular_values"]


def test_solvers_of_whole_vectors_refuse(krylens):
    for solver in ("arpack", "dense"):
        krylens.run(2, "bench", FIXTURES / "llama", "--slices", 2, "--solver", solver, "--top", 3).refused(
            1, solver, "whole vectors", "block solver")
    krylens.run(2, "bench", FIXTURES / "llama").refused(64, "--slices 1", "number of processes")
