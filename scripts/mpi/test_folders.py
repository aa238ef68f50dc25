"""Runs of triplets, eigen and lens fit by several processes: one folder, the same to the bit as that of one, after kills too."""
import json
import os
import shutil

from harness import FIXTURES, Skipped, kill, same, units, when

LLAMA = FIXTURES / "llama"
PROMPTS = [word for i in range(9) for word in ("--token-ids", ",".join(str((7 * i + j * j) % 25) for j in range(3 + i % 4)))]
MANY = [word for i in range(200) for word in ("--token-ids", f"{i % 60},7,3,{(7 * i) % 60},5,{i % 50}")]
RUNS = {
    "triplets": ["triplets", "--top", "3", "--read-out", "2"],
    "average": ["triplets", "--top", "3", "--average"],
    "eigen": ["eigen", "--top", "2", "--layers", "2"],
    "lens": ["lens", "fit", "--rank", "3", "--oversampling", "2", "--range-prompts", "5"],
    "dense lens": ["lens", "fit", "--dense"],
    "part of a lens": ["lens", "fit", "--rank", "3", "--oversampling", "2", "--shard", "2/2"],
}


def run(krylens, ranks, kind, output, prompts=PROMPTS):
    krylens.run(ranks, *RUNS[kind], LLAMA, *prompts, "--threads", 1, "--quiet", "-o", output).check()
    return krylens / output


def test_any_number_of_processes_finds_the_same(krylens):
    for i, kind in enumerate(RUNS):
        plain = run(krylens, None, kind, f"plain {i}")
        for ranks in (2, 4):
            shared = run(krylens, ranks, kind, f"{ranks} {i}")
            if kind == "part of a lens":
                # The notes beside the sums hold seconds.
                sums = shared / "sums.safetensors"
                assert arrays(sums) == arrays(plain / "sums.safetensors")
                shutil.copy(plain / "sums.safetensors", sums)
            same(plain, shared)


def arrays(path):
    """The arrays of a file, without the header."""
    data = path.read_bytes()
    return data[8 + int.from_bytes(data[:8], "little"):]


def test_more_processes_than_prompts(krylens):
    prompts = PROMPTS[:6]
    for kind in ("triplets", "lens"):
        same(run(krylens, None, kind, f"{kind} 1", prompts), run(krylens, 8, kind, f"{kind} 8", prompts))


def test_a_complete_folder_is_left_alone(krylens):
    folder = run(krylens, 2, "lens", "run")
    before = (folder / "result.json").read_bytes()
    again = krylens.run(3, *RUNS["lens"], LLAMA, *PROMPTS, "--threads", 1, "-o", "run").check()
    assert "nothing was done" in again.error and again.error.count("nothing was done") == 1
    assert (folder / "result.json").read_bytes() == before


def test_killed_runs_resume_with_other_numbers(krylens):
    for kind, ranks in (("triplets", (3, 0, 2)), ("lens", (3, 2, 1)), ("lens", (2, 0, 4))):
        shutil.rmtree(krylens.folder)
        os.mkdir(krylens.folder)
        processes, victim, resumed = ranks
        job = krylens.start(processes, *RUNS[kind], LLAMA, *MANY, "--threads", 1, "--quiet", "-o", "run")
        when(lambda: len(units(krylens / "run")) > 4, job=job)
        kill(job.ranks()[victim])
        finished = job.wait(10)
        assert finished.status != 0 and len(finished.messages) == 1, finished.error
        # A process that waits may be killed without the others missing it, before mpirun ends them.
        assert any(word in finished.messages[0] for word in ("resumes", "had finished")), finished.error
        same(run(krylens, resumed, kind, "run", MANY), run(krylens, None, kind, "plain", MANY))


def test_a_failed_prompt_is_a_result(krylens):
    model = krylens / "model"
    shutil.copytree(LLAMA, model)
    edit(model / "model.safetensors", "model.embed_tokens.weight", 25)
    prompts = [*PROMPTS, "--token-ids", "25,1,2"]
    folders = []
    for ranks in (None, 3):
        folders.append(krylens / f"run {ranks}")
        finished = krylens.run(ranks, "triplets", model, *prompts, "--top", 3, "--threads", 1, "--quiet", "-o", folders[-1])
        finished.refused(1, "1 of 10 prompts failed", "model.embed_tokens.weight")
    same(*folders)


def edit(path, tensor, row):
    """Makes a row of an F32 matrix infinite."""
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    info = json.loads(data[8:8 + length])[tensor]
    if info["dtype"] != "F32":
        raise Skipped(f"{tensor} is {info['dtype']}")
    columns = info["shape"][1]
    start = 8 + length + info["data_offsets"][0] + 4 * columns * row
    data[start:start + 4 * columns] = b"\0\0\x80\x7f" * columns
    path.write_bytes(data)
