"""Threads, processes, signals and the end of the interpreter."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any, Callable, List

import numpy as np
import pytest

import krylens


def test_another_thread_runs_during_products(model: krylens.Model) -> None:
    J = model.jacobian(list(range(1, 21)), from_layer=0, to_layer=3, from_token="all", to_token="all")
    X, counted, ended = np.ones((J.shape[1], 32), dtype=np.float32), [0], threading.Event()

    def count() -> None:
        while not ended.is_set():
            counted[0] += 1
            time.sleep(0)  # gives the interpreter's lock back

    thread = threading.Thread(target=count)
    # No thread is made to give the lock up: the other one counts only while a product has released it.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(3600)
    try:
        thread.start()
        ran: List[int] = []
        for _ in range(5):
            before = counted[0]
            J @ X
            ran.append(counted[0] - before)
    finally:
        ended.set()
        sys.setswitchinterval(interval)
        thread.join()
    assert max(ran) > 0


def test_two_threads_on_one_jacobian(model: krylens.Model) -> None:
    """A second thread is refused, or finds the first one done; never a wrong number."""
    J = model.jacobian(list(range(1, 21)), from_layer=0, to_layer=3, from_token="all", to_token="all")
    X = np.random.default_rng(0).standard_normal((J.shape[1], 32)).astype(np.float32)
    expected, found = J @ X, []

    def work() -> None:
        for _ in range(10):
            try:
                found.append(np.array_equal(J @ X, expected))
            except krylens.BusyError as error:
                assert "thread" in str(error)
                found.append(None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40 and False not in found and True in found


def test_a_second_thread_is_refused_during_a_solve(jacobian: krylens.Jacobian) -> None:
    refused: List[Any] = []

    def use(*_: Any) -> None:
        def other() -> None:
            try:
                jacobian @ np.ones(24)
            except krylens.Error as error:
                refused.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with pytest.raises(krylens.BusyError):
            jacobian.svds(1)

    assert jacobian.svds(3, progress=use).converged
    assert refused and all(isinstance(error, krylens.BusyError) for error in refused)


def test_models_may_be_used_and_closed_by_many_threads(llama: pathlib.Path) -> None:
    with krylens.open(llama) as model:
        expected = model.jacobian([1, 2, 3], layer=1) @ np.eye(24)
        failures: List[BaseException] = []

        def work() -> None:
            try:
                for _ in range(10):
                    with model.jacobian([1, 2, 3], layer=1) as J:
                        np.testing.assert_array_equal(J @ np.eye(24), expected)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_closing_during_a_product(model: krylens.Model) -> None:
    J = model.jacobian(list(range(1, 21)), from_layer=0, to_layer=3, from_token="all", to_token="all")
    X, ended = np.ones((J.shape[1], 32), dtype=np.float32), threading.Event()

    def work() -> None:
        try:
            while True:
                J @ X
        except krylens.ClosedError:
            ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.05)
    J.close()
    thread.join(60)
    assert ended.is_set()


FORKED = """
    import os, sys, numpy as np, krylens
    model = krylens.open(sys.argv[1])
    J = model.jacobian([1, 2, 3], layer=1)
    expected = J @ np.eye(24)
    def child():
        for use in (lambda: J @ np.ones(24), lambda: J.svds(2), lambda: model.jacobian([1]), lambda: model.tokenize("a")):
            try:
                use()
            except krylens.ForkedError as error:
                assert "fork" in str(error), error
            else:
                raise AssertionError("a handle was used in a child")
        J.close(); model.close()
        with krylens.open(sys.argv[1]) as own:
            np.testing.assert_array_equal(own.jacobian([1, 2, 3], layer=1) @ np.eye(24), expected)
