"""What the tests with several processes share: starting them, and comparing the folders they write."""
import json
import os
import pathlib
import shlex
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "Tests" / "ModelTests" / "Fixtures"

# root may start processes, and more of them than there are cores; those that wait let the others have the core. Reading another
# process's memory is not allowed in containers.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}


class Skipped(Exception):
    """Why a test cannot run here."""


class Finished:
    """The outcome of a command."""

    def __init__(self, status, output, error, seconds):
        self.status, self.output, self.error, self.seconds = status, output, error, seconds

    @property
    def messages(self):
        """The errors that krylens printed, without what mpirun adds and without notes on choices among files."""
        own = [line for line in self.error.splitlines() if "weights are read from" not in line]
        return [line for line in own if line.startswith(("Error: ", "stopped by ", "interrupted"))]

    def check(self, status=0):
        assert self.status == status, f"status {self.status} instead of {status}:\n{self.output}{self.error}"
        return self

    def refused(self, status, *words):
        """The command ended with this status and one message, which has these words."""
        self.check(status)
        assert len(self.messages) == 1, f"{len(self.messages)} messages:\n{self.error}"
        for word in words:
            assert word in self.messages[0], f"{word!r} is not in {self.messages[0]!r}"
        return self


class Job:
    """A command that is running."""

    def __init__(self, arguments, folder, environment):
        self.start = time.time()
        self.files = [open(pathlib.Path(folder) / f".{name}-{id(self)}", "w+") for name in ("output", "error")]
        self.process = subprocess.Popen(
            arguments, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=self.files[0], stderr=self.files[1],
            start_new_session=True)

    def wait(self, timeout=120):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            # Only what this job started: the processes of mpirun are in groups of their own and end with it.
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            raise AssertionError(f"not finished after {timeout} s:\n{self.text(1)}") from None
        finally:
            seconds = time.time() - self.start
        texts = [self.text(i) for i in range(2)]
        for file in self.files:
            file.close()
            os.unlink(file.name)
        return Finished(self.process.returncode, *texts, seconds)

    def text(self, i):
        self.files[i].seek(0)
        return self.files[i].read()

    def ranks(self):
        """The process identifiers of the krylens processes, by rank."""
        found = {}
        for child in descendants(self.process.pid):
            try:
                variables = pathlib.Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            for variable in variables:
                if variable.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found[int(variable.split(b"=")[1])] = child
        return [found[rank] for rank in sorted(found)]


def descendants(pid):
    """The processes that a process has started, and those that they have."""
    try:
        children = [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [descendant for child in children for descendant in [child, *descendants(child)]]


class Krylens:
    """The command, and a folder of its own for each test."""

    def __init__(self, executable, folder):
        self.executable = str(pathlib.Path(executable).resolve())
        self.folder = pathlib.Path(folder)

    def __truediv__(self, name):
        """A path in the test's folder."""
        return self.folder / name

    def start(self, ranks, *arguments, environment=None, wrapper=(), launcher=(), hosts=None):
        """Starts the command in this many processes; None: alone, without mpirun. An entry of a list `ranks` is the arguments of one
        process, with `arguments` after them; `wrapper` is a command that runs it, `launcher` one that runs mpirun, and `hosts` its
        list of hosts."""
        variables = {**os.environ, **ENVIRONMENT, **(environment or {})}
        own = [*map(str, wrapper), self.executable]
        mpirun = [*launcher, "mpirun", *(["--host", hosts] if hosts else [])]
        if ranks is None:
            command = [*own, *map(str, arguments)]
        elif isinstance(ranks, int):
            command = [*mpirun, "-n", str(ranks), *own, *map(str, arguments)]
        else:
            command = mpirun
            for i, first in enumerate(ranks):
                command += [":"] * (i > 0) + ["-n", "1", *own, *map(str, first), *map(str, arguments)]
        return Job(command, self.folder, variables)

    def run(self, ranks, *arguments, timeout=120, **options):
        return self.start(ranks, *arguments, **options).wait(timeout)

    def script(self, path, *arguments, environment):
        """Runs a script."""
        variables = {**os.environ, **ENVIRONMENT, **environment}
        return Job([str(path), *map(str, arguments)], self.folder, variables).wait()

    def align(self, ranks, model, *arguments, output, **options):
        """Runs align, which must succeed, and returns its folder."""
        self.run(ranks, "align", model, "--quiet", "-o", output, *arguments, **options).check()
        return self / output

    def shell(self, script):
        """A wrapper that runs a line of sh, in which "$@" is the command."""
        return ["sh", "-c", script, "sh"]


def smollm2():
    """The model of `make demo`, if it has been fetched."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    path = cache / "krylens" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not path.exists():
        raise Skipped("SmolLM2 is not in the cache; scripts/fetch-demo-model.sh fetches it")
    return path


# What may differ between two runs of the same thing: times, memory, and where and with how many threads it was done.
CHANGING = {"seconds", "peak_memory_bytes", "peak_private_bytes", "output", "threads"}


def timeless(value):
    if isinstance(value, dict):
        return {key: timeless(v) for key, v in value.items() if key not in CHANGING}
    return [timeless(v) for v in value] if isinstance(value, list) else value


def same(a, b):
    """Two run folders hold the same, bit for bit."""
    names = [sorted(path.name for path in pathlib.Path(folder).iterdir()) for folder in (a, b)]
    assert names[0] == names[1], f"{a} holds {names[0]}, {b} holds {names[1]}"
    for name in names[0]:
        first, second = (pathlib.Path(folder) / name for folder in (a, b))
        if name == "result.json":
            first, second = (timeless(json.loads(path.read_text())) for path in (first, second))
            assert first == second, difference(first, second)
        else:
            assert first.read_bytes() == second.read_bytes(), f"{first} and {second} differ"


def difference(a, b, place="result.json"):
    """The first place where two JSON values differ."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = [(f"{place}.{key}", a[key], b[key]) for key in a]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(f"{place}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b))]
    else:
        return f"{place}: {str(a)[:200]} and {str(b)[:200]}"
    return next((difference(x, y, where) for where, x, y in pairs if x != y), f"{place}: equal")


def singular_values(folder):
    """The singular values of a run: by prompt and layer."""
    record = json.loads((pathlib.Path(folder) / "result.json").read_text())
    return [[layer["singular_values"] for layer in prompt["layers"]] for prompt in record["prompts"]]


def close(a, b, tolerance=1e-6):
    """Singular values agree to this share of the largest of their Jacobian."""
    if a and isinstance(a[0], list):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            close(x, y, tolerance)
        return
    assert len(a) == len(b), f"{len(a)} and {len(b)} singular values"
    worst = max((abs(x - y) for x, y in zip(a, b)), default=0)
    assert worst <= tolerance * max(a, default=0), f"singular values differ by {worst / max(a):.1e} of the largest"


def when(condition, timeout=60, job=None):
    """Waits for something to happen while a job runs."""
    limit = time.time() + timeout
    while not condition():
        assert time.time() < limit, "it did not happen in time"
        assert job is None or job.process.poll() is None, f"the job has already ended:\n{job.text(1)}"
        time.sleep(0.01)


def units(folder):
    """The finished units in an unfinished run."""
    return [path.name for path in (pathlib.Path(folder) / "partial").glob("*.safetensors")]


def kill(pid, number=signal.SIGKILL):
    os.kill(pid, number)


def quoted(path):
    return shlex.quote(str(path))
