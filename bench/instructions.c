/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * What tools/instructions counts the instructions of: each kernel over rows of one fixed picture, and one fixed clip
 * through one extractor after the other. callgrind collects within `instructions_measured` only and notes a count each
 * time it returns; the names are printed in the same order.
 *
 *     instructions compiler     the compiler and its version
 *     instructions c | avx2     runs everything with these kernels; exit status 77: this CPU does not have them
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "engine/kernels/cpu.h"
#include "engine/kernels/kernels.h"
#include "feature_text.h"
#include "patterns.h"

enum { W = 256, PAD = 32, STRIDE = PAD + W + PAD, ROWS = 18, TURNS = 16 };

static const VmafxVifFilter filter = {
    17, { 489, 935, 1640, 2640, 3896, 5274, 6547, 7455, 7784, 7455, 6547, 5274, 3896, 2640, 1640, 935, 489 }
};
static const double limits[] = { 100, 1 };
static const VmafxAdmGains gains[2] = { { { 36453, 36453, 49417 }, { 7, 7, 8 } },
                                        { { 196165808, 196165808, 134487184 }, { 9, 9, 9 } } };

/* ---- The picture: smooth, with some noise; the same on every machine ---- */

static _Alignas(64) uint8_t ref8[ROWS][STRIDE], dis8[ROWS][STRIDE];
static _Alignas(64) uint16_t ref10[ROWS][STRIDE], dis10[ROWS][STRIDE];
static _Alignas(64) uint16_t moment_rows[3][VMAFX_VIF_MOMENTS][STRIDE + VMAFX_VIF_SLACK];
static _Alignas(64) int32_t wide[2][9][STRIDE], out[6][STRIDE];
static _Alignas(64) int16_t half[4][STRIDE];
static _Alignas(64) float floats[ROWS][STRIDE], float_out[STRIDE], float_outs[12][STRIDE];
static _Alignas(64) double doubles[3][STRIDE];
static const uint8_t *r8[ROWS], *d8[ROWS];
static const uint16_t *r10[ROWS], *d10[ROWS];
static const float *float_rows[ROWS];
static VmafxHvsTables hvs_tables;
static float *float_to[12];
static VmafxVifMoments moments[3]; /* two rows to write, one to read */
static VmafxKernels kernels;

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 16;
}

static void make_picture(void)
{
    for (int y = 0; y < ROWS; y++) {
        for (int x = 0; x < STRIDE; x++) {
            int v = 64 + x / 4 + 3 * y + (int)(next_random() % 16), w = v + (int)(next_random() % 9) - 4;
            ref8[y][x] = (uint8_t)v;
            dis8[y][x] = (uint8_t)w;
            ref10[y][x] = (uint16_t)(4 * v + 1);
            dis10[y][x] = (uint16_t)(4 * w + 2);
            floats[y][x] = (float)v + 0.25f * (float)(next_random() % 4);
        }
        r8[y] = ref8[y] + PAD;
        d8[y] = dis8[y] + PAD;
        r10[y] = ref10[y] + PAD;
        d10[y] = dis10[y] + PAD;
        float_rows[y] = floats[y] + PAD;
    }
    for (int i = 0; i < VMAFX_HVS_SIDE; i++)
        for (int j = 0; j < VMAFX_HVS_SIDE; j++) {
            hvs_tables.seen[i][j] = 2.0f / (float)(1 + i + j);
            hvs_tables.masks[i][j] = 0.15f * hvs_tables.seen[i][j] * hvs_tables.seen[i][j];
        }
    for (int i = 0; i < 12; i++)
        float_to[i] = float_outs[i] + PAD;
    for (int i = 0; i < 9; i++)
        for (int x = 0; x < STRIDE; x++) {
            wide[0][i][x] = (int32_t)(next_random() % 4096) - 2048;
            wide[1][i][x] = ((int32_t)next_random() - 32768) * 64;
        }
    for (int i = 0; i < 3; i++)
        for (int m = 0; m < VMAFX_VIF_MOMENTS; m++)
            moments[i].row[m] = moment_rows[i][m] + PAD;
    for (int i = 0; i < 4; i++)
        for (int x = 0; x < STRIDE; x++)
            half[i][x] = (int16_t)((int)(next_random() % 512) - 256);
    (void)vmafx_vif_log2_table(); /* made once, and not while something is counted */
    /* moments of real pixels, also in the padding */
    const uint8_t *r[ROWS], *d[ROWS];
    VmafxVifMoments whole;

    for (int y = 0; y < ROWS; y++) {
        r[y] = ref8[y];
        d[y] = dis8[y];
    }
    for (int m = 0; m < VMAFX_VIF_MOMENTS; m++)
        whole.row[m] = moment_rows[2][m];
    vmafx_vif_kernels_c.vert8(r, d, &filter, STRIDE, 1, &whole);
}

