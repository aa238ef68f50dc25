#!/usr/bin/env python3
"""Fails if a phrase that CONTRIBUTING.md bans is in a source file or a page, and names what to say instead.

The phrases are the backquoted texts in the first column of the table under "## Plain words" in CONTRIBUTING.md. They match
whole words in any case, across line breaks, comment markers and joined string literals. `*` stands for any one word; phrases that begin with "is no"
do not match after "there".
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACES = [
    "Sources", "Tests", "docs", "scripts", "benchmarks", "examples", "python", "fuzz", "README.md", "CHANGELOG.md",
    "CONTRIBUTING.md", "Makefile", "CITATION.cff",
]
SUFFIXES = {
    ".c", ".cff", ".css", ".gp", ".h", ".js", ".md", ".py", ".R", ".sh", ".swift", ".toml", ".yml",
}
HEADING = "## Plain words"
# What may be between two words of a phrase: space, with a comment mark on the next line, or the seam of two literals.
GAP = r'(?:\s+(?:(?:///?|\#|\*|>|\\)\s+)?|\s*"\s*\+?\s*f?"\s*)'


def table(page: str) -> tuple[range, list[tuple[str, str]]]:
    """The lines of the table, and each phrase with its remedy."""
    lines = page.split("\n")
    start = lines.index(HEADING)
    first = next(i for i in range(start, len(lines)) if lines[i].startswith("|"))
    last = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    rows = [line.strip("|").split("|") for line in lines[first + 2 : last]]
    phrases = [(phrase, remedy.strip()) for cell, remedy in rows for phrase in re.findall(r"`([^`]+)`", cell)]
    return range(first, last), phrases


def pattern(phrase: str) -> re.Pattern[str]:
    words = [r"[^\W\d_]+" if word == "*" else re.escape(word) for word in phrase.split()]
    # After "there" such a phrase is ordinary English.
    before = r"(?<!there\s)" if phrase.startswith("is no ") else ""
    return re.compile(before + r"(?<![\w-])" + GAP.join(words) + r"(?![\w-])", re.IGNORECASE)


def files() -> list[pathlib.Path]:
    """The files of the repository in `PLACES`, without fixtures; of an unpacked archive all that are there."""
    git = subprocess.run(["git", "ls-files", "-z", "--", *PLACES], cwd=ROOT, capture_output=True, text=True)
    if git.returncode == 0:
        found = [ROOT / name for name in git.stdout.split("\0") if name]
    else:
        found = [p for place in PLACES for p in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))]
    return [
        path
        for path in found
        if path.is_file()
        and (path.suffix in SUFFIXES or path.name == "Makefile")
        and not {"Fixtures", "fixtures"} & set(path.relative_to(ROOT).parts[:-1])
    ]


def main() -> int:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed, phrases = table(page)
    if not phrases:
        print("CONTRIBUTING.md: no phrases in the table", file=sys.stderr)
        return 1
    banned = [(phrase, remedy, pattern(phrase)) for phrase, remedy in phrases]
    status = 0
    for path in files():
        text = path.read_text(encoding="utf-8")
        if path.name == "CONTRIBUTING.md":  # the table itself
            text = "\n".join("" if i in listed else line for i, line in enumerate(text.split("\n")))
        for phrase, remedy, regex in banned:
            for match in regex.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                print(f'{path.relative_to(ROOT)}:{line}: "{phrase}"; say: {remedy}', file=sys.stderr)
                status = 1
    return status


sys.exit(main())