"""


def test_fork(llama: pathlib.Path, process: Callable[..., Any]) -> None:
    process(textwrap.dedent(FORKED) + textwrap.dedent("""
        pid = os.fork()
        if pid == 0:
            try:
                child()
            except BaseException:
                import traceback; traceback.print_exc(); os._exit(1)
            sys.exit(7)      # with handles, and through the end of the interpreter
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        np.testing.assert_array_equal(J @ np.eye(24), expected)
        """), llama)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(llama: pathlib.Path, process: Callable[..., Any], tmp_path: pathlib.Path, method: str) -> None:
    program = textwrap.dedent(FORKED) + textwrap.dedent("""
        import multiprocessing
        def work(_):
            with krylens.open(sys.argv[1]) as own:
                return own.jacobian([1, 2, 3], layer=1) @ np.eye(24)
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            with context.Pool(2) as pool:
                for found in pool.map(work, range(4)):
                    np.testing.assert_array_equal(found, expected)
            if sys.argv[2] == "fork":
                one = context.Process(target=child)
                one.start(); one.join(60)
                assert one.exitcode == 0, one.exitcode
            try:
                context.Pool(1).apply(work, (J,))
            except TypeError as error:
                assert "cannot pickle" in str(error)
            else:
                raise AssertionError("a Jacobian was pickled")
        """)
    script = tmp_path / "program.py"
    script.write_text(program)
    process("import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
            if method == "fork" else f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, *sys.argv[1:]]).returncode)",
            script, llama, method)


@pytest.mark.parametrize("ending", [
    "", "sys.exit(3)", "raise SystemExit(3)", "import gc; gc.disable(); J.loop = J", "import threading; "
    "threading.Thread(target=lambda: [J @ X for _ in range(10**5)], daemon=True).start(); import time; time.sleep(0.05)"])
def test_the_interpreter_ends_with_open_handles(llama: pathlib.Path, process: Callable[..., Any], ending: str) -> None:
    ended = process(f"""
        import sys, numpy as np, krylens
        model = krylens.open(sys.argv[1])
        J = model.jacobian(list(range(1, 21)), layer=1, from_token="all", to_token="all")
        X = np.ones((J.shape[1], 32), dtype=np.float32)
        Y = J @ X
        found = J.svds(2)
        {ending}
        """, llama, expected=3 if "3" in ending else 0)
    assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr


INTERRUPTED = """
    import os, signal, sys, threading, krylens
    model = krylens.open(sys.argv[1])
    J = model.jacobian([1, 2, 3], layer=1)
    steps = []
    def step(*_):
        steps.append(1)
        if len(steps) == 1:
            os.kill(os.getpid(), signal.SIGINT)
    handler = signal.getsignal(signal.SIGINT)
    try:
        {call}
    except KeyboardInterrupt:
        assert signal.getsignal(signal.SIGINT) is handler
        J.svds(2)
        sys.exit(5)
"""


@pytest.mark.parametrize("call", [
    "J.svds(4, progress=step)", "model.align([[1, 2, 3], [4, 5]], top=4, progress=step)",
    "model.align([[1, 2, 3], [4, 5]], top=4, output=sys.argv[2], progress=step)"])
def test_ctrl_c(llama: pathlib.Path, process: Callable[..., Any], tmp_path: pathlib.Path, call: str) -> None:
    process(INTERRUPTED.format(call=call), llama, tmp_path / "run", expected=5)


def test_ctrl_c_from_outside(smollm2: pathlib.Path) -> None:
    """A signal that comes while C runs ends a long solve within some passes, and the process goes on."""
    program = textwrap.dedent("""
        import sys, krylens
        J = krylens.open(sys.argv[1]).jacobian(
            "The capital of France is", from_layer=0, to_layer=30, from_token="all", to_token="all")
        print("begun", flush=True)
        try:
            J.svds(60, tolerance=1e-7, certify="proof")
        except KeyboardInterrupt:
            sys.exit(5)
        """)
    with subprocess.Popen([sys.executable, "-c", program, str(smollm2)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "begun\n"
        time.sleep(0.5)
        child.send_signal(signal.SIGINT)
        assert child.wait(120) == 5


def test_a_handler_of_ones_own_is_called_and_decides(llama: pathlib.Path, process: Callable[..., Any]) -> None:
    process("""
        import os, signal, sys, krylens
        calls = []
        signal.signal(signal.SIGINT, lambda *_: calls.append(1))
        J = krylens.open(sys.argv[1]).jacobian([1, 2, 3], layer=1)
        found = J.svds(4, progress=lambda *_: os.kill(os.getpid(), signal.SIGINT))
        assert found.converged and calls
        """, llama)


def test_memory_does_not_grow(llama: pathlib.Path, process: Callable[..., Any]) -> None:
    """Resident memory stays within 5 MB over 1,000 openings, each with a Jacobian, products and a solve."""
    process("""
        import sys, numpy as np, krylens
        def resident():
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096
        X = np.ones((24, 8), dtype=np.float32)
        for i in range(1100):
            model = krylens.open(sys.argv[1], threads=2)
            J = model.jacobian([1, 2, 3], layer=2)
            J @ X
            J.svds(2)
            if i % 2:
                J.close(); model.close()
            if i == 99:
                before = resident()
        grown = resident() - before
        print(grown)
        assert grown < 5_000_000, grown
        """, llama)
