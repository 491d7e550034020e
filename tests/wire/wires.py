"""Wires for tests: a network namespace of its own, IP wires into it, and what networks do to packets.

    wires.py SEED NETWORK [NETWORK …]

NETWORK is the address of a /30: its first host is on this machine, its second one in the namespace.
Both ends are TUN devices, which are gone with this process, as the namespace is. It says {"devices": […]}
when they carry packets; then a line of JSON for each line of orders:

    {"wire": 0, "up": {"lost": 0.1, …}, "down": {…}}    what is done with packets into the namespace and out of it
    {}                                                  nothing; the answer tells what was done so far

`lost`, `doubled`, `damaged` and `late` are shares of the packets, `delay` and `jitter` seconds, `rate` bytes
a second. The end of the orders is the end of the wires.
"""

import collections
import ctypes
import fcntl
import heapq
import ipaddress
import json
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
TUN_WITHOUT_INFO = 0x0001 | 0x1000
NEW_NETWORK = 0x40000000
# The largest packet that is read; the devices carry 1,500 bytes.
PACKET = 4096
# How much later a late packet is than the others.
LATE = 0.03
# What waits for a slow wire; what comes on top is lost, as at a router.
QUEUE_BYTES = 256 << 10


def say(**what):
    print(json.dumps(what), flush=True)


def device():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    given = fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH14x", b"tieline%d", TUN_WITHOUT_INFO))
    return tun, given[:16].rstrip(b"\0").decode()


def up(name, address):
    ip("address", "add", f"{address}/30", "dev", name)
    ip("link", "set", "dev", name, "up")


def ip(*arguments):
    ran = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"ip {' '.join(arguments)}: {ran.stderr.strip()}")


class Way:
    """Packets of one wire in one direction."""

    def __init__(self, into):
        self.into = into
        self.weather = {}
        self.free_at = 0.0

    def take(self, packet, now, rng, done):
        """When copies of a packet arrive, and how."""
        share = lambda name: rng.random() < self.weather.get(name, 0)
        if share("lost"):
            done["lost"] += 1
            return []
        copies = 1
        if share("doubled"):
            done["doubled"] += 1
            copies = 2
        at = now
        rate = self.weather.get("rate")
        if rate:
            if (self.free_at - now) * rate > QUEUE_BYTES:
                done["lost"] += 1
                return []
            self.free_at = max(self.free_at, now) + len(packet) / rate
            at = self.free_at
        arrivals = []
        for _ in range(copies):
            when = at + self.weather.get("delay", 0) + rng.random() * self.weather.get("jitter", 0)
            if share("late"):
                done["late"] += 1
                when += LATE
            copy = packet
            if share("damaged"):
                done["damaged"] += 1
                bit = rng.randrange(len(packet) * 8)
                copy = bytearray(packet)
                copy[bit // 8] ^= 1 << bit % 8
            arrivals.append((when, copy))
        return arrivals


def order(line, wires, done):
    wanted = json.loads(line)
    if "wire" in wanted:
        for way, name in zip(wires[wanted["wire"]], ("up", "down")):
            way.weather = wanted[name]
    say(**done)


def carry(ways, wires, rng):
    done = collections.Counter(carried=0, lost=0, doubled=0, damaged=0, late=0)
    waiting, count, orders = [], 0, b""
    while True:
        patience = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([0, *ways], [], [], patience)
        now = time.monotonic()
        for end in ready:
            if end == 0:
                read = os.read(0, 1 << 16)
                if not read:
                    return
                *lines, orders = (orders + read).split(b"\n")
                for line in lines:
                    order(line, wires, done)
                continue
            try:
                packet = os.read(end, PACKET)
            except BlockingIOError:
                continue
            for when, copy in ways[end].take(packet, now, rng, done):
                count += 1
                heapq.heappush(waiting, (when, count, ways[end].into, copy))
        while waiting and waiting[0][0] <= now:
            _, _, into, packet = heapq.heappop(waiting)
            try:
                os.write(into, packet)
                done["carried"] += 1
            except OSError:
                # The device is down, or no packet any more: nobody takes it.
                done["lost"] += 1


def main():
    rng = random.Random(int(sys.argv[1]))
    networks = [ipaddress.ip_network(f"{network}/30") for network in sys.argv[2:]]
    here = [device() for _ in networks]
    for (_, name), network in zip(here, networks):
        up(name, network[1])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NETWORK) != 0:
        sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    ip("link", "set", "dev", "lo", "up")
    there = [device() for _ in networks]
    for (_, name), network in zip(there, networks):
        up(name, network[2])
    wires, ways = [], {}
    for (near, _), (far, _) in zip(here, there):
        wires.append((Way(far), Way(near)))
        ways[near], ways[far] = wires[-1]
    say(devices=[name for _, name in here])
    carry(ways, wires, rng)


main()
