/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* PSNR-HVS-M with NEON: 8 blocks at a time. */

#include "engine/kernels/arm/arm.h"
#include "engine/kernels/arm/words.h"

#define BLOCKS     8
#define VEC        int16x8_t
#define FLOATS     float32x4_t
#define firsts16   vzip1q_s16
#define seconds16  vzip2q_s16
#define scaled16   vqrdmulhq_n_s16
#define all_floats vdupq_n_f32
#define get_floats vld1q_f32
#define put_floats vst1q_f32
#define larger     vmaxnmq_f32
#define magnitude  vabsq_f32
#define root       vsqrtq_f32
#define rounded    vrndnq_f32

static inline int16x8_t get(const void *p)
{
    return vld1q_s16(p);
}

static inline void put(void *p, int16x8_t v)
{
    vst1q_s16(p, v);
}

static inline int16x8_t half16(int16x8_t v)
{
    return vhsubq_s16(v, vshrq_n_s16(v, 15)); /* one more where it is negative, halved downwards */
}

static inline int16x8_t low_bytes(int16x8_t v)
{
    return vandq_s16(v, all16(255));
}

static inline int16x8_t high_bytes(int16x8_t v)
{
    return vreinterpretq_s16_u16(vshrq_n_u16(vreinterpretq_u16_s16(v), 8));
}

static inline int16x8_t firsts32(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_s32(vzip1q_s32(vreinterpretq_s32_s16(a), vreinterpretq_s32_s16(b)));
}

static inline int16x8_t seconds32(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_s32(vzip2q_s32(vreinterpretq_s32_s16(a), vreinterpretq_s32_s16(b)));
}

static inline int16x8_t firsts64(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_s64(vzip1q_s64(vreinterpretq_s64_s16(a), vreinterpretq_s64_s16(b)));
}

static inline int16x8_t seconds64(int16x8_t a, int16x8_t b)
{
    return vreinterpretq_s16_s64(vzip2q_s64(vreinterpretq_s64_s16(a), vreinterpretq_s64_s16(b)));
}

static inline int16x8_t pairs(const uint8_t *p)
{
    return vreinterpretq_s16_u8(vcombine_u8(vld1_u8(p), vld1_u8(p + 7)));
}

static inline int16x8_t eights(const uint16_t *p)
{
    return vreinterpretq_s16_u16(vld1q_u16(p));
}

static inline float32x4_t floats(const int16_t *p)
{
    return vcvtq_f32_s32(vmovl_s16(vld1_s16(p)));
}

static inline float32x4_t whole_floats(const uint16_t *p)
{
    return vcvtq_f32_u32(vmovl_u16(vld1_u16(p)));
}

static inline float32x4_t apart(const int16_t *p, const int16_t *q)
{
    return vcvtq_f32_s32(vabdl_s16(vld1_s16(p), vld1_s16(q)));
}

static inline float32x4_t quotient(float32x4_t a, float32x4_t b)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(vdivq_f32(a, b)), vcgtzq_f32(b)));
}

#include "engine/kernels/psnr_hvs_simd.h"

void vmafx_hvs_kernels_init_neon(VmafxHvsKernels *k)
{
    *k = (VmafxHvsKernels){ .row8 = row8_fast, .row16 = row16_fast };
}
