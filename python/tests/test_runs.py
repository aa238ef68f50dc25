"""Run folders: what load gives is what the files hold, and what is damaged is refused with its place."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import struct
from typing import Any, Callable, Dict

import numpy as np
import pytest

import krylens
from conftest import PROMPTS

PANDAS = "pandas"


@pytest.fixture
def copy(run_folder: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of a run that a test may damage."""
    shutil.copytree(run_folder, tmp_path / "copy")
    return tmp_path / "copy"


def edit(folder: pathlib.Path, change: Callable[[Dict[str, Any]], Any]) -> None:
    path = folder / "result.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_arrays_hold_the_numbers_of_the_record(run_folder: pathlib.Path) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    record = json.loads((run_folder / "result.json").read_text())
    assert run.singular_values.shape == run.residual_norms.shape == run.bounds.shape == run.vector_bounds.shape == (2, 3, 4)
    for p, prompt in enumerate(record["prompts"]):
        for l, layer in enumerate(prompt["layers"]):
            assert run.singular_values[p, l].tolist() == layer["singular_values"]
            assert run.bounds[p, l].tolist() == layer["bound"]
    assert run.layers.tolist() == [1, 2, 3]
    assert [prompt["token_ids"] for prompt in run.prompts] == PROMPTS and run.texts == [None, None]
    assert not run.failures


def test_couplings_of_every_reading(run_folder: pathlib.Path) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    record = json.loads((run_folder / "result.json").read_text())
    for table in record["prompts"][1]["coupling"]:
        reading = {key: table[key] for key in ("rank", "sign", "normalisation", "form")}
        coupling = run.coupling(**reading)
        assert coupling.per_prompt.shape == (2, 3, 3) and coupling.null.shape == (2, 3)
        assert coupling.per_prompt[1].tolist() == table["matrix"] and coupling.bounds[1].tolist() == table["bound"]
        assert coupling.rows.tolist() == coupling.columns.tolist() == [1, 2, 3]
        np.testing.assert_array_equal(coupling.mean, coupling.per_prompt.mean(axis=0))
        assert coupling.reading["rank"] == table["rank"]
        assert coupling.statistic["rank"] == table["rank"] and coupling.statistic["value"]["count"] == 2
    assert run.coupling().reading == {
        "rank": 4, "sign": "signed", "normalisation": "frobenius", "form": "same", "kind": "depth", "score": "one-minus"}
    np.testing.assert_array_equal(run.coupling(prompt=-1).per_prompt[0], run.coupling().per_prompt[1])


def test_scores_follow_from_the_stored_arrays(run_folder: pathlib.Path) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    a, s = run.coupling_arrays(0)["A"].astype(float), run.singular_values[0]
    misfit = [[np.linalg.norm(a[i, j] - np.diag(s[i])) / np.linalg.norm(s[i]) for j in range(3)] for i in range(3)]
    # The stored entries are float32: 2⁻²⁴ of ‖A‖ ≤ 1.1 ‖S‖ each, so 1e-6 covers the norm of 16 of them.
    np.testing.assert_allclose(run.coupling().per_prompt[0], 1 - np.array(misfit), atol=1e-6)


def test_triplets_are_oriented_as_scipy_does(run_folder: pathlib.Path) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    U, s, Vt = found = run.triplets(1, layer=3)
    assert U.shape == (24, 4) and s.shape == (4,) and Vt.shape == (4, 24)
    assert U.dtype == s.dtype == Vt.dtype == np.float32
    # Orthonormal to the rounding of 24 products of float32.
    np.testing.assert_allclose(U.T @ U, np.eye(4), atol=24 * 2**-23)
    np.testing.assert_array_equal(s, run.singular_values[1, 2].astype(np.float32))
    assert found.converged and found.report["layer"] == 3 and found.residual_norms.shape == (4,)
    assert found.bounds is not None and found.bounds.tolist() == run.bounds[1, 2].tolist()


