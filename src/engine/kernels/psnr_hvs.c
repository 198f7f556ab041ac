/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Blocks of PSNR-HVS-M in plain C: the definition. */

#include "engine/kernels/psnr_hvs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <vmafx/engine.h>

#include "engine/kernels/cpu.h"
#if VMAFX_ARCH_ARM64
#include "engine/kernels/arm/arm.h"
#elif VMAFX_ARCH_X86
#include "engine/kernels/x86/x86.h"
#endif

#define SIDE VMAFX_HVS_SIDE

/* ---- The transform ---- */

static inline int32_t half(int32_t v)
{
    return v / 2; /* towards zero */
}

static inline int32_t lift(int32_t v, int32_t factor, int bits)
{
    return (v * factor + (1 << (bits - 1))) >> bits;
}

/* Down each of eight columns; a lane is a column. */
static void transform_columns(int32_t v[SIDE][SIDE])
{
    for (int x = 0; x < SIDE; x++) {
        int32_t d = v[0][x] - v[7][x], d_half = half(d), a = v[0][x] - d_half;
        int32_t b = v[1][x] + v[6][x], b_half = half(b), e = v[6][x] - b_half;
        int32_t f = v[2][x] - v[5][x], c = v[2][x] - half(f);
        int32_t g = v[3][x] + v[4][x], g_half = half(g), h = g_half - v[4][x];

        a += g_half;
        g = a - g;
        c = b_half - c;
        b = c - b;
        a -= lift(b, 13573, 15);
        b += lift(a, 11585, 14);
        a -= lift(b, 13573, 15);
        g -= lift(c, 21895, 15);
        c += lift(g, 15137, 14);
        g -= lift(c, 21895, 15);

        f += lift(e, 19195, 15);
        e += lift(f, 11585, 14);
        f -= lift(e, 7489, 13);
        h = half(e) - h;
        e -= h;
        f = d_half - f;
        d -= f;
        h += lift(d, 3227, 15);
        d -= lift(h, 6393, 15);
        h += lift(d, 3227, 15);
        e += lift(f, 2485, 13);
        f -= lift(e, 18205, 15);
        e += lift(f, 2485, 13);

        v[0][x] = a;
        v[1][x] = d;
        v[2][x] = c;
        v[3][x] = f;
        v[4][x] = b;
        v[5][x] = e;
        v[6][x] = g;
        v[7][x] = h;
    }
}

static void transpose(int32_t v[SIDE][SIDE])
{
    for (int i = 0; i < SIDE; i++)
        for (int j = i + 1; j < SIDE; j++) {
            int32_t t = v[i][j];
            v[i][j] = v[j][i];
            v[j][i] = t;
        }
}

void vmafx_hvs_transform(int32_t block[SIDE][SIDE])
{
    transform_columns(block);
    transpose(block);
    transform_columns(block);
    transpose(block);
}

/* ---- Blocks ---- */

/* How much more the quarters vary than the whole: 0 for a flat block. */
static float texture(const int32_t block[SIDE][SIDE])
{
    const float whole_scale = 1.0F / 63.0F * 64.0F, quarter_scale = 1.0F / 15.0F * 16.0F;
    int32_t sums[2][2] = { { 0 } };
    float quarters[2][2] = { { 0 } }, whole = 0;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            sums[i / 4][j / 4] += block[i][j];
    float mean = (float)(sums[0][0] + sums[0][1] + sums[1][0] + sums[1][1]) / 64.0F;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            float v = (float)block[i][j], from_whole = v - mean, from_quarter = v - (float)sums[i / 4][j / 4] / 16.0F;

            whole = whole + from_whole * from_whole;
            quarters[i / 4][j / 4] = quarters[i / 4][j / 4] + from_quarter * from_quarter;
        }
    whole = whole * whole_scale;
    for (int i = 0; i < 4; i++)
        quarters[i / 2][i % 2] = quarters[i / 2][i % 2] * quarter_scale;
    return whole > 0 ? (quarters[0][0] + quarters[1][0] + quarters[0][1] + quarters[1][1]) / whole : whole;
}

static float masking(const int32_t t[SIDE][SIDE], float texture_of_it, const VmafxHvsTables *tables)
{
    float energy = 0;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            if (i || j)
                energy = energy + (float)(t[i][j] * t[i][j]) * tables->masks[i][j];
    return (float)(sqrt((double)(energy * texture_of_it)) / 32);
}

static float block_error(int32_t ref[SIDE][SIDE], int32_t dis[SIDE][SIDE], const VmafxHvsTables *tables, float so_far)
{
    float texture_ref = texture((const int32_t(*)[SIDE])ref), texture_dis = texture((const int32_t(*)[SIDE])dis);

    vmafx_hvs_transform(ref);
    vmafx_hvs_transform(dis);
    float mask_ref = masking((const int32_t(*)[SIDE])ref, texture_ref, tables);
    float mask_dis = masking((const int32_t(*)[SIDE])dis, texture_dis, tables);
    float mask = mask_dis > mask_ref ? mask_dis : mask_ref;

    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            float d = (float)abs(ref[i][j] - dis[i][j]);

            if (i || j) {
                float hidden = mask / tables->masks[i][j];
                d = d < hidden ? 0 : d - hidden;
            }
            so_far = so_far + (d * tables->seen[i][j]) * (d * tables->seen[i][j]);
        }
    return so_far;
}

#define ROW(name, type)                                                                                                \
    static float name(const type *const *ref, const type *const *dis, int n, const VmafxHvsTables *tables,             \
                      float so_far)                                                                                    \
    {                                                                                                                  \
        for (int b = 0; b < n; b++) {                                                                                  \
            int32_t blocks[2][SIDE][SIDE];                                                                             \
                                                                                                                       \
            for (int i = 0; i < SIDE; i++)                                                                             \
                for (int j = 0; j < SIDE; j++) {                                                                       \
                    blocks[0][i][j] = ref[i][b * VMAFX_HVS_STEP + j];                                                  \
                    blocks[1][i][j] = dis[i][b * VMAFX_HVS_STEP + j];                                                  \
                }                                                                                                      \
            if (memcmp(blocks[0], blocks[1], sizeof blocks[0]) != 0) /* equal ones add exactly 0 */                    \
                so_far = block_error(blocks[0], blocks[1], tables, so_far);                                            \
        }                                                                                                              \
        return so_far;                                                                                                 \
    }

ROW(row8, uint8_t)
ROW(row16, uint16_t)

const VmafxHvsKernels vmafx_hvs_kernels_c = { .row8 = row8, .row16 = row16 };

void vmafx_hvs_kernels_init(VmafxHvsKernels *k, unsigned cpu)
{
    *k = vmafx_hvs_kernels_c;
#if VMAFX_ARCH_X86
    if (cpu & VMAFX_CPU_AVX2)
        vmafx_hvs_kernels_init_avx2(k);
    if (cpu & VMAFX_CPU_AVX512)
        vmafx_hvs_kernels_init_avx512(k);
#elif VMAFX_ARCH_ARM64
    if (cpu & VMAFX_CPU_NEON)
        vmafx_hvs_kernels_init_neon(k);
#endif
}
