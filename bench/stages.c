/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Where the time of a frame goes: VMAF's three extractors, and PSNR, over two pictures, each kernel behind a wrapper
 * that knows when it began, which bytes it reads and writes, and to which stage it belongs. tools/bench-stages makes a
 * table of it.
 *
 *     bench-stages time REF DIS W H     two planes of 8-bit luma, W·H bytes each: nanoseconds and bytes of a frame
 *     bench-stages count REF DIS W H    instructions and bytes of a frame, one instruction after the other: slow
 *     bench-stages limits               what one CPU of this machine can do at best
 *
 * Each line: a name, a tab, numbers.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "base/clock.h"
#include "engine/extractor.h"
#include "engine/kernels/cpu.h"

enum { TURNS = 40, SIDE_MAX = 8192 };

#define STAGES(X)                                                                                                      \
    X(REST, "mirrored edges, calls")                                                                                   \
    X(VIF_VERT, "VIF, vertical filter")                                                                                \
    X(VIF_MEASURE, "VIF, horizontal filter, gain, logarithms")                                                         \
    X(VIF_DOWN, "VIF, next scale")                                                                                     \
    X(ADM_DWT, "ADM, wavelet")                                                                                         \
    X(ADM_SPLIT, "ADM, split")                                                                                         \
    X(ADM_SUMS, "ADM, masking and sums")                                                                               \
    X(MOTION, "motion")                                                                                                \
    X(PSNR, "PSNR, not part of VMAF")

#define STAGE_ENUM(name, text) name,
enum { STAGES(STAGE_ENUM) N_STAGES };
#define STAGE_TEXT(name, text) text,
static const char *const stage_names[] = { STAGES(STAGE_TEXT) };

/* Shared with the process that counts: it reads which stage runs, and writes what it counted. */
typedef struct Shared {
    volatile int stage;
    uint64_t bytes[N_STAGES], instructions[N_STAGES];
} Shared;

static Shared *shared;
static VmafxKernels real;
static uint64_t spent_ns[N_STAGES], calls[N_STAGES];
static bool counting;

static uint64_t enter(int stage, uint64_t moved)
{
    shared->bytes[stage] += moved;
    calls[stage]++;
    shared->stage = stage;
    return counting ? 0 : vmafx_monotonic_ns();
}

static void leave(int stage, uint64_t since_ns)
{
    if (!counting)
        spent_ns[stage] += vmafx_monotonic_ns() - since_ns;
    shared->stage = REST;
}

/* ---- Wrappers: of each kernel, with the bytes of the rows that it reads and writes ---- */

#define WRAP(stage, name, call, moved, ...)                                                                            \
    static void name(__VA_ARGS__)                                                                                      \
    {                                                                                                                  \
        uint64_t since = enter(stage, (uint64_t)(moved));                                                              \
        real.call;                                                                                                     \
        leave(stage, since);                                                                                           \
    }

enum { PAIR = 2, BANDS = VMAFX_ADM_BANDS, MOMENTS = 2 * VMAFX_VIF_MOMENTS };

WRAP(VIF_VERT, vif_vert8, vif.vert8(ref, dis, filter, w, n_rows, ret),
     w *(PAIR *(filter->n + n_rows - 1) + MOMENTS * n_rows), const uint8_t *const *ref, const uint8_t *const *dis,
     const VmafxVifFilter *filter, int w, int n_rows, const VmafxVifMoments *ret)
WRAP(VIF_VERT, vif_vert16, vif.vert16(ref, dis, filter, mean_shift, square_shift, w, n_rows, ret),
     w *(2 * PAIR * (filter->n + n_rows - 1) + MOMENTS * n_rows), const uint16_t *const *ref,
     const uint16_t *const *dis, const VmafxVifFilter *filter, int mean_shift, int square_shift, int w, int n_rows,
     const VmafxVifMoments *ret)
WRAP(VIF_MEASURE, vif_measure, vif.measure(in, filter, w, table, limits, n_limits, sums, numlog), w *MOMENTS,
     const VmafxVifMoments *in, const VmafxVifFilter *filter, int w, const uint16_t *table, const double *limits,
     int n_limits, VmafxVifSums *sums, int64_t *numlog)
WRAP(VIF_DOWN, vif_down_vert8, vif.down_vert8(rows, filter, w, ret), w *(filter->n + 2), const uint8_t *const *rows,
     const VmafxVifFilter *filter, int w, uint16_t *ret)
WRAP(VIF_DOWN, vif_down_vert16, vif.down_vert16(rows, filter, shift, w, ret), 2 * w * (filter->n + 1),
     const uint16_t *const *rows, const VmafxVifFilter *filter, int shift, int w, uint16_t *ret)