def test_trajectories_and_hidden_states(run_folder: pathlib.Path) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    path, states = run.trajectory(0), run.hidden_states(0)
    assert path.norms.shape == (4, 4) and states.shape == (4, 4, 24) and path.line_shape_score.shape == (4,)
    # Norms are computed from the states before those are rounded to float32.
    np.testing.assert_allclose(np.linalg.norm(states, axis=-1), path.norms, rtol=1e-6)
    assert path.picture is not None and path.picture.shape == (4, 4, 2)
    assert run.statistic("growth")["count"] == 2
    with pytest.raises(krylens.InvalidArgument, match="line-shape-score"):
        run.statistic("shape")


def test_frames(run_folder: pathlib.Path) -> None:
    pytest.importorskip(PANDAS)
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    values = run.frame("singular_values")
    assert values.singular_value.to_numpy().reshape(2, 3, 4).tolist() == run.singular_values.tolist()
    coupling = run.frame("coupling").query("rank == 4 and sign == 'signed' and normalisation == 'frobenius' and form == 'same'")
    assert coupling.value.to_numpy().reshape(2, 3, 3).tolist() == run.coupling().per_prompt.tolist()
    assert len(run.frame("layers")) == 6 and run.frame("layers").converged.all()
    assert run.frame("prompts").prompt.tolist() == [0, 1]
    assert set(run.frame("trajectory").quantity) == {"norm", "growth", "line_shape_score", "expodistance"}
    with pytest.raises(krylens.InvalidArgument, match="singular_values"):
        run.frame("values")


def test_several_tokens(model: krylens.Model) -> None:
    run = model.align([[1, 2, 3, 4], [5, 6, 7]], top=3, tokens=[0, -1], progress=False)
    assert run.singular_values.shape == (2, 3, 2, 3)
    with pytest.raises(krylens.InvalidArgument, match="2 tables per prompt, choose one: 0: from token 0"):
        run.coupling()
    assert run.coupling(table=1).per_prompt.shape == (2, 3, 3)
    assert run.triplets(1, 2, jacobian=1).s.tolist() == run.singular_values[1, 1, 1].astype(np.float32).tolist()
    within = model.align([[1, 2, 3, 4], [5, 6, 7]], top=3, kind="self", progress=False)
    assert within.singular_values.shape == (2, 3, 4, 3) and np.isnan(within.singular_values[1, :, 3]).all()
    with pytest.raises(krylens.InvalidArgument, match="one prompt at a time"):
        within.coupling(table=0)
    assert within.coupling(table=2, prompt=1).rows.tolist() == [0, 1, 2]


def test_repeated_prompts_count_once(model: krylens.Model) -> None:
    run = model.align([[1, 2, 3], [1, 2, 3], [4, 5]], top=2, progress=False)
    coupling = run.coupling()
    np.testing.assert_array_equal(coupling.mean, coupling.per_prompt[[0, 2]].mean(axis=0))
    assert coupling.statistic["value"]["count"] == 2


def test_runs_of_triplets(llama: pathlib.Path, command: Callable[..., None], tmp_path: pathlib.Path) -> None:
    command("triplets", llama, "--token-ids", "1,2,3", "--token-ids", "4,5", "--from-layer", 0, "--to-layer", 2, "--top", 3,
            "-o", tmp_path / "maps", "--quiet")
    run = krylens.load(tmp_path / "maps")
    assert isinstance(run, krylens.MapRun) and not run.is_average
    U, s, Vt = run.triplets(1)
    assert U.shape == (24, 3) and Vt.shape == (3, 24)
    assert run.singular_values.shape == (2, 3) and run.map(0)["to_layer"] == 2
    with pytest.raises(krylens.InvalidArgument, match="2 prompts"):
        run.triplets()
    command("triplets", llama, "--token-ids", "1,2,3", "--token-ids", "4,5", "--average", "-o", tmp_path / "mean", "--quiet")
    mean = krylens.load(tmp_path / "mean")
    assert isinstance(mean, krylens.MapRun) and mean.is_average and mean.singular_values.shape == (1, 10)
    assert mean.triplets().U.shape == (24, 10)
    with pytest.raises(krylens.InvalidArgument, match="average"):
        mean.triplets(0)


