# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A short soak: the code of ./run soak, one round of faults and two without.

usage: test_soak_short.py VMAFX [CASE…]

VMAFX_SOAK_SEED plays one seed again; else it is one of a few, by the day, so that a failure can be repeated.
"""
import os
import time

from harness import case, main
from soak import Soak


@case
def no_accepted_job_is_lost_or_done_twice_whatever_is_killed_frozen_cut_off_full_or_set():
    seed = int(os.environ.get("VMAFX_SOAK_SEED", int(time.time()) // 86400 % 100))
    print(f"seed {seed}", flush=True)
    try:
        with Soak(seed) as soak:
            soak.round(60, 25)
            soak.calm(20, 2)
            soak.finish()
    except BaseException:
        with open("faults.log", encoding="utf-8") as f:
            print(f"seed {seed}; the faults:\n{f.read()}", flush=True)
        raise


if __name__ == "__main__":
    main()
