/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * SpEED on the inside: intermediate values of two clips, to bisect a mismatch, and every kernel this machine can run
 * against the plain ones.
 *
 *     test_speed FILE             speed_intermediate.jsonl: a line per plane, in the order of the computation
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>
#include <zlib.h>

#include "base/base.h"
#include "engine/features/speed_plane.h"
#include "engine/kernels/cpu.h"
#include "fields.h"
#include "patterns.h"

#define N VMAFX_SPEED_N

static const char *intermediate_file;

/* Instruction sets that this machine has, from none up. */
static size_t levels(unsigned ret[3])
{
    unsigned cpu = vmafx_cpu_detect();
    size_t n = 0;

    ret[n++] = 0;
    if (cpu & VMAFX_CPU_AVX2)
        ret[n++] = VMAFX_CPU_AVX2;
    if (cpu & VMAFX_CPU_AVX512)
        ret[n++] = VMAFX_CPU_AVX2 | VMAFX_CPU_AVX512;
    if (cpu & VMAFX_CPU_NEON)
        ret[n++] = VMAFX_CPU_NEON;
    return n;
}

/* ---- Intermediate values ---- */

static void check_list(json_t *line, const char *key, const float *got, size_t stride)
{
    json_t *list = json_object_get(line, key), *want;
    size_t i;

    assert_true(json_is_array(list));
    json_array_foreach(list, i, want)
    {
        float v = strtof(json_string_value(want), NULL);
        if (memcmp(&v, &got[i * stride], sizeof v) != 0)
            fail_msg("%s[%zu] is %a, not %a", key, i, (double)got[i * stride], (double)v);
    }
}

static void check_crc(json_t *line, const char *key, const float *rows, size_t pitch, size_t n_rows, size_t n)
{
    uLong crc = crc32(0, NULL, 0);
    char hex[9];

    for (size_t i = 0; i < n_rows; i++)
        crc = crc32(crc, (const Bytef *)(rows + i * pitch), (uInt)(n * sizeof *rows));
    snprintf(hex, sizeof hex, "%08lx", crc);
    if (strcmp(hex, json_string_value(json_object_get(line, key))) != 0)
        fail_msg("%s is %s, not %s", key, hex, json_string_value(json_object_get(line, key)));
}

static void check_number(json_t *line, const char *key, long got)
{
    if (got != json_integer_value(json_object_get(line, key)))
        fail_msg("%s is %ld, not %lld", key, got, json_integer_value(json_object_get(line, key)));
}

static void check_scaled(json_t *line, VmafxSpeedPlane *plane, const VmafxSpeedSource *source)
{
    size_t w = (size_t)plane->scale.w, h = (size_t)plane->scale.h;
    VMAFX_AUTO(vmafx_free_p) float *scaled = calloc(w * h + (size_t)plane->scale.w0, sizeof *scaled);

    for (size_t y = 0; y < h; y++)
        vmafx_speed_scale_row(&plane->scale, source, (int)y, scaled + y * w);
    check_crc(line, "scaled_crc32", scaled, w, h, w);
}

static void check_plane(json_t *line, VmafxSpeedPlane *plane, const VmafxSpeedSource *source)
{
    size_t w = (size_t)plane->w, h = (size_t)plane->h, n_blocks = (size_t)plane->n_blocks;
    float diagonal[N];

    vmafx_speed_plane_measure(plane, source, 1);
    check_number(line, "scaled_w", plane->scale.w);
    check_number(line, "scaled_h", plane->scale.h);
    check_number(line, "op_w", plane->w);
    check_number(line, "op_h", plane->h);
    check_number(line, "blocks_x", plane->bx);
    check_number(line, "blocks_y", plane->by);
    check_scaled(line, plane, source);
    check_list(line, "low_row0", plane->low, 1);
    check_crc(line, "low_crc32", plane->low, w, h, w);
    check_list(line, "residual_row0", plane->residual, 1);
    check_crc(line, "residual_crc32", plane->residual, w, h, w);
    check_list(line, "mean", plane->means, 1);
    check_list(line, "cov_diag", plane->covariance[0], VMAFX_SPEED_PITCH + 1);
    check_list(line, "cov_row24", plane->covariance[24], 1);
    check_crc(line, "cov_crc32", plane->covariance[0], VMAFX_SPEED_PITCH, N, N);
    check_list(line, "tri_d", plane->eigen.diagonal, 1);
    check_list(line, "tri_e", plane->eigen.beside, 1);
    check_number(line, "qr_steps", plane->eigen.steps);
    check_list(line, "eigenvalues", plane->eigen.values, 1);
    assert_int_equal(!plane->sides[1].singular, json_is_true(json_object_get(line, "regular")));
    check_list(line, "entropy", plane->sides[1].entropy, 1);
    check_list(line, "S", plane->sides[1].energy, 1);
    if (plane->sides[1].singular)
        return;
    for (size_t i = 0; i < N; i++)
        diagonal[i] = plane->system.r[i][i];
    check_list(line, "R_diag", diagonal, 1);
    check_crc(line, "QtY_crc32", plane->system.t, plane->system.pitch, N, n_blocks);
    check_crc(line, "X_crc32", plane->system.x, plane->system.pitch, N, n_blocks);
}

