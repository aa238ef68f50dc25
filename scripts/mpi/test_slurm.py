"""The job scripts of examples/slurm, with a stub in place of srun that starts the tasks with mpirun."""
import os
import pathlib

from harness import FIXTURES, ROOT, same

LLAMA = FIXTURES / "llama"
EXAMPLES = ROOT / "examples" / "slurm"
PROMPTS = [word for i in range(6) for word in ("--token-ids", f"{3 * i},7,{i},5,2")]
ALIGN = ["align", LLAMA, *PROMPTS, "--top", "3"]
LENS = ["lens", "fit", LLAMA, *PROMPTS, "--rank", "3", "--oversampling", "2"]
# What srun is asked for: how processes find each other, that all end with the first one killed, and the command.
SRUN = """#!/bin/sh
echo "$@" > srun.txt
while test "${1#--}" != "$1"; do shift; done
test "$SRUN_CPUS_PER_TASK" = "$SLURM_CPUS_PER_TASK" && exec mpirun -n "$SLURM_NTASKS" "$@"
"""


def submit(krylens, script, *arguments, **slurm):
    """Runs a job script as Slurm would, on one machine."""
    stub = krylens / "bin" / "srun"
    if not stub.exists():
        stub.parent.mkdir()
        stub.write_text(SRUN)
        stub.chmod(0o755)
    environment = {
        "PATH": f"{stub.parent}:{os.environ['PATH']}", "KRYLENS": krylens.executable, "SLURM_JOB_ID": "7",
        "SLURM_CPUS_PER_TASK": "1", "SLURM_NTASKS": "1", **slurm,
    }
    return krylens.script(EXAMPLES / script, *arguments, environment=environment)


def test_a_job_shares_a_run(krylens):
    for name, command in (("align", ALIGN), ("lens", LENS)):
        krylens.run(None, *command, "--threads", 1, "--quiet", "-o", f"plain {name}").check()
        for tasks in ("3", "2"):
            submit(krylens, "shared.sbatch", *command, "-o", f"shared {name}", SLURM_NTASKS=tasks).check()
            same(krylens / f"plain {name}", krylens / f"shared {name}")
        asked = (krylens / "srun.txt").read_text()
        assert asked.startswith("--mpi=pmix --kill-on-bad-exit=1 "), asked


def test_the_parts_of_an_array_are_joined(krylens):
    for name, command in (("align", ALIGN), ("lens", LENS)):
        run = str(krylens / name)
        # An array's jobs run in any order, and a part that failed is submitted again alone.
        for part, count in (("3", "3"), ("1", "3"), ("2", "1")):
            submit(krylens, "array.sbatch", "3", run, *command, SLURM_ARRAY_TASK_ID=part, SLURM_ARRAY_TASK_COUNT=count).check()
        submit(krylens, "merge.sbatch", "3", run).check()
        krylens.run(None, "merge", *(f"{run}-parts/{part}" for part in (1, 2, 3)), "-o", "joined " + name).check()
        same(pathlib.Path(run), krylens / f"joined {name}")
        assert len(list(pathlib.Path(f"{run}-parts").iterdir())) == 3
