"""Runs in which several processes hold each block together: the singular values are those of one process."""
import json

from harness import FIXTURES, close, singular_values

# Grouped key-value heads, experts, halves in parallel, norms after the halves.
MODELS = ["llama", "mixtral", "gptj", "olmo2"]


def tokens(model):
    return json.loads((FIXTURES / model / "expected.json").read_text())["token_ids"]


def arguments(model):
    return ["--token-ids", ",".join(map(str, tokens(model))), "--top", 4, "--ranks", 4, "--threads", 1, "--solver", "block"]


def test_sliced_blocks_have_the_same_values(krylens):
    for model in MODELS:
        plain = krylens.align(None, FIXTURES / model, *arguments(model), output=f"{model} plain")
        for ranks in (2, 4):
            sliced = krylens.align(
                ranks, FIXTURES / model, *arguments(model), "--slices", ranks, output=f"{model} {ranks}")
            close(singular_values(plain), singular_values(sliced))


def test_teams_share_the_work(krylens):
    more = ["--token-ids", "5,1,7", "--token-ids", "9,2,11,3"]
    plain = krylens.align(None, FIXTURES / "llama", *arguments("llama"), *more, output="plain")
    teams = krylens.align(4, FIXTURES / "llama", *arguments("llama"), *more, "--slices", 2, output="teams")
    close(singular_values(plain), singular_values(teams))


def test_triplets_of_slices(krylens):
    values = []
    for ranks, slices in ((None, 1), (2, 2), (3, 3)):
        krylens.run(
            ranks, "triplets", FIXTURES / "llama", "--token-ids", "1,5,7", "--top", 3, "--slices", slices, "--threads", 1,
            "--quiet", "-o", f"{slices}").check()
        record = json.loads((krylens / f"{slices}" / "result.json").read_text())
        values.append(record["prompts"][0]["map"]["singular_values"])
    close(values[0], values[1])
    close(values[0], values[2])


def test_what_cannot_be_divided_is_refused(krylens):
    krylens.run(2, "align", FIXTURES / "mamba", "--token-ids", "1,2", "--slices", 2, "-o", "run").refused(
        64, "mamba", "--slices 2", "leave --slices out")
    krylens.run(2, "align", FIXTURES / "llama", "--token-ids", "1,2", "--solver", "arpack", "--slices", 2, "-o", "run").refused(
        64, "--solver arpack", "block")