def test_other_commands_runs_are_named(llama: pathlib.Path, command: Callable[..., None], tmp_path: pathlib.Path) -> None:
    command("eigen", llama, "--token-ids", "1,2,3", "-o", tmp_path / "eigen", "--quiet")
    with pytest.raises(krylens.RunError, match="a run of krylens eigen"):
        krylens.load(tmp_path / "eigen")


def test_what_is_no_run(tmp_path: pathlib.Path, llama: pathlib.Path) -> None:
    for folder in (tmp_path, llama, tmp_path / "missing", llama / "config.json"):
        with pytest.raises(krylens.RunError, match="not a run folder"):
            krylens.load(folder)
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial/manifest.json").write_text("{}")
    with pytest.raises(krylens.RunError, match="has not ended"):
        krylens.load(tmp_path)


def test_pipes_are_refused_and_not_waited_for(copy: pathlib.Path) -> None:
    arrays = copy / "triplets.safetensors"
    arrays.unlink()
    os.mkfifo(arrays)
    run = krylens.load(copy)
    assert isinstance(run, krylens.Run)
    with pytest.raises(krylens.RunError, match="not a regular file"):
        run.triplets(0, layer=1)
    (copy / "result.json").unlink()
    os.mkfifo(copy / "result.json")
    with pytest.raises(krylens.RunError):
        krylens.load(copy)


@pytest.mark.parametrize("text", [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"prompts": 1}', b'{"prompts": [1]}', b'{"prompts": [{}]}',
    b'{"prompts": [], "settings": {}}', b'{"prompts": [{"layers": [{"layer": true}]}], "settings": {}, "model": {}}',
    b'{"command": 7}', b'{"command": ["align"]}'])
def test_damaged_records(tmp_path: pathlib.Path, text: bytes) -> None:
    (tmp_path / "result.json").write_bytes(text)
    with pytest.raises(krylens.RunError, match=str(tmp_path)):
        krylens.load(tmp_path)


@pytest.mark.parametrize("value", ["x", [["x"]], [[1, 2], [3]], {"a": 1}, [1], [[[1]]], pytest.param(10**400, id="huge")])
def test_damaged_numbers(copy: pathlib.Path, value: Any) -> None:
    edit(copy, lambda record: [table.update(matrix=value) for table in record["prompts"][0]["coupling"]])
    edit(copy, lambda record: record["prompts"][0]["layers"][0].update(singular_values={"a": value}))
    run = krylens.load(copy)
    assert isinstance(run, krylens.Run)
    with pytest.raises(krylens.Error):
        run.coupling()
    with pytest.raises(krylens.RunError, match="singular_values"):
        run.singular_values


def test_failed_prompts(copy: pathlib.Path) -> None:
    edit(copy, lambda record: record["prompts"][0].update(
        layers=[], coupling=[], failed={"number": 1, "layer": 2, "reason": "the state is not finite"}))
    run = krylens.load(copy)
    assert isinstance(run, krylens.Run)
    assert list(run.failures) == [0] and np.isnan(run.singular_values[0]).all()
    assert np.isnan(run.coupling().per_prompt[0]).all()
    np.testing.assert_array_equal(run.coupling().mean, run.coupling().per_prompt[1])
    for read in (lambda: run.triplets(0, 1), lambda: run.coupling(prompt=0), lambda: run.trajectory(0)):
        with pytest.raises(krylens.RunError, match="not finite"):
            read()


@pytest.mark.parametrize("prompt, layer, jacobian", [(2, 1, 0), (-3, 1, 0), ("0", 1, 0), (0, 0, 0), (0, 4, 0), (0, 1, 1), (0, "1", 0)])
def test_places_that_a_run_has_not(run_folder: pathlib.Path, prompt: Any, layer: Any, jacobian: Any) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    with pytest.raises(krylens.InvalidArgument, match="the run has|has 1"):
        run.triplets(prompt, layer, jacobian)


