/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The clock, the rounds and main; see bench.h. */

#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { ROUNDS = 101, THREADS_MAX = 2, CHUNK = 400, LOOK_EVERY = 64 };

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
    nanosleep(&(struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) }, NULL);
}

static struct rusage usage(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return r;
}

static double cpu_seconds(void)
{
    struct rusage r = usage();

    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

/* ---- Time per operation ---- */

typedef struct Job {
    const BenchCase *what;
    pthread_t thread;
    pthread_barrier_t *barrier;
    uint64_t ns[ROUNDS];
} Job;

static void *work(void *arg)
{
    Job *job = arg;

    for (int r = 0; r < ROUNDS; r++) {
        pthread_barrier_wait(job->barrier); /* the main thread has settled */
        uint64_t begin = now_ns();
        job->what->loop(job->what->per_round);
        job->ns[r] = now_ns() - begin;
        pthread_barrier_wait(job->barrier);
    }
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* The median over the rounds of the slower thread. */
static void measure(const BenchCase *what, unsigned threads)
{
    static Job jobs[THREADS_MAX];
    static uint64_t slowest[ROUNDS];
    pthread_barrier_t barrier;

    pthread_barrier_init(&barrier, NULL, threads + 1);
    for (unsigned t = 0; t < threads; t++) {
        jobs[t].what = what;
        jobs[t].barrier = &barrier;
        if (pthread_create(&jobs[t].thread, NULL, work, &jobs[t]))
            abort();
    }
    for (int r = 0; r < ROUNDS; r++) {
        bench_settle();
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    for (unsigned t = 0; t < threads; t++)
        pthread_join(jobs[t].thread, NULL);
    pthread_barrier_destroy(&barrier);
    for (int r = 0; r < ROUNDS; r++) {
        slowest[r] = jobs[0].ns[r];
        for (unsigned t = 1; t < threads; t++)
            slowest[r] = jobs[t].ns[r] > slowest[r] ? jobs[t].ns[r] : slowest[r];
    }
    qsort(slowest, ROUNDS, sizeof slowest[0], by_value);
    printf("%s %u %.2f\n", what->name, threads, (double)slowest[ROUNDS / 2] / (double)what->per_round);
    fflush(stdout);
}

static int time_all(void)
{
    for (const BenchCase *c = bench_cases; c->name; c++) {
        if (c->setup)
            c->setup();
        for (unsigned threads = 1; threads <= c->threads_max; threads++)
            measure(c, threads);
    }
    return 0;
}

static int once(const char *name, uint64_t n)
{
    for (const BenchCase *c = bench_cases; c->name; c++) {
        if (strcmp(c->name, name) != 0)
            continue;
        if (c->setup)
            c->setup();
        uint64_t chunk = c->per_round < CHUNK ? c->per_round : CHUNK;
        for (uint64_t done = 0; done < n; done += chunk) {
            c->loop(chunk);
            bench_settle();
        }
        return 0;
    }
    return 2;
}

/* ---- To a collector ---- */

static int start(bool grpc, unsigned port)
{
    uint64_t t0 = now_ns();
    bench_program_start(grpc, port);
    uint64_t t1 = now_ns();
    bench_span(0);
    uint64_t t2 = now_ns();
    bench_program_stop();
    printf("start_us %.1f\nfirst_span_us %.1f\nstop_us %.1f\nrss_kb %ld\n", (double)(t1 - t0) / 1e3,
           (double)(t2 - t1) / 1e3, (double)(now_ns() - t2) / 1e3, usage().ru_maxrss);
    return 0;
}

static void until_room(uint64_t made)
{
    while (made - bench_exported() - bench_lost() > BENCH_QUEUE - 1024)
        sleep_ns(20000);
}

/* rate 0: as fast as the queue has room. */
static int export(bool grpc, unsigned port, uint64_t n, uint64_t rate)
{
    bench_export_open(grpc, port);
    bench_span(0); /* connects */
    bench_flush();

    double cpu = cpu_seconds();
    uint64_t begin = now_ns();
    for (uint64_t i = 1; i < n; i++) {
        bench_span(i);
        if (!rate && i % LOOK_EVERY == 0)
            until_room(i + 1);
        if (rate && i % 100 == 0) {
            uint64_t due = begin + i * 1000000000u / rate, now = now_ns();
            if (now < due)
                sleep_ns(due - now);
        }
    }
    bench_flush();
    double seconds = (double)(now_ns() - begin) * 1e-9;
    cpu = cpu_seconds() - cpu;
    printf(
        "spans %llu\nexported %llu\nlost %llu\nper_second %.0f\ncpu_us_per_span %.3f\ncpu_percent %.2f\nrss_kb %ld\n",
        (unsigned long long)n, (unsigned long long)bench_exported(), (unsigned long long)bench_lost(),
        (double)(n - 1) / seconds, cpu * 1e6 / (double)(n - 1), 100 * cpu / seconds, usage().ru_maxrss);
    fflush(stdout);
    bool whole = bench_exported() == n && !bench_lost();
    bench_export_close();
    return whole ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    bool grpc = argc > 2 && !strcmp(argv[2], "grpc");
    unsigned port = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    uint64_t a = argc > 4 ? strtoull(argv[4], NULL, 10) : 0, b = argc > 5 ? strtoull(argv[5], NULL, 10) : 0;

    if (argc == 2 && !strcmp(what, "time"))
        return time_all();
    if (argc == 4 && !strcmp(what, "once"))
        return once(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && !strcmp(what, "start"))
        return start(grpc, port);
    if (argc == 5 && !strcmp(what, "export"))
        return export(grpc, port, a, 0);
    if (argc == 6 && !strcmp(what, "rate"))
        return export(grpc, port, a * b, a);
    fprintf(stderr,
            "usage: %s time | once CASE N | start PROTOCOL PORT | export PROTOCOL PORT N | rate PROTOCOL PORT "
            "RATE SECONDS\n",
            argv[0]);
    return 2;
}
