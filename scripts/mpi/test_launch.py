"""How the command starts and ends as several processes: refusals, failures of one process, and kills."""
import os
import shutil
import signal

from harness import FIXTURES, kill, same, units, when

LLAMA = FIXTURES / "llama"
TOKENS = ["--token-ids", "1,2,3"]
# Prompts in many groups, each of a few units.
MANY = [word for i in range(240) for word in ("--token-ids", f"{i % 60},7,3,{(7 * i) % 60},5,{i // 60}")]
LONG = [*MANY, "--top", "6", "--threads", "1"]


def test_help_and_version_are_printed_once(krylens):
    assert krylens.run(2, "--version").check().output.count("\n") == 1
    assert krylens.run(3, "align", "--help").check().output.count("USAGE:") == 1


def test_tables_are_printed_once(krylens):
    finished = krylens.run(2, "align", LLAMA, *TOKENS, "-o", "run").check()
    assert finished.output.count("written to") == 1, finished.output
    assert finished.error.count("weights are read from") == 1, finished.error
    assert "--output" not in krylens.run(2, "align", LLAMA, *TOKENS, "-o", "run").check().error


def test_other_commands_refuse(krylens):
    krylens.run(2, "info", LLAMA).refused(64, "info", "one process")
    krylens.run(2, "plan", LLAMA, *TOKENS).refused(64, "plan", "one process")


def test_one_process_of_mpirun_is_a_plain_run(krylens):
    plain = krylens.align(None, LLAMA, *TOKENS, output="plain")
    same(plain, krylens.align(1, LLAMA, *TOKENS, output="one"))
    assert "blocks" in krylens.run(1, "info", LLAMA).check().output


def test_slices_must_fit(krylens):
    krylens.run(3, "align", LLAMA, *TOKENS, "--slices", 2, "-o", "run").refused(64, "--slices 2", "3 processes")
    krylens.run(None, "align", LLAMA, *TOKENS, "--slices", 2, "-o", "run").refused(64, "--slices 2", "mpirun -n 2")
    krylens.run(2, "align", LLAMA, *TOKENS, "--slices", 0, "-o", "run").refused(64, "--slices 0")
    krylens.run([["align", LLAMA], ["align", "--slices", 2, LLAMA]], *TOKENS, "-o", "run").refused(
        64, "process 1 on ", "process 0")
    assert not (krylens / "run").exists()


def test_wrong_options_are_refused_once(krylens):
    krylens.run(2, "align", LLAMA, *TOKENS, "--top", 0, "-o", "run").refused(64, "--top 0")
    krylens.run(2, "align", LLAMA, *TOKENS, "--top", 100, "-o", "run").refused(64, "--top 100")
    krylens.run([["align", LLAMA], ["align", LLAMA, "--colour", "red"]], *TOKENS, "-o", "run").refused(
        64, "process 1 on ", "--colour")


def test_all_open_the_same_run(krylens):
    def refused(*second):
        krylens.run([["align", LLAMA, *TOKENS], ["align", *second]], "-o", "run").refused(1, "process 1 was")

    refused(LLAMA, *TOKENS, "--seed", 1)
    refused(LLAMA, "--token-ids", "1,2,4")
    refused(LLAMA, *TOKENS, *TOKENS)
    refused(FIXTURES / "llama-biased", *TOKENS)
    assert not (krylens / "run").exists()


def test_a_file_missing_or_damaged_in_one_process(krylens):
    copy = krylens / "copy"
    shutil.copytree(LLAMA, copy)
    # Another path to the same files is the same run.
    krylens.run([["align", LLAMA], ["align", copy]], *TOKENS, "-o", "run").check()
    weights = copy / "model.safetensors"
    os.truncate(weights, weights.stat().st_size * 2 // 3)
    for damaged in (1, 2):
        models = [["align", copy if rank == damaged else LLAMA] for rank in range(3)]
        krylens.run(models, *TOKENS, "-o", "damaged").refused(1, f"process {damaged} on ", "model.safetensors")
    shutil.rmtree(copy)
    krylens.run([["align", LLAMA], ["align", copy]], *TOKENS, "-o", "damaged").refused(1, "process 1 on ", str(copy))
    krylens.run(2, "align", copy, *TOKENS, "-o", "damaged").refused(1, str(copy))
    assert not (krylens / "damaged").exists()


def killed(krylens, rank, resumed, number=signal.SIGKILL):
    """A run of three processes, one of which is killed, is resumed by another number of them."""
    plain = krylens.align(None, LLAMA, *LONG, output="plain")
    job = krylens.start(3, "align", LLAMA, *LONG, "-o", "run", "--quiet")
    when(lambda: len(units(krylens / "run")) > 20, job=job)
    kill(job.ranks()[rank], number)
    finished = job.wait(10)
    assert finished.status != 0
    assert len(finished.messages) == 1, finished.error
    for word in ("kept in run", "--output run", "resumes"):
        assert word in finished.messages[0], finished.error
    assert units(krylens / "run")
    same(plain, krylens.align(resumed, LLAMA, *LONG, output="run"))


def test_a_killed_process_ends_all_and_the_run_is_resumed(krylens):
    killed(krylens, 2, 2)


def test_a_killed_first_process_ends_all_and_the_run_is_resumed(krylens):
    killed(krylens, 0, 4)


def test_sigterm_ends_all_and_the_run_is_resumed(krylens):
    plain = krylens.align(None, LLAMA, *LONG, output="plain")
    job = krylens.start(2, "align", LLAMA, *LONG, "-o", "run", "--quiet")
    when(lambda: len(units(krylens / "run")) > 20, job=job)
    job.process.send_signal(signal.SIGTERM)
    finished = job.wait(10)
    assert finished.status != 0 and len(finished.messages) == 1, finished.error
    same(plain, krylens.align(None, LLAMA, *LONG, output="run"))


def test_a_killed_member_of_a_team_ends_all(krylens):
    job = krylens.start(2, "align", LLAMA, *LONG, "--slices", 2, "-o", "run", "--quiet")
    when(lambda: len(units(krylens / "run")) > 5, job=job)
    kill(job.ranks()[1])
    finished = job.wait(10)
    assert finished.status != 0 and len(finished.messages) == 1, finished.error
    assert "resumes" in finished.messages[0], finished.error
