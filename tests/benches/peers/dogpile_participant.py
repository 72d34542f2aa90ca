"""One process that gets or creates one value with dogpile.cache.

    dogpile_participant.py URL LEASE_MS|never SLEEP_MS

Speaks the protocol of src/participant.rs.
"""

import os
import sys
import time

from dogpile.cache import make_region


def now():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def tell(*words):
    print(*words, flush=True)


def main(url, lease, sleep):
    region = make_region().configure(
        "dogpile.cache.redis",
        arguments={
            "url": url,
            "distributed_lock": True,
            # As its documentation asks for beside distributed_lock.
            "thread_local_lock": False,
            "lock_timeout": None if lease == "never" else int(lease) / 1000,
            "lock_sleep": int(sleep) / 1000,
        },
    )
    tell("ready")
    _, start, key, fill = sys.stdin.readline().split()
    time.sleep(max(0, int(start) - now()) / 1e9)
    ended = None

    def create():
        nonlocal ended
        tell("began", now())
        time.sleep(int(fill) / 1000)
        ended = now()
        return str(os.getpid())

    try:
        value = region.get_or_create(key, create)
        last = ("returned", now(), value)
    except Exception as error:  # Whatever it is, it is this call's result.
        last = ("failed", now(), repr(error))
    if ended is not None:
        tell("ended", ended)
    tell(*last)
    sys.stdin.read()


main(*sys.argv[1:])
