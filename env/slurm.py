"""What `make slurm` checks, on a Slurm of its own with two nodes on this machine: twelve runs as an array, of which one is killed with -9, one
told that its time ends, one cancelled, while a node is drained. Nothing may be lost and nothing computed twice.

It needs root, since slurmd does, and Debian's packages; the machine's own Slurm and munge, where it has them, are left alone.

    env/lab python env/slurm.py SSLKIT
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

os.environ["PATH"] += os.pathsep + "/usr/sbin"
missing = [program for program in ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel") if not shutil.which(program)]
if missing:
    sys.exit(f"no {', '.join(missing)}: apt-get install --no-install-recommends slurmd slurmctld slurm-client munge")
if os.geteuid() != 0:
    sys.exit("slurmd runs tasks as their users, for which it must be root: sudo make slurm")

sslkit_path = os.path.abspath(sys.argv[1])
work = pathlib.Path(tempfile.mkdtemp(prefix="slurm-"))
work.chmod(0o755)
began, daemons, failed = time.time(), [], []
os.environ.setdefault("GOMLX_BACKEND", "go")  # compiles at once; who computes is not what is proved
os.environ.update(SLURM_CONF=str(work / "slurm.conf"), SSLKIT_RUNS=str(work / "runs"))
SMALL = "ablate --preset smoke --train 200 --test 100 --epochs 2 --arch nin --depth 3 --width 6 --seeds 1 --l2 0.01 --vary rate=0.02,0.05,0.1 --vary batch=10,20,50".split()
LIMIT = 900  # seconds, of which two cores need 100


def say(text):
    print(f"{time.time() - began:4.0f} s  {text}", flush=True)


def call(*args):
    done = subprocess.run(list(map(str, args)), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: {done.stdout}{done.stderr}")
    return done.stdout


def sslkit(*args):
    return call(sslkit_path, *args)


def start(*args):
    daemons.append(subprocess.Popen(list(map(str, args)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def begin():
    host, ports = socket.gethostname().split(".")[0], free_ports(3)
    for folder in ("munge", "state", "n1", "n2", "runs"):
        (work / folder).mkdir(mode=0o755)
    key = work / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    (work / "slurm.conf").write_text(f"""
ClusterName=sslkit
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
# What is queued again waits until its old credentials have expired, two minutes where nothing is said.
AuthInfo=socket={work}/munge/socket,cred_expire=5
StateSaveLocation={work}/state
SlurmdSpoolDir={work}/%n
SlurmctldPidFile={work}/ctld.pid
SlurmdPidFile={work}/%n.pid
SlurmctldLogFile={work}/ctld.log
SlurmdLogFile={work}/%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=60 State=UP
""")
    start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={work}/munge/socket", f"--pid-file={work}/munge/pid",
          f"--log-file={work}/munge/log", f"--seed-file={work}/munge/seed")
    until(lambda: (work / "munge/socket").exists(), 30, "munged")
    start("slurmctld", "-D")
    for cpu, node in enumerate(("n1", "n2")):
        start("taskset", "-c", cpu % os.cpu_count(), "slurmd", "-D", "-N", node)
    until(lambda: call("sinfo", "-h", "-N", "-o", "%T").split() == ["idle", "idle"], 60, "two idle nodes")


def until(what, seconds, name):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if what():
                return
        except RuntimeError:  # the controller is not up yet
            pass
        time.sleep(0.3)
    raise RuntimeError(f"no {name} after {seconds} s")


def one_training(plan, logs, but):
    """A task that has taken its first step: key, process, Slurm's name of the task."""
    found = []

    def look():
        for at in json.loads(sslkit("status", plan, "--json")):
            by = re.fullmatch(r"process (\d+) on \S+, job (\S+)", at.get("by", ""))
            if by and at["key"] not in but and " step 1/" in (logs / f"{at['key']}.log").read_text():
                found.append((at["key"], int(by[1]), by[2]))
        return found

    until(look, LIMIT, "task that trains")
    return found[0]


def states(plan):
    of = [at["state"] for at in json.loads(sslkit("status", plan, "--json"))]
    return {state: of.count(state) for state in sorted(set(of))}


def check(what, ok):
    say(f"{'ok   ' if ok else 'WRONG'} {what}")
    if not ok:
        failed.append(what)