@pytest.mark.parametrize("reading, words", [
    ({"rank": 3}, "rank 2, 4"), ({"sign": "both"}, "sign signed, absolute"), ({"form": "other"}, "form same, crossed"),
    ({"table": 1}, "the run has 1"), ({"prompt": 9}, "the run has 2")])
def test_readings_that_a_run_has_not(run_folder: pathlib.Path, reading: Dict[str, Any], words: str) -> None:
    run = krylens.load(run_folder)
    assert isinstance(run, krylens.Run)
    with pytest.raises(krylens.InvalidArgument, match=words):
        run.coupling(**reading)


def safetensors(header: Any, data: bytes = b"", length: Any = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: Any = "F32", shape: Any = (2,), offsets: Any = (0, 8)) -> Dict[str, Any]:
    return {"p0.l1.S": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize("content", [
    b"", b"\0" * 7, safetensors({}, length=2**63), safetensors({}, length=3), safetensors(b"{"), safetensors(b"[]"),
    safetensors(b"\xff\xff"), safetensors(b"[" * 50_000), safetensors({"a": 1}), safetensors(entry(dtype="F31"), b"12345678"),
    safetensors(entry(dtype=[]), b"12345678"), safetensors(entry(shape=[-2]), b"12345678"),
    safetensors(entry(shape=[2.0]), b"12345678"), safetensors(entry(shape="2"), b"12345678"),
    safetensors(entry(shape=[True, 2]), b"12345678"), safetensors(entry(shape=[2**40, 2**40]), b"12345678"),
    safetensors(entry(offsets=[0, 9]), b"123456789"), safetensors(entry(offsets=[8, 0]), b"12345678"),
    safetensors(entry(offsets=[4, 12]), b"12345678"), safetensors(entry(offsets=[0]), b"12345678"),
    safetensors(entry(shape=[1] * 40 + [2]), b"12345678"), safetensors(entry(shape=[0, 2**70], offsets=[0, 0])),
    safetensors(entry(), b"12345678"),
    safetensors({name: entry()["p0.l1.S"] for name in ("p0.l1.U", "p0.l1.S", "p0.l1.V")}, b"12345678")])
def test_damaged_arrays(copy: pathlib.Path, content: bytes) -> None:
    (copy / "triplets.safetensors").write_bytes(content)
    run = krylens.load(copy)
    assert isinstance(run, krylens.Run)
    with pytest.raises(krylens.RunError, match="triplets.safetensors"):
        run.triplets(0, 1)


def test_a_file_cut_short_while_it_is_open(copy: pathlib.Path) -> None:
    run = krylens.load(copy)
    assert isinstance(run, krylens.Run)
    run.triplets(0, 1)
    with open(copy / "triplets.safetensors", "r+b") as file:
        file.truncate(3000)
    with pytest.raises(krylens.RunError, match="cut short"):
        run.triplets(1, 3)


def test_reading_needs_neither_the_library_nor_scipy(run_folder: pathlib.Path, process: Callable[..., Any]) -> None:
    process("""
        import os, sys
        os.environ["KRYLENS_LIBRARY"] = "/nowhere/libkrylens.so.1"
        for missing in ("scipy", "pandas", "tqdm"):
            sys.modules[missing] = None
        import krylens
        run = krylens.load(sys.argv[1])
        assert run.coupling().mean.shape == (3, 3) and run.triplets(0, 1).U.shape == (24, 4)
        try:
            run.frame("coupling")
        except ImportError as error:
            assert "pip install pandas" in str(error)
        else:
            raise AssertionError("a frame without pandas")
        try:
            krylens.open("model")
        except krylens.LibraryError as error:
            assert "KRYLENS_LIBRARY" in str(error)
        else:
            raise AssertionError("a model without the library")
        """, run_folder)
