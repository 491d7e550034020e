#!/usr/bin/env python3
"""The story of two orgs, told with real processes and the public command line.

Each step prints the commands that it runs and what they answer, and then checks that what was told
is so, by asking the API until it holds or a deadline has passed. The first thing that is not as
told ends the story with the tails of all logs and exit code 1. Whatever was started is stopped, by
its own process id, however the story ends.
"""

import fcntl
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("TIELINE_DEMO_DIR", ROOT / ".demo")).resolve()
STORY = Path("deploy/demo")
DEADLINE_S = 30
LOG_TAIL_LINES = 25


class NotAsTold(Exception):
    """Something did not happen, or not in time."""


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n== {text}")


def near(path):
    """A path as a person would write it in the root of the project."""
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def free_ports(count):
    """Ports of the loopback that nobody uses: held together, so that they differ."""
    sockets = [socket.socket() for _ in range(count)]
    for held in sockets:
        held.bind(("127.0.0.1", 0))
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def until(what, condition):
    """Waits until `condition` gives something, and gives that."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        stopped = [name for name, process in RUNNING if process.poll() is not None]
        if stopped:
            raise NotAsTold(f"{', '.join(stopped)} ended by itself")
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise NotAsTold(f"within {DEADLINE_S} s it did not happen that {what}")


def expect(what, is_so):
    if not is_so:
        raise NotAsTold(f"it is not so that {what}")
    say(f"   ✓ {what}")


RUNNING = []


def start(name, command):
    """Starts a process of its own group: Ctrl-C is for the story, which stops the others in turn."""
    log = open(HOME / f"{name}.log", "wb")
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    RUNNING.append((name, process))


def stop_all():
    for _, process in reversed(RUNNING):
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    RUNNING.clear()


class Org:
    """One side of the story: its data directory, and the command line with it."""

    def __init__(self, name, binary, port):
        self.name, self.binary, self.port = name, binary, port
        self.data = near(HOME) / name
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("TIELINE")}
        self.environment["TIELINE_DATA"] = str(self.data)

    def run(self, arguments):
        command = [self.binary, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def tell(self, *arguments, code=0, shown=None):
        """Runs a command as a person would, and shows it with all that it says."""
        say(f"\n{self.name}$ tieline {shown or shlex.join(map(str, arguments))}")
        done = self.run(arguments)
        for line in (done.stdout + done.stderr).splitlines():
            say(f"   {line}".rstrip())
        if done.returncode != code:
            raise NotAsTold(f"the command ended with exit code {done.returncode} instead of {code}")
        return done.stdout.strip()

    def ask(self, *arguments):
        """Runs a command for the story itself: its JSON, or nothing if it fails."""
        done = self.run([*arguments, "--json"])
        return json.loads(done.stdout) if done.returncode == 0 else None

    def connection(self, partner):
        known = self.ask("connection", "list") or {"connections": []}
        return next((c for c in known["connections"] if c["partner"] == partner.name), None)

    def leads(self, **fields):
        conditions = [word for key, value in fields.items() for word in ("--where", f"{key}={value}")]
        found = self.ask("record", "list", "Lead", "--all", *conditions)
        return found["records"] if found else []

    def lead(self, **fields):
        found = self.leads(**fields)
        return found[0] if len(found) == 1 else None


def build():
    given = os.environ.get("TIELINE_BIN")
    if given:
        return str(Path(given).resolve())
    say("Building tieline (the first time takes some minutes) …")
    subprocess.run(["cargo", "build", "--release", "--quiet", "-p", "tieline"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "release" / "tieline")


def two_orgs(binary):
    title("1. Two orgs, each with its own data directory and keys, and a broker between them")
    broker_port, *ports = free_ports(3)
    broker = f"127.0.0.1:{broker_port}"
    acme, globex = (Org(name, binary, port) for name, port in zip(("acme", "globex"), ports))
    for org, admin in ((acme, "ann"), (globex, "bob")):
        org.tell("init", "--org", org.name, "--admin", admin, "--broker", broker, "--listen", f"127.0.0.1:{org.port}")
    keys = [word for org in (acme, globex) for word in ("--org-keys", org.data / "keys")]
    arguments = ["broker", "config", *keys, "--listen", broker, "--store-dir", near(HOME) / "nats"]
    say(f"\n$ tieline {shlex.join(map(str, arguments))} > {near(HOME)}/nats.conf")
    written = acme.run(arguments)
    (HOME / "nats.conf").write_text(written.stdout)
    expect("the broker has two accounts for each org, and one between them", written.stdout.count("nkey") >= 4)

    server = subprocess.run(["deploy/nats-server.sh"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    say(f"\n$ nats-server -c {near(HOME)}/nats.conf &\nacme$ tieline serve &\nglobex$ tieline serve &")
    start("nats", [server, "-c", str(HOME / "nats.conf")])
    for org in (acme, globex):
        start(org.name, [binary, "serve", "--data", str(org.data)])
    for org in (acme, globex):
        until(f"{org.name} serves and has the broker", lambda: (org.ask("status") or {}).get("broker", {}).get("connected"))
    expect("both daemons serve and are connected to the broker", True)
    return acme, globex


def connect(acme, globex):
    title("2. Acme invites Globex, and Globex accepts")
    url = acme.tell("connection", "invite", "--label", "Globex sales", "--expires", "1d")
    shown = "tieline://…"
    globex.tell("connection", "inspect", url, shown=f"connection inspect {shown}")
    globex.tell("connection", "accept", url, "--label", "Acme leads", shown=f"connection accept {shown}")
    for org, partner in ((acme, globex), (globex, acme)):
        until("the connection is active", lambda: (org.connection(partner) or {}).get("status") == "active")
    acme.tell("connection", "list")
    expect("the connection is active on both sides", True)


def agree_on_fields(acme, globex):
    title("3. Acme publishes fields of its leads; Globex takes them into its own words")
    acme.tell(
        "publish", "set", "globex", "Lead",
        "--field", "FirstName,LastName,Company,Title,Email,Phone,Rating,Industry,Status,Description",
    )
    globex.tell("object", "apply", STORY / "globex-lead.toml")
    until("Globex knows what Acme publishes", lambda: globex.ask("connection", "show", "acme")["catalogue"])
    globex.tell(
        "subscribe", "set", "acme", "Lead", "--all",
        "--field", "Rating=Priority__c",
        "--picklist", "Priority__c:Hot=Urgent,Warm=Normal,Cold=Later", "--unmapped", "reject",
    )
    say("\n   And back: Acme gets what Globex changes of these, the priority as its own rating.")
    globex.tell("publish", "set", "acme", "Lead", "--field", "LastName,Company,Status,Phone,Priority__c")
    until("Acme knows what Globex publishes", lambda: acme.ask("connection", "show", "globex")["catalogue"])
    acme.tell(
        "subscribe", "set", "globex", "Lead",
        "--field", "LastName,Company,Status,Phone,Priority__c=Rating",
        "--picklist", "Rating:Urgent=Hot,Normal=Warm,Later=Cold",
    )
    acme.tell("connection", "show", "globex")
    taken = lambda org, partner: (org.ask("connection", "show", partner.name) or {}).get("taken")
    until("each side knows what the other takes", lambda: taken(acme, globex) and taken(globex, acme))
    expect("each side knows what the other takes", True)


def import_leads(acme):
    title("4. Acme imports its leads; one row of the file is broken")
    arguments = ["record", "import", "Lead", STORY / "leads.csv", "--errors", near(HOME) / "refused.csv"]
    acme.tell(*arguments, code=3)
    expect("24 leads are there and the broken row is not", len(acme.leads()) == 24)
    refused = (HOME / "refused.csv").read_text()
    expect("the broken row waits in refused.csv with its line and reason", "Lindqvist" in refused and "\n15,it has 10 cells" in refused)


def share(acme, globex):
    title("5. Acme forwards them; Globex looks at its inbox and accepts")
    acme.tell("share", "forward", "Lead", "--all", "--to", "globex")
    inbox = lambda: (globex.ask("inbox", "list", "--limit", "100") or {"offers": []})["offers"]
    offers = until("24 offers wait at Globex", lambda: len(inbox()) == 24 and inbox())
    globex.tell("inbox", "list", "--limit", "3")
    expect("Globex has 24 offers and not a single record", len(offers) == 24 and not globex.leads())
    globex.tell("inbox", "accept", "acme", "--all")
    priorities = lambda: [lead["fields"].get("Priority__c") for lead in globex.leads()]
    until("24 copies are there with their priority", lambda: len(priorities()) == 24 and all(priorities()))
    globex.tell("record", "list", "Lead", "--fields", "LastName,Company,Status,Priority__c", "--limit", "5")
    expected = {"Hot": "Urgent", "Warm": "Normal", "Cold": "Later"}
    theirs = {lead["fields"]["Email"]: lead["fields"] for lead in globex.leads()}
    same = lambda ours: all(
        theirs[ours["Email"]].get(field) == ours.get(field)
        for field in ("FirstName", "LastName", "Company", "Title", "Phone", "Industry", "Status", "Description")
    )
    ours = [lead["fields"] for lead in acme.leads()]
    expect("every copy has the values of its original", all(map(same, ours)))
    expect("every rating has become Globex's word for it", all(theirs[f["Email"]]["Priority__c"] == expected[f["Rating"]] for f in ours))


def follow_up(globex):
    title("6. A copy is created with the create set of its object; the other fields follow at once")
    copy = globex.lead(LastName="Osei")
    globex.tell("record", "get", "Lead", copy["id"], "--history")
    history = globex.ask("record", "get", "Lead", copy["id"], "--history")["events"]
    steps = [(event["body"]["action"], event["body"]["content"]["values"]) for event in reversed(history)]
    expect("the copy was created with Company and without Priority__c", steps[0][0] == "create" and "Company" in steps[0][1] and "Priority__c" not in steps[0][1])
    expect("the follow-up brought Priority__c and Description", {"Priority__c", "Description"} <= set(steps[1][1]))


def both_edit(acme, globex):
    title("7. Both sides edit, and each sees the other follow")
    original, copy = acme.lead(LastName="Raman"), globex.lead(LastName="Raman")
    acme.tell("record", "update", "Lead", original["id"], "Title=Chief Scientist", "Rating=Warm")
    globex.tell("record", "update", "Lead", copy["id"], "Status=Working - Contacted")
    until("Globex follows", lambda: (lead := globex.lead(LastName="Raman")) and lead["fields"]["Title"] == "Chief Scientist" and lead["fields"]["Priority__c"] == "Normal")
    until("Acme follows", lambda: acme.lead(LastName="Raman")["fields"]["Status"] == "Working - Contacted")
    globex.tell("record", "get", "Lead", copy["id"])
    expect("Globex has the new title, and the new rating as its priority", True)
    acme.tell("record", "get", "Lead", original["id"])
    expect("Acme has the new status", True)
    seen = acme.lead(LastName="Raman")
    expect("it was changed in the name of the connection user", seen["modified_by"] == "connection.user")


def refused(acme, globex):
    title("8. An update that a rule of Globex refuses: both sides see it, and why")
    original, copy = acme.lead(LastName="Nwosu"), globex.lead(LastName="Nwosu")
    say("   Acme takes the phone number from an urgent lead.")
    acme.tell("record", "update", "Lead", original["id"], "Phone=", "Description=Asked not to be called")
    failures = lambda org: (org.ask("failure", "list") or {"failures": []})["failures"]
    until("the failure is known on both sides", lambda: failures(globex) and failures(acme))
    globex.tell("failure", "list")
    acme.tell("failure", "list")
    here, there = failures(globex)[0], failures(acme)[0]
    expect("Globex names the rule's message", "An urgent lead needs a phone number" in " ".join(here["messages"]))
    expect("Acme is told the code and the field", ("rule_refused", "Phone") in [(r["code"], r["field"]) for r in there["reasons"]])
    globex.tell("record", "get", "Lead", copy["id"])
    held = globex.lead(LastName="Nwosu")
    expect("the copy is as it was, and the refused values wait", held["fields"]["Phone"] and {p["field"] for p in held["pending"]} == {"Phone", "Description"})
    say("\n   Acme thinks better of it. What waited comes through with the next message.")
    acme.tell("record", "update", "Lead", original["id"], "Phone=+234 1 555 0199")
    mended = lambda lead: lead["fields"]["Phone"] == "+234 1 555 0199" and not lead["pending"]
    until("the copy is mended", lambda: mended(globex.lead(LastName="Nwosu")))
    expect("the copy has the new number", True)
    expect("and the description that waited", globex.lead(LastName="Nwosu")["fields"]["Description"] == "Asked not to be called")


def figures(acme, globex):
    title("9. How fast it was, how every change ended, and what the logs come to")
    def settled():
        ours, theirs = acme.connection(globex), globex.connection(acme)
        told = ours["sent"] == theirs["received"] and ours["received"] == theirs["sent"]
        return told and not ours["outbox_messages"] and not theirs["outbox_messages"] and (ours, theirs)

    ours, theirs = until("each side's figures are the other's, and nothing is under way", settled)
    for org in (acme, globex):
        org.tell("status", "--hash")
    say()
    for there, here, counts, lag in (("acme", "globex", theirs["received"], theirs["lag"]), ("globex", "acme", ours["received"], ours["lag"])):
        outcomes = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        say(f"   {there} → {here}: {outcomes}; lag p50 {lag['p50_ms']:.1f} ms, p99 {lag['p99_ms']:.1f} ms")
        expect("received is the sum of all outcomes", counts["received"] == sum(counts.values()) - counts["received"])
    expect("what one side says it sent is what the other says it received", True)
    for org in (acme, globex):
        org.tell("log", "verify")


def stay_up(acme, globex):
    title("The story is over; both orgs stay up until Ctrl-C")
    for org in (acme, globex):
        say(f"   {org.name:8} API      http://127.0.0.1:{org.port}/v1   (token in {org.data}/admin.token)")
        say(f"   {'':8} metrics  http://127.0.0.1:{org.port}/metrics")
        say(f"   {'':8} log      {near(HOME)}/{org.name}.log")
        say(f"   {'':8} try      {acme.binary} --data {org.data} status")
    say(f"   {'broker':8} log      {near(HOME)}/nats.log")
    while all(process.poll() is None for _, process in RUNNING):
        time.sleep(0.5)
    raise NotAsTold("a daemon or the broker ended by itself")


def show_logs():
    for log in sorted(HOME.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        say(f"\n--- the end of {near(log)}")
        for line in lines:
            say(f"   {line}")


def clear_home():
    """Empties the directory of the story, unless another one lives there."""
    HOME.mkdir(parents=True, exist_ok=True)
    lock = open(HOME / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"Another demo is running in {near(HOME)}: stop it first")
    for entry in HOME.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != "lock":
            entry.unlink()
    return lock


def tell_all():
    binary = build()
    acme, globex = two_orgs(binary)
    connect(acme, globex)
    agree_on_fields(acme, globex)
    import_leads(acme)
    share(acme, globex)
    follow_up(globex)
    both_edit(acme, globex)
    refused(acme, globex)
    figures(acme, globex)
    if os.environ.get("ONCE"):
        title("The story is over, and all of it was as told")
    else:
        stay_up(acme, globex)


def main():
    # Held until the process ends.
    lock = clear_home()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        tell_all()
    except KeyboardInterrupt:
        say("\nStopping …")
    except BrokenPipeError:
        # Whoever listened has gone: there is nobody to tell anything.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (NotAsTold, subprocess.CalledProcessError) as error:
        say(f"\n✗ {error}")
        show_logs()
        sys.exit(1)
    finally:
        stop_all()
        lock.close()


if __name__ == "__main__":
    main()