/* ---- A row of work per kernel ---- */

#define O(s)      ((const int32_t *const[]){ wide[s][0] + PAD, wide[s][1] + PAD, wide[s][2] + PAD })
#define T(s)      ((const int32_t *const[]){ wide[s][3] + PAD, wide[s][4] + PAD, wide[s][5] + PAD })
#define N(s)      ((const int32_t *const[]){ wide[s][6] + PAD, wide[s][7] + PAD, wide[s][8] + PAD })
#define FOUR(s)   ((const int32_t *const[]){ wide[s][0] + PAD, wide[s][1] + PAD, wide[s][2] + PAD, wide[s][3] + PAD })
#define OUT(from) ((int32_t *const[]){ out[from] + PAD, out[(from) + 1] + PAD, out[(from) + 2] + PAD })
#define HALF(i)   (half[i] + PAD)
#define HALVES    ((const int16_t *const[]){ HALF(0), HALF(1), HALF(2), HALF(3) })

static VmafxVifSums vif_sums;
static int64_t nums[3];
static uint64_t energies[3], total;
static float hvs_sum;
static VmafxCiedeKnown ciede_known[VMAFX_CIEDE_KNOWN];
static const float float_taps[17] = { 0.0075F, 0.0147F, 0.0260F, 0.0414F, 0.0596F, 0.0775F, 0.0910F, 0.0965F, 0.0916F,
                                      0.0965F, 0.0910F, 0.0775F, 0.0596F, 0.0414F, 0.0260F, 0.0147F, 0.0075F };
static const VmafxFloatVifNoise vif_noise = { 2, 100, 6.15e-5F };
static const VmafxFloatAdmGains float_gains = { { 0.0174F, 0.0174F, 0.0059F }, 100 };

static VmafxFloatAdmSplit split_rows(int from)
{
    float **to = float_to + from;

    return (VmafxFloatAdmSplit){ { to[0], to[1], to[2] }, { to[3], to[4], to[5] } };
}

static const VmafxSsimConstants ssim_constants = { 6.5025f, 58.5225f, 29.26125f };

#define CASE(name, call)                                                                                               \
    static void name(void)                                                                                             \
    {                                                                                                                  \
        for (int turn = 0; turn < TURNS; turn++)                                                                       \
            call;                                                                                                      \
    }

CASE(vif_vert8, kernels.vif.vert8(r8, d8, &filter, W, 2, moments))
CASE(vif_vert16, kernels.vif.vert16(r10, d10, &filter, 10, 4, W, 2, moments))
CASE(vif_measure, kernels.vif.measure(&moments[2], &filter, W, vmafx_vif_log2_table(), limits, 2, &vif_sums, nums))
CASE(vif_down_vert8, kernels.vif.down_vert8(r8, &filter, W, moments[0].row[0]))
CASE(vif_down_vert16, kernels.vif.down_vert16(r10, &filter, 10, W, moments[0].row[0]))
CASE(vif_down_horz, kernels.vif.down_horz(moments[2].row[0], &filter, W / 2, moments[0].row[0]))
CASE(motion_vert8, kernels.motion.vert8(r8, d8, W, (int16_t *)OUT(0)[0], (int16_t *)OUT(0)[1]))
CASE(motion_vert16, kernels.motion.vert16(r10, d10, 10, W, (int16_t *)OUT(0)[0], (int16_t *)OUT(0)[1]))
CASE(motion_horz_sad, total += kernels.motion.horz_sad(HALF(0), HALF(1), W))
CASE(adm_dwt_vert8, kernels.adm.dwt_vert8(r8, W, (int16_t *)OUT(0)[0], (int16_t *)OUT(0)[1]))
CASE(adm_dwt_vert16, kernels.adm.dwt_vert16(r10, 10, W, (int16_t *)OUT(0)[0], (int16_t *)OUT(0)[1]))
CASE(adm_dwt_vert_second, kernels.adm.dwt_vert_second(HALVES, W, OUT(0)[0], OUT(0)[1]))
CASE(adm_dwt_vert, kernels.adm.dwt_vert(FOUR(1), W, OUT(0)[0], OUT(0)[1]))
CASE(adm_dwt_horz_fine, kernels.adm.dwt_horz_fine(HALF(0), HALF(1), W / 2, (int16_t *)OUT(3)[0], OUT(0)))
CASE(adm_dwt_horz, kernels.adm.dwt_horz(O(1)[0], O(1)[1], 16, W / 2, OUT(3)[0], OUT(0)))
CASE(adm_decouple_fine, kernels.adm.decouple[0](O(0), T(0), W, 1.2, OUT(0), OUT(3)))
CASE(adm_decouple_coarse, kernels.adm.decouple[1](O(1), T(1), W, 1.2, OUT(0), OUT(3)))
CASE(adm_weigh_fine, kernels.adm.weigh[0](O(0), W, &gains[0], OUT(0)[0], OUT(0)[1]))
CASE(adm_weigh_coarse, kernels.adm.weigh[1](O(1), W, &gains[1], OUT(0)[0], OUT(0)[1]))
CASE(adm_numerator_fine, kernels.adm.numerator[0](O(0), N(0), T(0)[0], W, &gains[0], nums))
CASE(adm_numerator_coarse, kernels.adm.numerator[1](O(1), N(0), T(0)[0], W, &gains[1], nums))
CASE(adm_denominator_fine, kernels.adm.denominator[0](O(0), W, 0, 0, energies))
CASE(adm_denominator_coarse, kernels.adm.denominator[1](O(1), W, 30, 9, energies))
CASE(ciede_row, kernels.ciede.row((VmafxCiedeRows){ r10[0], r10[6], r10[12] },
                                  (VmafxCiedeRows){ d10[0], d10[6], d10[12] }, W, 10, ciede_known, float_out))
