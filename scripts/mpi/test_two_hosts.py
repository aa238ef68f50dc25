"""Two hosts: network namespaces with names of their own, joined by a virtual cable; mpirun reaches the second as it would by ssh.

Root alone can make them, so this runs only if asked for: make test-mpi HOSTS=2. All traffic between the processes is TCP. The
file system is that of this machine in both: what differs on a network file system is not tested.
"""
import contextlib
import os
import shutil
import subprocess

from harness import FIXTURES, Skipped, kill, same, units, when

LLAMA = FIXTURES / "llama"
PROMPTS = [word for i in range(12) for word in ("--token-ids", f"{2 * i},7,{i},5,2")]
MANY = [word for i in range(200) for word in ("--token-ids", f"{i % 60},7,3,{(7 * i) % 60},5,{i % 50}")]
NETWORK = "10.203.77"
# In place of ssh: mpirun gives the host and the words of a shell command.
AGENT = """#!/bin/sh
host=${1##*.}; shift
exec ip netns exec NAME$host unshare --uts sh -c "hostname node$host; $*"
"""


@contextlib.contextmanager
def two_hosts(krylens):
    """The variables and the wrapper with which mpirun runs on the first host and reaches the second."""
    if os.environ.get("HOSTS") != "2":
        raise Skipped("HOSTS=2 runs it")
    if os.geteuid() != 0:
        raise Skipped("only root can make network namespaces")

    def ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)

    name = f"krylens{os.getpid()}-"
    agent = krylens / "agent"
    agent.write_text(AGENT.replace("NAME", name))
    agent.chmod(0o755)
    try:
        for i in "12":
            ip("netns", "add", f"{name}{i}")
        ip("link", "add", "cable1", "netns", f"{name}1", "type", "veth", "peer", "name", "cable2", "netns", f"{name}2")
        for i in "12":
            ip("-n", f"{name}{i}", "addr", "add", f"{NETWORK}.{i}/24", "dev", f"cable{i}")
            ip("-n", f"{name}{i}", "link", "set", "lo", "up")
            ip("-n", f"{name}{i}", "link", "set", f"cable{i}", "up")
        yield {
            "environment": {
                "OMPI_MCA_plm_rsh_agent": str(agent), "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_pml": "ob1",
                "OMPI_MCA_rmaps_base_mapping_policy": "node",
                "OMPI_MCA_btl_tcp_if_include": f"{NETWORK}.0/24", "OMPI_MCA_oob_tcp_if_include": f"{NETWORK}.0/24",
            },
            "launcher": ["ip", "netns", "exec", f"{name}1", "unshare", "--uts", "sh", "-c", 'hostname node1; exec "$@"', "sh"],
            "hosts": f"{NETWORK}.1:2,{NETWORK}.2:2",
        }
    finally:
        for i in "12":
            subprocess.run(["ip", "netns", "del", f"{name}{i}"], check=False)


def test_two_hosts_make_the_same_folders(krylens):
    with two_hosts(krylens) as hosts:
        for name, *command in (("align", "align", "--top", 3), ("triplets", "triplets"), ("lens", "lens", "fit", "--rank", 3)):
            words = [*command, LLAMA, *PROMPTS, "--threads", 1, "--quiet"]
            krylens.run(None, *words, "-o", f"plain {name}").check()
            for ranks in (2, 4):
                krylens.run(ranks, *words, "-o", f"{name} {ranks}", **hosts).check()
                same(krylens / f"plain {name}", krylens / f"{name} {ranks}")
        # The second host does not have the model where the first one has it.
        shutil.copytree(LLAMA, krylens / "model")
        elsewhere = krylens.shell('test "$OMPI_COMM_WORLD_RANK" = 0 || cd /; exec "$@"')
        missing = krylens.run(2, "align", "model", *PROMPTS, "-o", krylens / "run", wrapper=elsewhere, **hosts)
        missing.refused(1, "process 1 on node2: ", "model")
        assert not (krylens / "run").exists()


def test_a_process_killed_on_another_host_ends_all(krylens):
    with two_hosts(krylens) as hosts:
        words = ["align", LLAMA, *MANY, "--threads", 1, "--quiet", "-o", "run"]
        job = krylens.start(2, *words, **hosts)
        when(lambda: len(units(krylens / "run")) > 20, job=job)
        kill(job.ranks()[1])
        finished = job.wait(10)
        assert finished.status != 0 and len(finished.messages) == 1, finished.error
        krylens.run(2, *words, **hosts).check()
        krylens.run(None, *words[:-1], "plain").check()
        same(krylens / "plain", krylens / "run")