/* The two clips of the file, both 4:4:4 with 10 bits. */
static Field field_of(json_t *line)
{
    bool dim = strstr(json_string_value(json_object_get(line, "clip")), "v09") != NULL;

    return dim ? (Field){ "dimc", 9, { "same", "blur:3" } } : (Field){ "nat", 17, { "blur:1", "blur:5" } };
}

static void check_line(json_t *line, unsigned cpu)
{
    const char *plane_name = json_string_value(json_object_get(line, "plane"));
    const char *options = json_string_value(json_object_get(line, "options"));
    const Field field = field_of(line);
    const VmafxSpeedSettings settings = { strstr(options, "speed_prescale=0.6") ? 0.6 : 1,
                                          strstr(options, "bilinear") ? VMAFX_SPEED_BILINEAR : VMAFX_SPEED_NEAREST, 1,
                                          0.19F };
    VmafxPicture shape, pictures[2];
    VmafxKernels kernels;
    VmafxSpeedPlane plane;

    if (!plane_name)
        return; /* the scores */
    vmafx_kernels_init(&kernels, cpu);
    pattern_shape(512, 384, 10, 444, &shape);
    for (int i = 0; i < 2; i++)
        pattern_picture_init(&shape, &pictures[i]);
    field_frame(&field, 0, &pictures[0], &pictures[1]);
    assert_int_equal(vmafx_speed_plane_init(&plane, &kernels, &settings, 512, 384), VMAFX_OK);
    bool dis = !strcmp(json_string_value(json_object_get(line, "side")), "distorted");
    check_plane(line, &plane, &(VmafxSpeedSource){ &pictures[dis].planes[plane_name[0] == 'U' ? 1 : 2], NULL });
    vmafx_speed_plane_done(&plane);
    for (int i = 0; i < 2; i++)
        pattern_picture_done(&pictures[i]);
}

static void planes_have_the_specified_values_on_the_way(void **state)
{
    FILE *f = fopen(intermediate_file, "r");
    unsigned cpu[3];
    size_t n_levels = levels(cpu), n = 0;

    (void)state;
    assert_non_null(f);
    for (json_t *line; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)); n++) {
        check_line(line, cpu[n % n_levels]);
        json_decref(line);
    }
    fclose(f);
    assert_true(n >= 8);
}

/* ---- Kernels ---- */

#define ROW_BYTES 8192

static uint32_t seed = 7;

/* A row of n values that ends where one more read would fault; of all sizes, some of them negative zeros. */
static float *guarded_row(int n)
{
    char *pages = mmap(NULL, 2 * ROW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + ROW_BYTES, ROW_BYTES, PROT_NONE), 0);
    float *row = (float *)(void *)(pages + ROW_BYTES) - n;
    for (int i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        row[i] = seed % 11 ? (float)((int32_t)seed) * 0x1p-20F : -0.0F;
    }
    return row;
}

static void release_row(const float *row, int n)
{
    munmap((char *)(uintptr_t)(row + n) - ROW_BYTES, 2 * ROW_BYTES);
}

static void compare_sums(const VmafxSpeedKernels *c, const VmafxSpeedKernels *k, int n)
{
    const float *rows[VMAFX_SPEED_SIDE];
    float want[N] = { 0 }, got[N] = { 0 };
    VmafxSpeedSums want2 = { { 0 } }, got2 = { { 0 } };
    const int room = n + VMAFX_SPEED_SIDE - 1 + VMAFX_SPEED_SLACK;

    for (int i = 0; i < VMAFX_SPEED_SIDE; i++)
        rows[i] = guarded_row(room);
    c->sum_row(rows, n, want);
    k->sum_row(rows, n, got);
    assert_memory_equal(want, got, sizeof want);
    c->covary_row(rows, n, want, want2);
    k->covary_row(rows, n, want, got2);
    for (int a = 0; a < N; a++)
        for (int b = 0; b <= a; b++)
            assert_memory_equal(&want2[a][VMAFX_SPEED_WIDE * (b / 5) + b % 5],
                                &got2[a][VMAFX_SPEED_WIDE * (b / 5) + b % 5], sizeof(double));
    for (int i = 0; i < VMAFX_SPEED_SIDE; i++)
        release_row(rows[i], room);
}

