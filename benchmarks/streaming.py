#!/usr/bin/env python3
"""A model larger than the memory: `krylens align` on a checkpoint of Llama-3-8B's shape (bf16, random weights, 32 blocks are 16 GB)
in a control group with little memory, of two versions of the command in turn.

    benchmarks/streaming.sh [--base BASE] [--blocks N] [--limit BYTES] [--disk MB/s …] [--rounds N] [--top K] [FOLDER]

FOLDER holds the model (default: one under $TMPDIR); it is written if it is empty or missing, and stays. BASE is a built command, or a
revision, which is built first; without it only KRYLENS runs (default: .build/release/krylens). --disk limits what a run reads from
its disk per second, so that the result does not depend on a fast one; 0 is no limit, and several are measured one after another.

Before each run the model's pages are dropped from the system's cache. In a round each version runs once, in an order that alternates;
of each the shortest time counts. Printed of each run: its time; the seconds of it in which the work waited for weights, as the
command records it, and in which the system says that all of the process waited for the disk (io.pressure); seconds of processor; bytes
read from the disk; and the peak of the group's memory. Fails if the peak exceeds the limit, or KRYLENS needs more than 0.8 of BASE's
time.

Needs root and the memory controller of control groups, version 1 or 2, and for --disk the one of block devices. The defaults can also
be given as BASE, LIMIT and TOP in the environment. Only the standard library is needed."""
import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import suite
import versus

GROUPS = "/sys/fs/cgroup"
MOST = 0.8
# A block of the shape, and what is outside all blocks: the embedding and the head.
BLOCK_BYTES = 2 * (4096 * 4096 * 2 + 4096 * 1024 * 2 + 3 * 4096 * 14336)
OTHER_BYTES = 2 * 2 * 128256 * 4096


def written(folder, blocks):
    """Writes the model if it is not there. Says how much disk that takes, and refuses if there is less."""
    if os.path.exists(os.path.join(folder, "config.json")):
        with open(os.path.join(folder, "config.json")) as file:
            found = json.load(file).get("num_hidden_layers")
        if found != blocks:
            sys.exit(f"{folder}: has {found} blocks; give --blocks {found}, or another folder")
        return
    needed = blocks * BLOCK_BYTES + OTHER_BYTES
    there = os.path.abspath(folder)
    while not os.path.exists(there):
        there = os.path.dirname(there)
    free = shutil.disk_usage(there).free
    if free < needed + (1 << 30):
        sys.exit(f"{folder}: the model takes {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
                 "give a folder on another disk, or fewer --blocks")
    print(f"writing {folder}, {needed / 1e9:.1f} GB", file=sys.stderr)
    subprocess.run([suite.KRYLENS, "synthesize", "--like", "llama-3-8b", "--layers", str(blocks), folder], check=True,
                   stdout=subprocess.DEVNULL)


def drop(folder):
    """Drops the pages of a folder's files from the system's cache: what is read again counts for the group that reads it."""
    for name in os.listdir(folder):
        file = os.open(os.path.join(folder, name), os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def disk_of(path):
    """The whole disk that holds a file, as MAJOR:MINOR; the controllers know no partitions."""
    device = os.stat(path).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    block = os.path.realpath(f"/sys/dev/block/{name}")
    if not os.path.exists(block):
        sys.exit(f"{path}: not on a disk of its own but on device {name}, whose reads cannot be limited; "
                 "give a folder on a disk, or no --disk")
    if os.path.exists(os.path.join(block, "partition")):
        block = os.path.dirname(block)
    with open(os.path.join(block, "dev")) as file:
        return file.read().strip()


class ControlGroup:
    """A group with little memory and perhaps a slow disk, in whichever hierarchies the system has; removed when it is left."""

    def __init__(self, limit, disk, rate):
        self.name = f"krylens-{os.getpid()}"
        self.unified = os.path.exists(f"{GROUPS}/cgroup.controllers")
        self.folders = []
        try:
            if self.unified:
                # Controllers are handed down from the root; where that is forbidden, the files below are missing.
                for controller in ["+memory"] + ["+io"] * bool(rate):
                    self.write(f"{GROUPS}/cgroup.subtree_control", controller, optional=True)
                self.memory = self.pressure = self.make(GROUPS)
                self.write(f"{self.memory}/memory.max", limit)
                self.write(f"{self.memory}/memory.swap.max", 0, optional=True)
                if rate:
                    self.write(f"{self.memory}/io.max", f"{disk} rbps={rate}")
            elif os.path.exists(f"{GROUPS}/memory"):
                self.memory = self.make(f"{GROUPS}/memory")
                self.write(f"{self.memory}/memory.limit_in_bytes", limit)
                if rate:
                    self.write(self.make(f"{GROUPS}/blkio") + "/blkio.throttle.read_bps_device", f"{disk} {rate}")
                # A hierarchy of version 2 without controllers may be mounted beside them: it knows how long processes wait.
                second = f"{GROUPS}/unified"
                self.pressure = self.make(second) if os.path.exists(second) else ""
            else:
                sys.exit(f"{GROUPS}: no memory controller of control groups, version 1 or 2, is mounted here")
        except BaseException:
            self.remove()
            raise

    def make(self, parent):
        folder = f"{parent}/{self.name}"
        try:
            os.mkdir(folder)
        except OSError as error:
            sys.exit(f"{folder}: cannot make a control group ({error.strerror}); run as root, where control groups can be changed")
        self.folders.append(folder)
        return folder

    def write(self, path, value, optional=False):
        try:
            with open(path, "w") as file:
                file.write(str(value))
        except OSError as error:
            if not optional:
                sys.exit(f"{path}: cannot be set to {value} ({error.strerror}); this control group may not limit that")

    def enter(self):
        for folder in self.folders:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))

    @property
    def peak(self):
        """The most memory that the group took, in bytes."""
        name = "memory.peak" if self.unified else "memory.max_usage_in_bytes"
        try:
            with open(f"{self.memory}/{name}") as file:
                return int(file.read())
        except FileNotFoundError:
            sys.exit(f"{self.memory}/{name}: missing; Linux has it since 5.19")

    @property
    def stalled(self):
        """The seconds in which all of the group's processes waited for the disk; None if the system does not say."""
        try:
            with open(f"{self.pressure}/io.pressure") as file:
                full = [line for line in file if line.startswith("full")]
            return int(full[0].split("total=")[1]) / 1e6
        except (OSError, IndexError):
            return None

    def remove(self):
        for folder in self.folders:
            try:
                os.rmdir(folder)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def bytes_read():
    """What this process and its finished children have read from disks."""
    with open("/proc/self/io") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("read_bytes"))


