"""Gathers the seeds of the fuzzers from the tests' fixtures: CORPUS/READER/* and CORPUS/READER.dict.

    python3 fuzz/make_seeds.py CORPUS      (no package is needed)
"""

import json
import re
import sys
from pathlib import Path

tests = Path(__file__).parent.parent / "Tests"
corpus = Path(sys.argv[1])
largest = 16384  # bytes: a fuzzer is the better the smaller its seeds are


def words(value):
    """All keys and short texts of a JSON value."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield key
            yield from words(member)
    elif isinstance(value, list):
        for element in value[:50]:
            yield from words(element)
    elif isinstance(value, str):
        yield value


def gather(reader, *patterns):
    folder = corpus / reader
    folder.mkdir(parents=True, exist_ok=True)
    seen = set()
    for path in sorted(path for pattern in patterns for path in tests.glob(pattern)):
        content = path.read_bytes()
        if len(content) > largest:
            continue
        (folder / "-".join(path.relative_to(tests).parts)).write_bytes(content)
        if path.suffix == ".json":
            seen.update(words(json.loads(content)))
    # The keywords, which a fuzzer does not guess.
    lines = [f'"{word}"' for word in sorted(seen) if re.fullmatch(r"[A-Za-z_.]{3,40}", word)]
    (corpus / f"{reader}.dict").write_text("\n".join(lines) + "\n")
    assert any(folder.iterdir()), f"no seeds for {reader}"


gather("safetensors", "*/Fixtures/*.safetensors", "ModelTests/Fixtures/*/model.safetensors")
gather("quantized", "CheckpointTests/Fixtures/quantized/*.safetensors")
gather("gguf", "*/Fixtures/*.gguf", "ModelTests/Fixtures/*/model.gguf")
gather("pytorch", "CheckpointTests/Fixtures/*.bin")
gather("lens", "CheckpointTests/Fixtures/*.pt")
gather("config", "ModelTests/Fixtures/*/config*.json")
gather("tokenizer", "TokenizationTests/Fixtures/[a-z]*.json")
gather("image", "ImagesTests/Fixtures/*.png", "ImagesTests/Fixtures/*.jpg")