WRAP(VIF_DOWN, vif_down_horz, vif.down_horz(row, filter, w, ret), 6 * w, const uint16_t *row,
     const VmafxVifFilter *filter, int w, uint16_t *ret)
WRAP(ADM_DWT, adm_dwt_vert8, adm.dwt_vert8(rows, w, lo, hi), w *(4 + 4), const uint8_t *const rows[4], int w,
     int16_t *lo, int16_t *hi)
WRAP(ADM_DWT, adm_dwt_vert_second, adm.dwt_vert_second(rows, w, lo, hi), w *(8 + 8), const int16_t *const rows[4],
     int w, int32_t *lo, int32_t *hi)
WRAP(ADM_DWT, adm_dwt_vert, adm.dwt_vert(rows, w, lo, hi), w *(16 + 8), const int32_t *const rows[4], int w,
     int32_t *lo, int32_t *hi)
WRAP(ADM_DWT, adm_dwt_horz_fine, adm.dwt_horz_fine(lo, hi, n, a, bands), n *(8 + 2 + 4 * BANDS), const int16_t *lo,
     const int16_t *hi, int n, int16_t *a, int32_t *const bands[BANDS])
WRAP(ADM_DWT, adm_dwt_horz, adm.dwt_horz(lo, hi, shift, n, a, bands), n *(16 + 4 + 4 * BANDS), const int32_t *lo,
     const int32_t *hi, int shift, int n, int32_t *a, int32_t *const bands[BANDS])

#define WRAP_ADM(i)                                                                                                    \
    WRAP(ADM_SPLIT, adm_decouple##i, adm.decouple[i](o, t, n, limit, r, a), n * 4 * BANDS * 4,                         \
         const int32_t *const o[BANDS], const int32_t *const t[BANDS], int n, double limit, int32_t *const r[BANDS],   \
         int32_t *const a[BANDS])                                                                                      \
    WRAP(ADM_SUMS, adm_weigh##i, adm.weigh[i](y, n, gains, ret_n, ret_z), n * 4 * (BANDS + 2),                         \
         const int32_t *const y[BANDS], int n, const VmafxAdmGains *gains, int32_t *ret_n, int32_t *ret_z)             \
    WRAP(ADM_SUMS, adm_numerator##i, adm.numerator[i](x, n_rows, z, n, gains, sums), n * 4 * (BANDS + 4),              \
         const int32_t *const x[BANDS], const int32_t *const n_rows[3], const int32_t *z, int n,                       \
         const VmafxAdmGains *gains, int64_t sums[BANDS])                                                              \
    WRAP(ADM_SUMS, adm_denominator##i, adm.denominator[i](o, n, square_shift, cube_shift, sums), n * 4 * BANDS,        \
         const int32_t *const o[BANDS], int n, int square_shift, int cube_shift, uint64_t sums[BANDS])

WRAP_ADM(0)
WRAP_ADM(1)
WRAP(MOTION, motion_vert8, motion.vert8(earlier, current, w, half, bit), w *(2 * VMAFX_MOTION_TAPS + 4),
     const uint8_t *const *earlier, const uint8_t *const *current, int w, int16_t *half, int16_t *bit)

static uint64_t sse_row8(const uint8_t *ref, const uint8_t *dis, int w)
{
    uint64_t since = enter(PSNR, (uint64_t)w * PAIR), sse = real.sse.row8(ref, dis, w);

    leave(PSNR, since);
    return sse;
}

static uint64_t motion_horz_sad(const int16_t *half, const int16_t *bit, int w)
{
    uint64_t since = enter(MOTION, (uint64_t)w * 4), sad = real.motion.horz_sad(half, bit, w);

    leave(MOTION, since);
    return sad;
}

static const VmafxKernels wrapped = {
    .vif = { .vert8 = vif_vert8,
             .vert16 = vif_vert16,
             .measure = vif_measure,
             .down_vert8 = vif_down_vert8,
             .down_vert16 = vif_down_vert16,
             .down_horz = vif_down_horz },
    .adm = { .dwt_vert8 = adm_dwt_vert8,
             .dwt_vert_second = adm_dwt_vert_second,
             .dwt_vert = adm_dwt_vert,
             .dwt_horz_fine = adm_dwt_horz_fine,
             .dwt_horz = adm_dwt_horz,
             .decouple = { adm_decouple0, adm_decouple1 },
             .weigh = { adm_weigh0, adm_weigh1 },
             .numerator = { adm_numerator0, adm_numerator1 },
             .denominator = { adm_denominator0, adm_denominator1 } },
    .motion = { .vert8 = motion_vert8, .horz_sad = motion_horz_sad },
    .sse = { .row8 = sse_row8 },
};