CASE(hvs_row8, hvs_sum = kernels.hvs.row8(r8, d8, W / VMAFX_HVS_STEP, &hvs_tables, hvs_sum))
CASE(hvs_row16, hvs_sum = kernels.hvs.row16(r10, d10, W / VMAFX_HVS_STEP, &hvs_tables, hvs_sum))
CASE(sse_row8, total += kernels.sse.row8(r8[0], d8[0], W))
CASE(sse_row12, total += kernels.sse.row12(r10[0], d10[0], W))
CASE(sse_row16, total += kernels.sse.row16(r10[0], d10[0], W))
CASE(ssim_blur_row, kernels.ssim.blur_row(float_rows[0], W, float_out))
CASE(ssim_blur_column, kernels.ssim.blur_column(float_rows, W, float_out))
CASE(ssim_decimate, kernels.ssim.decimate(float_rows[0], float_rows[1], 9, 2, W / 2, doubles[0]))
CASE(ssim_similarity, kernels.ssim.similarity(&(VmafxSsimMoments){ float_rows[0], float_rows[1], float_rows[2],
                                                                   float_rows[3], float_rows[4] },
                                              &ssim_constants, W, doubles[0], doubles[1], doubles[2]))

static void float_adm_split(void)
{
    const VmafxFloatAdmSplit r = split_rows(0), a = split_rows(6);

    for (int turn = 0; turn < TURNS; turn++)
        kernels.float_adm.split(float_rows, float_rows + 3, W, &float_gains, &r, &a);
}

static void float_adm_visible(void)
{
    const VmafxFloatAdmSplit masker = split_rows(0), *const around[3] = { &masker, &masker, &masker };

    for (int turn = 0; turn < TURNS; turn++)
        kernels.float_adm.visible(around, float_rows, W, true, float_to + 9);
}

CASE(floats_convert8, kernels.floats.convert8(r8[0], W, float_out))
CASE(floats_convert16, kernels.floats.convert16(r10[0], 0.25F, W, float_out))
CASE(floats_down, kernels.floats.down(float_rows, float_taps, 5, W, float_out))
CASE(floats_along, kernels.floats.along(float_rows[0], float_taps, 17, 1, W, float_out))
CASE(floats_along_second, kernels.floats.along(float_rows[0], float_taps, 9, 2, W / 2, float_out))
CASE(floats_difference, kernels.floats.difference(float_rows[0], float_rows[1], W, float_out))
CASE(floats_sum, kernels.floats.sum(float_rows, 9, W, float_out))
CASE(float_adm_wavelet_down, kernels.float_adm.wavelet_down(float_rows, W, float_to[0], float_to[1]))
CASE(float_adm_wavelet_along,
     kernels.float_adm.wavelet_along(float_rows[0], float_rows[1], W / 2, float_to[0], float_to + 1))
CASE(float_adm_magnitude, kernels.float_adm.magnitude(float_rows[0], 0.0174F, W, true, float_out))
CASE(float_vif_moments, kernels.float_vif.moments(float_rows, float_rows + 1, float_taps, 17, W, float_to))
CASE(float_vif_information, kernels.float_vif.information(float_rows, &vif_noise, W, float_to[0], float_to[1]))

/* ---- The clip ---- */

static const char *const features[] = { "vif",   "adm",   "motion",       "psnr",      "psnr_hvs",  "float_ssim",
                                        "ciede", "cambi", "speed_chroma", "float_vif", "float_adm", "float_motion" };
enum { CLIP_FRAMES = 3 };
static VmafxPicture clip[CLIP_FRAMES][2];
static VmafxEngine *engine;

