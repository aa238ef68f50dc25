"""Several processes write the folder that one writes, bit for bit, whatever fails on the way."""
import shutil
import subprocess

from harness import FIXTURES, close, same, singular_values, smollm2, when, units

# Prompts in several groups.
PROMPTS = [word for i in range(40) for word in ("--token-ids", f"{i % 30},7,3,{20 + i % 7},{i // 30}")]


def check_many(krylens, name, *options):
    model = FIXTURES / name
    shared = ["--top", "4", "--threads", "1", *options]
    plain = krylens.align(None, model, *shared, output="plain")
    for ranks in (2, 4):
        same(plain, krylens.align(ranks, model, *shared, output=f"ranks{ranks}"))


def test_llama(krylens):
    check_many(krylens, "llama", *PROMPTS, "--save-hidden-states")


def test_mixture_of_experts(krylens):
    check_many(krylens, "mixtral", *PROMPTS)


def test_parallel_blocks(krylens):
    check_many(krylens, "gptj", *PROMPTS)


def test_coupling_between_tokens(krylens):
    check_many(krylens, "llama", *PROMPTS[:16], "--kind", "self", "--tokens", "0,-1", "--form", "both")


def test_one_prompt(krylens):
    check_many(krylens, "llama", *PROMPTS[:2])


def test_smollm2(krylens):
    prompts = ["-p", "What is the capital of France? The capital is", "-p", "Water boils at a temperature of"]
    shared = [smollm2(), *prompts, "--threads", "1", "--layers", "1,2,15,30"]
    plain = krylens.align(None, *shared, output="plain")
    for ranks in (2, 4):
        folder = krylens.align(ranks, *shared, output=f"ranks{ranks}")
        close(singular_values(plain), singular_values(folder))
        same(plain, folder)


def test_a_full_disk_in_one_process_stops_all(krylens):
    shared = [FIXTURES / "llama", *PROMPTS, "--top", "4", "--threads", "1", "--quiet"]
    plain = krylens.align(None, *shared[:-1], output="plain")
    # Process 1 may write no file of more than 4 KB; MPI's shared memory is a file too, so messages take sockets.
    limited = krylens.shell('test "$OMPI_COMM_WORLD_RANK" = 1 && ulimit -f 8; exec "$@"')
    finished = krylens.run(
        3, "align", *shared, "-o", "run", wrapper=limited, environment={"OMPI_MCA_btl": "self,tcp"}, timeout=30)
    finished.refused(1, "process 1 on ", "run", "cannot be written")
    same(plain, krylens.align(2, *shared[:-1], output="run"))


def test_a_file_truncated_under_one_process_stops_all(krylens):
    copy = krylens / "copy"
    shutil.copytree(FIXTURES / "llama", copy)
    prompts = [word for i in range(240) for word in ("--token-ids", f"{i % 60},7,3,{(7 * i) % 60},5,{i // 60}")]
    shared = [*prompts, "--top", "6", "--threads", "1", "--quiet", "-o", "run"]
    job = krylens.start([["align", FIXTURES / "llama"], ["align", copy]], *shared)
    when(lambda: len(units(krylens / "run")) > 5, job=job)
    subprocess.run(["truncate", "--size", "1000", str(copy / "model.safetensors")], check=True)
    job.wait(30).refused(1, "process 1 on ", "model.safetensors")