/* ---- A frame ---- */

static const VmafxExtractor *const extractors[] = { &vmafx_extractor_vif, &vmafx_extractor_adm, &vmafx_extractor_motion,
                                                    &vmafx_extractor_psnr };
static VmafxInstance instances[VMAFX_LEN(extractors)];
static void *passes[VMAFX_LEN(extractors)];

static void fail(const char *what)
{
    fprintf(stderr, "bench-stages: %s\n", what);
    exit(1);
}

static const VmafxInstance *const instance_lists[][1] = {
    { &instances[0] }, { &instances[1] }, { &instances[2] }, { &instances[3] }
};

/* With their default options, which the models of VMAF have. */
static void make_passes(int w, int h)
{
    for (size_t i = 0; i < VMAFX_LEN(extractors); i++) {
        const VmafxExtractor *extractor = extractors[i];
        const VmafxPassSetup setup = { .instances = instance_lists[i],
                                       .n_instances = 1,
                                       .kernels = &wrapped,
                                       .w = w,
                                       .h = h,
                                       .bpc = 8,
                                       .subsample = 1 };
        VmafxErrInfo info = { 0 };

        instances[i].extractor = extractor;
        if (vmafx_options_read(extractor->name, extractor->options, extractor->n_options, &(VmafxOptions){ 0 }, true,
                               instances[i].values, &info))
            fail(info.message);
        if (extractor->pass_new(&setup, &passes[i]))
            fail("no memory");
    }
}

/* The pair as a frame whose predecessor is its distorted picture: as much motion as there is distortion. */
static void measure_frame(const VmafxPlane *ref, const VmafxPlane *dis)
{
    const VmafxFrameInput input = { .index = 1, .ref = ref, .dis = dis, .earlier = { dis } };
    VmafxFeatureValues values;

    for (size_t i = 0; i < VMAFX_LEN(extractors); i++)
        if (extractors[i]->frame(passes[i], &input, &values))
            fail("a frame could not be measured");
}

static VmafxPlane read_plane(const char *path, int w, int h)
{
    size_t size = (size_t)w * (size_t)h;
    void *data = vmafx_alloc_aligned(size, 1);
    FILE *f = fopen(path, "rb");

    if (!data || !f || fread(data, 1, size, f) != size)
        fail("a picture could not be read");
    fclose(f);
    return (VmafxPlane){ .data = data, .stride = w, .w = w, .h = h, .bpc = 8 };
}

/* ---- Time ---- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a wrapper's two looks at the clock add to its own time. */
static uint64_t cost_of_clock(void)
{
    uint64_t best = UINT64_MAX;

    for (int turn = 0; turn < 1000; turn++) {
        spent_ns[REST] = 0;
        for (int i = 0; i < 100; i++)
            leave(REST, enter(REST, 0));
        best = smaller(best, spent_ns[REST] / 100);
    }
    return best;
}

/* The smallest time of each stage, and of the frame, of many turns. */
static void time_frame(const VmafxPlane *ref, const VmafxPlane *dis)
{
    uint64_t best[N_STAGES], frame = UINT64_MAX, clock_ns = cost_of_clock(), known = 0;

    memset(best, 0xff, sizeof best);
    for (int turn = 0; turn < TURNS; turn++) {
        memset(spent_ns, 0, sizeof spent_ns);
        memset(shared->bytes, 0, sizeof shared->bytes);
        memset(calls, 0, sizeof calls);
        uint64_t since = vmafx_monotonic_ns(), all_calls = 0;
        measure_frame(ref, dis);
        uint64_t ns = vmafx_monotonic_ns() - since;

        for (int i = REST + 1; i < N_STAGES; i++) {
            best[i] = smaller(best[i], spent_ns[i] - smaller(spent_ns[i], calls[i] * clock_ns));
            all_calls += calls[i];
        }
        frame = smaller(frame, ns - smaller(ns, 2 * all_calls * clock_ns));
    }
    for (int i = REST + 1; i < N_STAGES; i++) {
        printf("%s\t%llu %llu\n", stage_names[i], (unsigned long long)best[i], (unsigned long long)shared->bytes[i]);
        known += best[i];
    }
    printf("%s\t%llu 0\n", stage_names[REST], (unsigned long long)(frame - smaller(frame, known)));
}

/* ---- Instructions: the frame in a process of its own, one step after the other ---- */

