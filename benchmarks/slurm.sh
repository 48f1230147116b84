#!/bin/bash
# A sweep on a real SLURM: 13 ablation rows of the embedded world as one job array, one of them killed
# and requeued in the middle, and the table complete at the end. Run by hand, as root, on a Debian
# machine that may be changed: it installs slurm-wlm and munge and sets up a cluster of one node.
#
#     sudo PYTHON=.venv/bin/python benchmarks/slurm.sh          # -> benchmarks/results/slurm-DATE.json
#
# STEPS (5) of each run and LIMIT (100) held-out problems keep it short: what is shown is that no row
# is lost or trained twice, not what the rows come to. `taskset -c 1` in front gives SLURM one core.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=$(realpath -s "${PYTHON:-.venv/bin/python}")
export STEPS=${STEPS:-5} LIMIT=${LIMIT:-100} OUT=${OUT:-outputs/slurm-check}

command -v slurmctld munged >/dev/null ||
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge

STATE=$(mktemp -d /tmp/slurm-check.XXXXXX)
NODE=$(hostname -s)
export SLURM_CONF=$STATE/slurm.conf
mkdir -p "$STATE/ctld" "$STATE/d"
cat >"$SLURM_CONF" <<CONF
ClusterName=check
SlurmctldHost=$NODE(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=$STATE/ctld
SlurmdSpoolDir=$STATE/d
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=requeue_delay=5
NodeName=$NODE NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF

started=()
stop() {
    scancel --user=root 2>/dev/null || true
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do  # munged last: the others need it to end
        kill "${started[i]}" 2>/dev/null || true
        wait "${started[i]}" 2>/dev/null || true
    done
    rm -rf "$STATE"
}
trap stop EXIT

mkdir -p /run/munge && chown munge: /run/munge
[ -e /etc/munge/munge.key ] || runuser -u munge -- mungekey --create --keyfile=/etc/munge/munge.key
if ! munge -n >/dev/null 2>&1; then
    runuser -u munge -- munged --foreground &
    started+=($!)
fi
until munge -n >/dev/null 2>&1; do sleep 0.5; done
slurmctld -D -c &
started+=($!)
slurmd -D -N "$NODE" &
started+=($!)
until [ "$(sinfo --noheader --format=%T)" = idle ]; do sleep 1; done
sinfo

"$PYTHON" - <<'CHECK'
import datetime, json, os, shutil, subprocess, threading, time
from pathlib import Path

from onerl import grids
from onerl.recipe import Recipe
from onerl.runs import Run, git_commit, hardware
from onerl.sweep import sweep

ROW = "row 7"  # killed and requeued
steps, limit, out = int(os.environ["STEPS"]), int(os.environ["LIMIT"]), Path(os.environ["OUT"])
base = Recipe.load("tiny", steps=steps, save_every=1)
recipes = grids.recipes("ablation", base, seeds=[0], full=True)
folder = out / recipes[ROW, 0].hash()
shutil.rmtree(out, ignore_errors=True)
seen = {}


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def requeue():
    """Once the row has a second checkpoint: kill its job in the middle and queue it again."""
    while len(Run(folder).checkpoints) < 4:
        time.sleep(0.2)
    array = ask("squeue", "--noheader", "--array", "--format=%F").split()[0]
    seen["job"] = f"{array}_{[arm for arm, _ in recipes].index(ROW)}"
    seen["first rows"] = (folder / "metrics.jsonl").read_text().splitlines()[:2]
    print(ask("squeue", "--array"), flush=True)
    ask("scontrol", "requeue", seen["job"])
    print("requeued", seen["job"], "after", len(Run(folder).checkpoints) - 1, "steps", flush=True)


threading.Thread(target=requeue, daemon=True).start()
started = time.time()
grid = sweep(recipes, backend="slurm", out=out, limit=limit, slurm={"timeout_min": 60})
table = grid.table().round(1)
print(table.to_string())

log = next((out / "slurm").glob(f"{seen['job']}*_log.out")).read_text()
rows = (folder / "metrics.jsonl").read_text().splitlines()
checks = {
    "all 13 rows are in the table": len(table) == 13 and not grid.missing,
    "one job array": len({p.name.split("_")[0] for p in (out / "slurm").glob("*_log.out")}) == 1,
    "the requeued job started twice": log.count("Starting with JobEnvironment") == 2,
    "each of its steps is there once": [json.loads(r)["step"] for r in rows]
    == list(range(1, steps + 1)),
    "steps before the kill were not trained again": rows[:2] == seen["first rows"],
}
result = {
    "date": datetime.date.today().isoformat(),
    "slurm": ask("sinfo", "--version").strip(),
    "commit": (git_commit() or {}).get("commit"),
    "hardware": hardware(),
    "steps": steps,
    "problems": limit,
    "seconds": round(time.time() - started),
    "requeued": {"arm": ROW, "job": seen["job"]},
    "checks": checks,
    "accuracy": table["mean"].to_dict(),
}
file = Path("benchmarks/results") / f"slurm-{result['date']}.json"
file.write_text(json.dumps(result, indent=1) + "\n")
print(json.dumps(checks, indent=1))
print(file)
assert all(checks.values()), "not all checks hold"
CHECK