def prove():
    plan, logs = work / "plan.jsonl", work / "plan-logs"
    sslkit("plan", *SMALL, "--out", plan)
    keys = [json.loads(line)["key"] for line in plan.read_text().splitlines()]
    check(f"{len(keys)} tasks planned", len(keys) == 12)
    job = json.loads(sslkit("submit", "--slurm", plan, "--json"))["job"]
    say(f"job {job} submitted")

    killed, process, task = one_training(plan, logs, ())
    os.kill(process, 9)
    say(f"task {task}, run {killed}: process {process} killed with -9")
    late, _, task = one_training(plan, logs, (killed,))
    tell = subprocess.Popen(["scancel", "--batch", "--signal=USR1", task], stderr=subprocess.DEVNULL)
    until(lambda: "and is queued again" in (logs / f"{late}.log").read_text(), 120, f"clean stop of {late}")
    tell.kill()  # 22.05 delivers the signal, says that it cannot, and tries for a minute
    tell.wait()
    say(f"task {task}, run {late}: told that its time ends")
    cancelled, _, task = one_training(plan, logs, (killed, late))
    call("scancel", task)
    say(f"task {task}, run {cancelled}: cancelled")
    until(lambda: states(plan).get("done", 0) >= 5, LIMIT, "five tasks done")
    call("scontrol", "update", "nodename=n2", "state=drain", "reason=proof")
    say(f"n2 drained, tasks are {states(plan)}")
    until(lambda: not call("squeue", "-h"), LIMIT, "empty queue")
    say(f"the queue is empty, tasks are {states(plan)}, nodes {call('sinfo', '-h', '-N', '-o', '%N %T').split()}")
    check("all are done but the cancelled one", states(plan) == {"done": 11, "waiting": 1})

    again = json.loads(sslkit("submit", "--slurm", plan, "--json"))
    check(f"submitted again, {again['tasks']} task is left", again["tasks"] == 1)
    until(lambda: not call("squeue", "-h"), LIMIT, "empty queue")
    check(f"tasks are {states(plan)}", states(plan) == {"done": 12})
    check("a third time nothing is left", json.loads(sslkit("submit", "--slurm", plan, "--json"))["tasks"] == 0)

    starts, finished, nodes = {}, {}, set()
    for key in keys:
        text = (logs / f"{key}.log").read_text()
        starts[key] = len(re.findall(r"^--- .*, start \d+$", text, re.M))
        finished[key] = len(re.findall(rf"^{key[:8]} ", text, re.M))  # the line of 'sslkit work' for what it has done
        nodes |= set(re.findall(r" on (n\d), start", text))
    say(f"{sum(starts.values())} starts of 12 tasks on {', '.join(sorted(nodes))}; started twice: {[k for k in keys if starts[k] == 2]}")
    check("the three that were stopped were started twice, all others once", all(n == 1 + (k in (killed, late, cancelled)) for k, n in starts.items()))
    check("each was finished by one start", all(n == 1 for n in finished.values()))
    for key, what in ((killed, "ended with 137, and is queued again"), (late, "and is queued again"), (cancelled, "interrupted")):
        check(f"the log of {key} says: {what}", what in (logs / f"{key}.log").read_text())
    records = [json.loads(path.read_text()) for path in (work / "runs").glob("*/record.json")]
    check(f"{len(records)} records, all of them done", len(records) == 12 and all(r["done"] for r in records))

    before = {path: path.stat().st_mtime_ns for path in (work / "runs").glob("*/*.json")}
    done = subprocess.run([sslkit_path, *SMALL], capture_output=True, text=True)
    after = {path: path.stat().st_mtime_ns for path in (work / "runs").glob("*/*.json")}
    check("the study reads them and computes nothing", done.returncode == 0 and before == after and "step " not in done.stderr)


try:
    begin()
    say(f"{call('slurmctld', '-V').strip()}, two nodes are up")
    prove()
except (Exception, KeyboardInterrupt) as error:
    failed.append(str(error) or "interrupted")
finally:
    subprocess.run(["scancel", "--user=root"], capture_output=True)
    for _ in range(60):  # a daemon that goes first leaves its tasks behind
        if not subprocess.run(["squeue", "-h"], capture_output=True).stdout:
            break
        time.sleep(0.5)
    for daemon in reversed(daemons):
        daemon.terminate()
    for daemon in reversed(daemons):
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            daemon.kill()
if failed:
    sys.exit(f"failed: {'; '.join(failed)}; the files are in {work}")
shutil.rmtree(work)