static void count_frame(const VmafxPlane *ref, const VmafxPlane *dis)
{
    pid_t child = fork();

    if (child == -1)
        fail("no second process");
    if (!child) {
        counting = true;
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
            _exit(1);
        raise(SIGSTOP);
        measure_frame(ref, dis);
        _exit(0);
    }
    int status;

    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        shared->instructions[shared->stage]++;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL))
            fail("this system lets nobody follow a process");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        fail("the process that was followed ended");
    for (int i = 0; i < N_STAGES; i++)
        printf("%s\t%llu %llu\n", stage_names[i], (unsigned long long)shared->instructions[i],
               (unsigned long long)shared->bytes[i]);
}

/* ---- What the machine can do ---- */

enum { LIMIT_TURNS = 20000, NEAR = 1 << 14, FAR = 1 << 28 };

/* Eight chains of additions that do not wait for each other. */
#define ADDITIONS(r)                                                                                                   \
    "vpaddd %%" r "0, %%" r "0, %%" r "0\n vpaddd %%" r "1, %%" r "1, %%" r "1\n"                                      \
    "vpaddd %%" r "2, %%" r "2, %%" r "2\n vpaddd %%" r "3, %%" r "3, %%" r "3\n"                                      \
    "vpaddd %%" r "4, %%" r "4, %%" r "4\n vpaddd %%" r "5, %%" r "5, %%" r "5\n"                                      \
    "vpaddd %%" r "6, %%" r "6, %%" r "6\n vpaddd %%" r "7, %%" r "7, %%" r "7\n"
#define CLOBBERED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"

/* Vector instructions in a nanosecond; 0: not known for this machine. */
static double vector_rate(unsigned cpu)
{
    uint64_t best = UINT64_MAX;

    for (int turn = 0; turn < 50; turn++) {
        uint64_t since = vmafx_monotonic_ns();
        for (int i = 0; i < LIMIT_TURNS; i++) {
#ifdef __x86_64__
            if (cpu & VMAFX_CPU_AVX512)
                __asm__ volatile(ADDITIONS("zmm") ADDITIONS("zmm")::: CLOBBERED);
            else if (cpu & VMAFX_CPU_AVX2)
                __asm__ volatile(ADDITIONS("ymm") ADDITIONS("ymm")::: CLOBBERED);
            else
#endif
                return 0;
        }
        best = smaller(best, vmafx_monotonic_ns() - since);
    }
    return 16.0 * LIMIT_TURNS / (double)best;
}

/* Bytes read and written in a nanosecond, by copies of so many bytes. */
static double copy_rate(size_t size)
{
    char *from = vmafx_alloc_aligned(size, 1), *to = vmafx_alloc_aligned(size, 1);
    size_t turns = VMAFX_MAX((size_t)FAR / 8 / size, 1);
    uint64_t best = UINT64_MAX;

    if (!from || !to)
        fail("no memory");
    memset(from, 1, size);
    memset(to, 2, size);
    for (int turn = 0; turn < 10; turn++) {
        uint64_t since = vmafx_monotonic_ns();
        for (size_t i = 0; i < turns; i++) {
            memcpy(to, from, size);
            __asm__ volatile("" ::: "memory");
        }
        best = smaller(best, vmafx_monotonic_ns() - since);
    }
    free(from);
    free(to);
    return 2.0 * (double)(size * turns) / (double)best;
}

int main(int argc, char **argv)
{
    unsigned cpu = vmafx_cpu_detect();
    const char *what = argc > 1 ? argv[1] : "";

    if (argc == 2 && !strcmp(what, "limits")) {
        printf("kernels\t%s\nvector instructions\t%.2f\nbytes, near\t%.1f\nbytes, far\t%.1f\n", vmafx_cpu_name(cpu),
               vector_rate(cpu), copy_rate(NEAR), copy_rate(FAR));
        return 0;
    }
    int w = argc == 6 ? atoi(argv[4]) : 0, h = argc == 6 ? atoi(argv[5]) : 0;
    if (w < 36 || h < 36 || w > SIDE_MAX || h > SIDE_MAX || (strcmp(what, "time") != 0 && strcmp(what, "count") != 0)) {
        fprintf(stderr, "usage: bench-stages time|count REF DIS W H, or bench-stages limits\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("no memory");
    vmafx_kernels_init(&real, cpu);
    VmafxPlane ref = read_plane(argv[2], w, h), dis = read_plane(argv[3], w, h);
    make_passes(w, h);
    (strcmp(what, "time") ? count_frame : time_frame)(&ref, &dis);
    return 0;
}