static void score_clip(void)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = VMAFX_OK;

    for (int t = 0; t < CLIP_FRAMES && !err; t++)
        err = vmafx_engine_push_pictures(engine, &clip[t][0], &clip[t][1], &info);
    if (!err)
        err = vmafx_engine_finish(engine, &info);
    if (err) {
        fprintf(stderr, "instructions: %s\n", info.message);
        exit(1);
    }
}

static void make_clip(void)
{
    Pattern pattern;

    if (!pattern_parse("bands_256x216_420_8b_3f_s1", &pattern))
        exit(1);
    for (int t = 0; t < CLIP_FRAMES; t++) {
        pattern_picture_init(&pattern.shape, &clip[t][0]);
        pattern_picture_init(&pattern.shape, &clip[t][1]);
        if (!pattern_frame(&pattern, t, &clip[t][0], &clip[t][1]))
            exit(1);
    }
}

/* ---- What callgrind watches ---- */

void instructions_measured(void (*work)(void));

__attribute__((noinline, noclone)) void instructions_measured(void (*work)(void))
{
    work();
    __asm__ volatile("" ::: "memory"); /* no tail call: callgrind notes the count when this returns */
}

static void measure(const char *group, const char *name, void (*work)(void))
{
    printf("%s/%s\n", group, name);
    instructions_measured(work);
}

static void measure_kernels(void)
{
    make_picture();
#define MEASURE(name) measure("kernel", #name, name)
    MEASURE(vif_vert8);
    MEASURE(vif_vert16);
    MEASURE(vif_measure);
    MEASURE(vif_down_vert8);
    MEASURE(vif_down_vert16);
    MEASURE(vif_down_horz);
    MEASURE(motion_vert8);
    MEASURE(motion_vert16);
    MEASURE(motion_horz_sad);
    MEASURE(adm_dwt_vert8);
    MEASURE(adm_dwt_vert16);
    MEASURE(adm_dwt_vert_second);
    MEASURE(adm_dwt_vert);
    MEASURE(adm_dwt_horz_fine);
    MEASURE(adm_dwt_horz);
    MEASURE(adm_decouple_fine);
    MEASURE(adm_decouple_coarse);
    MEASURE(adm_weigh_fine);
    MEASURE(adm_weigh_coarse);
    MEASURE(adm_numerator_fine);
    MEASURE(adm_numerator_coarse);
    MEASURE(adm_denominator_fine);
    MEASURE(adm_denominator_coarse);
    MEASURE(ciede_row);
    MEASURE(hvs_row8);
    MEASURE(hvs_row16);
    MEASURE(sse_row8);
    MEASURE(sse_row12);
    MEASURE(sse_row16);
    MEASURE(ssim_blur_row);
    MEASURE(ssim_blur_column);
    MEASURE(ssim_decimate);
    MEASURE(ssim_similarity);
    MEASURE(floats_convert8);
    MEASURE(floats_convert16);
    MEASURE(floats_down);
    MEASURE(floats_along);
    MEASURE(floats_along_second);
    MEASURE(floats_difference);
    MEASURE(floats_sum);
    MEASURE(float_adm_wavelet_down);
    MEASURE(float_adm_wavelet_along);
    MEASURE(float_adm_split);
    MEASURE(float_adm_visible);
    MEASURE(float_adm_magnitude);
    MEASURE(float_vif_moments);
    MEASURE(float_vif_information);
}

static int measure_clip(unsigned cpu_disabled)
{
    make_clip();
    for (size_t i = 0; i < VMAFX_LEN(features); i++) {
        VmafxErrInfo info = { 0 };
        VmafxErr err = vmafx_engine_new(&(VmafxEngineSettings){ .cpu_disabled = cpu_disabled }, &engine);

        if (!err)
            err = feature_text_add(engine, features[i], &info);
        if (err) {
            fprintf(stderr, "instructions: %s: %s\n", features[i], info.message);
            return 1;
        }
        measure("clip", features[i], score_clip);
        vmafx_engine_free(&engine);
    }
    for (int t = 0; t < CLIP_FRAMES; t++)
        for (int side = 0; side < 2; side++)
            pattern_picture_done(&clip[t][side]);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    bool avx2 = !strcmp(what, "avx2");

    if (!strcmp(what, "compiler")) {
#ifdef __clang__
        printf("%s\n", __VERSION__);
#else
        printf("gcc %s\n", __VERSION__);
#endif
        return 0;
    }
    if (!avx2 && strcmp(what, "c") != 0) {
        fprintf(stderr, "usage: instructions compiler|c|avx2\n");
        return 2;
    }
    if (avx2 && !(vmafx_cpu_detect() & VMAFX_CPU_AVX2))
        return 77;
    vmafx_kernels_init(&kernels, avx2 ? VMAFX_CPU_AVX2 : 0);
    measure_kernels();
    return measure_clip(avx2 ? VMAFX_CPU_AVX512 : ~0u);
}