def run(args, command, rate):
    """One run on a cold disk."""
    output = tempfile.mkdtemp(prefix="krylens-streaming-")
    words = [command, "align", args.folder, "--token-ids", "1,2,3,4,5,6,7,8,9,10", "--top", str(args.top), "--quiet",
             "-o", f"{output}/run"]
    drop(args.folder)
    try:
        with ControlGroup(args.limit, args.device, rate) as group:
            before, used, start = bytes_read(), resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            code = subprocess.run(words, preexec_fn=group.enter).returncode
            seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            found = {
                "seconds": seconds, "stalled": group.stalled, "peak": group.peak, "read": bytes_read() - before,
                "processor": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime}
        if code:
            sys.exit(f"{command}: ended with {code} in a group of {args.limit / 1e9:.2f} GB"
                     + (", which it needed more than" if code == -9 else ""))
        with open(f"{output}/run/result.json") as file:
            record = json.load(file)
    finally:
        shutil.rmtree(output)
    phases = record["seconds"]
    found.update(solve=phases["solve"], coupling=phases["coupling"], reading=phases.get("reading"),
                 private=record.get("peak_private_bytes"))
    return found


def cell(value, scale=1.0, digits=1):
    return "-" if value is None else f"{value / scale:.{digits}f}"


def measure(args, commands, rate):
    """The runs of all commands at one speed of the disk, as rows; and whether they hold what is promised."""
    best, rows, failures = [None] * len(commands), [], []
    for r in range(args.rounds):
        order = list(range(len(commands)))
        for i in order if r % 2 == 0 else reversed(order):
            found = run(args, commands[i], rate)
            name = ("base", "present")[i] if len(commands) > 1 else "present"
            rows.append({
                "disk, MB/s": str(rate // 10**6) if rate else "as it is", "version": name,
                "time, s": cell(found["seconds"]), "solve": cell(found["solve"]), "coupling": cell(found["coupling"]),
                "waited": cell(found["reading"]), "stalled": cell(found["stalled"]), "processor": cell(found["processor"]),
                "read, GB": cell(found["read"], 1e9, 2), "peak, GB": cell(found["peak"], 1e9, 3),
                "private, MB": cell(found["private"], 1e6, 0)})
            print(" ".join(f"{k} {v};" for k, v in rows[-1].items()), file=sys.stderr)
            if found["peak"] > args.limit:
                failures.append(f"{commands[i]}: the group's peak, {found['peak']} bytes, exceeds {args.limit}")
            if best[i] is None or found["seconds"] < best[i]["seconds"]:
                best[i] = found
    if len(commands) > 1:
        old, new = best
        ratio = new["seconds"] / old["seconds"]
        cells = {k: f"{new[k] / old[k]:.2f}" for k in ("solve", "coupling", "processor", "read", "stalled") if old[k] and new[k]}
        rows.append({"disk, MB/s": rows[0]["disk, MB/s"], "version": "ratio", "time, s": f"{ratio:.2f}", "solve": cells.get("solve"),
                     "coupling": cells.get("coupling"), "stalled": cells.get("stalled", ""),
                     "processor": cells.get("processor"), "read, GB": cells.get("read")})
        if ratio > MOST:
            failures.append(f"{ratio:.2f} of the time of {commands[0]}, and at most {MOST} is promised")
    return rows, failures


def main():
    environment = os.environ.get
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--base", default=environment("BASE"))
    parser.add_argument("--blocks", type=int, default=32)
    parser.add_argument("--limit", type=int, default=int(environment("LIMIT", 2 * 10**9)))
    parser.add_argument("--disk", type=int, nargs="*", default=[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--top", type=int, default=int(environment("TOP", 10)))
    args = parser.parse_intermixed_args()
    args.folder = args.folder or os.path.join(tempfile.gettempdir(), f"krylens-llama-3-8b-{args.blocks}")
    if not os.access(suite.KRYLENS, os.X_OK):
        sys.exit(f"{suite.KRYLENS}: no such command; run `make build` first, or give another as KRYLENS")
    written(args.folder, args.blocks)
    args.device = disk_of(args.folder) if any(args.disk) else None
    commands = ([versus.built(args.base)] if args.base else []) + [suite.KRYLENS]
    rows, failures = [], []
    for rate in args.disk:
        part, failed = measure(args, commands, rate * 10**6)
        rows, failures = rows + part, failures + failed
    env = suite.environment()
    twice = (2 * args.blocks * BLOCK_BYTES + OTHER_BYTES // 2) / 1e9
    print(f"{env['cpu']}, {env['cores']} cores; {args.blocks} blocks of Llama-3-8B's shape, bf16, on a cold disk; "
          f"a group of {args.limit / 1e9:.2f} GB; {', '.join(commands)}\n"
          f"Every block twice and the head once are {twice:.2f} GB.\n")
    suite.table(rows, list(rows[0]))
    for failure in failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
