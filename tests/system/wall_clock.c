/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Preloaded into a daemon by tests/system/faults.py: its wall clock is the machine's plus so many microseconds as
 * stand, as an int64_t, in the file that VMAFX_TEST_WALL_CLOCK names. The file is mapped, so that whoever writes to it
 * sets the clock of all of them at once, and a sandboxed child needs no system call to see it.
 *
 * Only calls from the program itself are answered so. libfaketime, which answers all, cannot be used here: abseil below
 * gRPC waits by raw futex calls until a time of the machine's clock, so a jump of an hour delays its timers by an hour,
 * which no real jump does.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t *offset_us;
static uintptr_t program_from, program_to;

/* The program's code is what its entry point lies in. */
static void find_program(void)
{
    uintptr_t entry = getauxval(AT_ENTRY), from, to;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2 && entry >= from && entry < to) {
            program_from = from;
            program_to = to;
        }
    if (maps)
        fclose(maps);
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("VMAFX_TEST_WALL_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    find_program();
    if (map != MAP_FAILED)
        offset_us = map;
}

int clock_gettime(clockid_t id, struct timespec *now)
{
    uintptr_t caller = (uintptr_t)__builtin_return_address(0);
    int failed = (int)syscall(SYS_clock_gettime, id, now); /* the one in libc is this function */

    if (failed || id != CLOCK_REALTIME || !offset_us || caller < program_from || caller >= program_to)
        return failed;
    int64_t us = now->tv_sec * INT64_C(1000000) + now->tv_nsec / 1000 + *offset_us;
    now->tv_nsec = us % 1000000 * 1000 + now->tv_nsec % 1000;
    now->tv_sec = us / 1000000;
    return 0;
}