static void compare_rows(const VmafxSpeedKernels *c, const VmafxSpeedKernels *k, int n)
{
    float *in = guarded_row(n), *want = guarded_row(n), *got = guarded_row(n);

    memcpy(got, want, (size_t)n * sizeof *got);
    c->add_scaled(in, 0.3F, n, want);
    k->add_scaled(in, 0.3F, n, got);
    assert_memory_equal(want, got, (size_t)n * sizeof *got);
    c->subtract_scaled(in, -0.7F, n, want);
    k->subtract_scaled(in, -0.7F, n, got);
    assert_memory_equal(want, got, (size_t)n * sizeof *got);
    release_row(in, n);
    release_row(want, n);
    release_row(got, n);
}

static void compare_products(const VmafxSpeedKernels *c, const VmafxSpeedKernels *k, int n, int from)
{
    static VmafxSpeedMatrix a;
    size_t pitch = (size_t)(n + VMAFX_SPEED_COLUMNS - 1) / VMAFX_SPEED_COLUMNS * VMAFX_SPEED_COLUMNS, all = N * pitch;
    float *b = guarded_row((int)all), *y = guarded_row((int)all), *want = guarded_row((int)all),
          *got = guarded_row((int)all);
    int first = VMAFX_MIN(from, n - 1);

    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = (float)((i * 31 + j * 7) % 13) - 6.3F;
    memcpy(got, want, all * sizeof *got);
    c->multiply(a, b, pitch, from, first, n, want, pitch);
    k->multiply(a, b, pitch, from, first, n, got, pitch);
    for (size_t i = (size_t)from; i < N; i++)
        assert_memory_equal(want + i * pitch + first, got + i * pitch + first, (size_t)(n - first) * sizeof *got);
    c->block_energy(b, y, pitch, n, want);
    k->block_energy(b, y, pitch, n, got);
    assert_memory_equal(want, got, (size_t)n * sizeof *got);
    release_row(b, (int)all);
    release_row(y, (int)all);
    release_row(want, (int)all);
    release_row(got, (int)all);
}

static void variants_equal_the_plain_kernels(void **state)
{
    unsigned cpu[3];
    size_t n_levels = levels(cpu);
    VmafxSpeedKernels c, k;

    (void)state;
    vmafx_speed_kernels_init(&c, 0);
    for (size_t l = 1; l < n_levels; l++) {
        vmafx_speed_kernels_init(&k, cpu[l]);
        for (int n = 1; n <= 70; n++) {
            compare_sums(&c, &k, n);
            compare_rows(&c, &k, n);
            compare_products(&c, &k, 1 + n / 2, n % N);
        }
    }
}

/* ---- Algebra ---- */

static void simple_matrices_have_simple_answers(void **state)
{
    static VmafxSpeedMatrix matrix;
    static VmafxSpeedSystem system;
    static float room[3][N][VMAFX_SPEED_COLUMNS];
    VmafxSpeedKernels kernels;
    VmafxSpeedEigen eigen;

    (void)state;
    vmafx_speed_kernels_init(&kernels, 0);
    vmafx_speed_eigen(matrix, &eigen);
    assert_int_equal(eigen.steps, 0);
    for (int i = 0; i < N; i++)
        assert_true(eigen.values[i] == 0);
    for (int i = 0; i < N; i++) {
        matrix[i][i] = 2;
        room[0][i][0] = (float)i - 7;
    }
    vmafx_speed_eigen(matrix, &eigen);
    for (int i = 0; i < N; i++)
        assert_true(eigen.values[i] == 2);
    system =
        (VmafxSpeedSystem){ .n = 1, .pitch = VMAFX_SPEED_COLUMNS, .y = room[0][0], .t = room[1][0], .x = room[2][0] };
    assert_true(vmafx_speed_solve(&kernels, matrix, &system));
    for (int i = 0; i < N; i++)
        assert_true(room[2][i][0] == ((float)i - 7) / 2);
}

static void kernel_scales_are_those_of_the_list(void **state)
{
    static const float good[] = { 1, 1.0004F, 0.5F, 3.71134F, 2.4F, 0.444444F }, bad[] = { 1.01F, 0.9F, 4, 0.1F };

    (void)state;
    for (size_t i = 0; i < VMAFX_LEN(good); i++)
        assert_true(vmafx_speed_kernel_scale_known(good[i]));
    for (size_t i = 0; i < VMAFX_LEN(bad); i++)
        assert_false(vmafx_speed_kernel_scale_known(bad[i]));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planes_have_the_specified_values_on_the_way),
        cmocka_unit_test(variants_equal_the_plain_kernels),
        cmocka_unit_test(simple_matrices_have_simple_answers),
        cmocka_unit_test(kernel_scales_are_those_of_the_list),
    };

    if (argc != 2)
        return 2;
    intermediate_file = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
