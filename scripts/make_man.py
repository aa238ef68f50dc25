#!/usr/bin/env python3
"""Writes the manual pages, one per command, from the command's own help.

    make_man.py KRYLENS FOLDER
"""
import json
import pathlib
import subprocess
import sys

# What no help says, since it is the same for every command.
EXIT_STATUS = [
    ("0", "The work is done."),
    ("1", "The work failed, or its result could not be written."),
    ("64", "Wrong usage: an unknown option, or a value that cannot be used."),
    ("129, 130, 143", "The terminal is gone, Ctrl-C was pressed, or SIGTERM was received."),
]


def escaped(text):
    """Text as roff reads it back: its own escape characters, and no line that begins like a request."""
    for character, escape in (("\\", "\\e"), ("-", "\\-"), ("~", "\\(ti"), ("^", "\\(ha"), ("`", "\\(ga")):
        text = text.replace(character, escape)
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.splitlines())


def paragraphs(text):
    """A discussion: paragraphs between empty lines; an indented line keeps its place."""
    written = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.strip("\n").split("\n")
        if any(line.startswith(" ") for line in lines):
            written += [".PP", ".nf", *map(escaped, lines), ".fi"]
        else:
            written += [".PP", *map(escaped, lines)]
    return written


def spelled(name):
    return ("--" if name["kind"] == "long" else "-") + name["name"]


def explanation(argument):
    """The text beside an option, with its values and default as the help has them."""
    notes = []
    if argument.get("allValues"):
        notes.append("values: " + ", ".join(argument["allValues"]))
    if argument.get("defaultValue"):
        notes.append("default: " + argument["defaultValue"])
    return " ".join([argument.get("abstract", "")] + (["(" + "; ".join(notes) + ")"] if notes else [])).strip()


def heading(argument):
    value = "\\fI" + escaped(argument.get("valueName", "")) + "\\fR"
    if argument["kind"] == "positional":
        return value
    # The short name first, as in the help.
    names = sorted(argument["names"], key=lambda name: name["kind"] == "long")
    text = ", ".join("\\fB" + escaped(spelled(name)) + "\\fR" for name in names)
    return text if argument["kind"] == "flag" else text + " " + value


def synopsis(command, arguments):
    words = ["\\fB" + escaped(command) + "\\fR"]
    if any(argument["kind"] != "positional" for argument in arguments):
        words.append("[\\fIoptions\\fR]")
    for argument in arguments:
        if argument["kind"] == "positional":
            word = heading(argument) + (" ..." if argument["isRepeating"] else "")
            words.append("[" + word + "]" if argument["isOptional"] else word)
    return " ".join(words)


def listed(entries):
    lines = []
    for name, text in entries:
        lines += [".TP", name, escaped(text) or "\\&"]
    return lines


def page(names, command, version):
    """One command's page; `names` are the words that call it."""
    title = "-".join(names)
    arguments = [argument for argument in command.get("arguments", []) if argument["shouldDisplay"]]
    subcommands = [c for c in command.get("subcommands", []) if c["shouldDisplay"] and c["commandName"] != "help"]
    usage = " ".join(names)
    lines = [
        f'.TH {title.upper()} 1 "" "Krylens {version}" "User Commands"',
        ".ad l", ".nh", ".SH NAME", f"{escaped(title)} \\- {escaped(command['abstract'].rstrip('.'))}",
        ".SH SYNOPSIS",
    ]
    if subcommands:
        lines += ["\\fB" + escaped(usage) + "\\fR \\fIcommand\\fR ..."]
    else:
        lines += [synopsis(usage, arguments)]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", *paragraphs(command["discussion"])[1:]]
    for section, kinds in (("ARGUMENTS", ("positional",)), ("OPTIONS", ("option", "flag"))):
        entries = [(heading(a), explanation(a)) for a in arguments if a["kind"] in kinds]
        if entries:
            lines += [f".SH {section}", *listed(entries)]
    if subcommands:
        lines += [".SH COMMANDS"]
        lines += listed(("\\fB" + escaped(c["commandName"]) + "\\fR", c["abstract"]) for c in subcommands)
    if len(names) == 1:
        lines += [".SH EXIT STATUS", *listed(EXIT_STATUS)]
    related = ["-".join(names[:-1])] if len(names) > 1 else []
    related += [title + "-" + c["commandName"] for c in subcommands]
    lines += [".SH SEE ALSO", ",\n".join(f"\\fB{escaped(name)}\\fR(1)" for name in related)]
    return title + ".1", "\n".join(lines) + "\n", [page([*names, c["commandName"]], c, version) for c in subcommands]


def write(written, folder):
    name, text, subpages = written
    (folder / name).write_text(text, encoding="utf-8")
    return 1 + sum(write(subpage, folder) for subpage in subpages)


def main(krylens, folder):
    def output(option):
        return subprocess.run([krylens, option], check=True, capture_output=True, text=True).stdout

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("krylens*.1"):
        old.unlink()
    command = json.loads(output("--experimental-dump-help"))["command"]
    pages = write(page([command["commandName"]], command, output("--version").strip()), folder)
    print(f"{pages} manual pages in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
