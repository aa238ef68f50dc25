"""Writes Sources/Tokenization/CanonicalTables+Data.swift from Python's copy of the Unicode Character Database.

Run from the root of the repository.
"""

import unicodedata

entries = []
for code in range(0x110000):
    fields = unicodedata.decomposition(chr(code)).split()
    if not fields or fields[0].startswith("<"):
        continue
    parts = "".join(chr(int(field, 16)) for field in fields)
    composes = len(parts) == 2 and unicodedata.normalize("NFC", parts) == chr(code)
    spelt = "+".join(f"{ord(part):X}" for part in parts)
    entries.append(f"{code:X}{'=' if composes else '~'}{spelt}")

lines, line = [], ""
for entry in entries:
    if len(line) + len(entry) + 1 > 94:
        lines.append(line)
        line = ""
    line += entry + " "
lines.append(line)

with open("Sources/Tokenization/CanonicalTables+Data.swift", "w") as file:
    file.write(
        "// Written by Tests/TokenizationTests/make_canonical_tables.py from the Unicode Character\n"
        f"// Database, version {unicodedata.unidata_version}.\n\n"
        "extension CanonicalTables {\n"
        "  /// Every canonical decomposition but the Hangul syllables', which are arithmetic.\n"
        '  static let decompositions: StaticString = """\n'
    )
    for line in lines:
        file.write("    " + line.rstrip() + "\n")
    file.write('    """\n}\n')
