"""Writes Sources/Tokenization/CanonicalTables+Data.swift and CompatibilityTable+Data.swift from Python's copy of the
Unicode Character Database.

Run from the root of the repository.
"""

import unicodedata


def write(type_name, member, documentation, entries):
    lines, line = [], ""
    for entry in entries:
        if len(line) + len(entry) + 1 > 94:
            lines.append(line)
            line = ""
        line += entry + " "
    lines.append(line)
    with open(f"Sources/Tokenization/{type_name}+Data.swift", "w") as file:
        file.write(
            "// Written by Tests/TokenizationTests/make_canonical_tables.py from the Unicode Character\n"
            f"// Database, version {unicodedata.unidata_version}.\n\n"
            f"extension {type_name} {{\n"
            f"  /// {documentation}\n"
            f'  static let {member}: StaticString = """\n'
        )
        for line in lines:
            file.write("    " + line.rstrip() + "\n")
        file.write('    """\n}\n')


canonical = []
for code in range(0x110000):
    fields = unicodedata.decomposition(chr(code)).split()
    if not fields or fields[0].startswith("<"):
        continue
    parts = "".join(chr(int(field, 16)) for field in fields)
    composes = len(parts) == 2 and unicodedata.normalize("NFC", parts) == chr(code)
    spelt = "+".join(f"{ord(part):X}" for part in parts)
    canonical.append(f"{code:X}{'=' if composes else '~'}{spelt}")
write("CanonicalTables", "decompositions", "Every canonical decomposition but the Hangul syllables', which are arithmetic.",
      canonical)  # fmt: skip

# Runs of scalars that stand for a run of others, as the alphabets of mathematics do, are one entry.
runs = []
for code in range(0x110000):
    full = unicodedata.normalize("NFKD", chr(code))
    if full == unicodedata.normalize("NFD", chr(code)):
        continue
    if runs and len(full) == 1 and len(runs[-1][2]) == 1 and runs[-1][1] == code - 1:
        first, last, target = runs[-1]
        if ord(full) - ord(target) == code - first:
            runs[-1] = (first, code, target)
            continue
    runs.append((code, code, full))
compatibility = []
for first, last, target in runs:
    spelt = "+".join(f"{ord(part):X}" for part in target)
    compatibility.append(f"{first:X}={spelt}" if first == last else f"{first:X}-{last:X}-{spelt}")
write("CompatibilityTable", "decompositions", "Every scalar whose compatibility decomposition is not its canonical one.",
      compatibility)  # fmt: skip
