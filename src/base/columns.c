/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Columns of doubles, packed: bytes shuffled by their place in the double, then zstd, in a stream both ways. */

#include "base/columns.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "base/base.h"

#define MAGIC      "VXC1"
#define LEVEL      3
#define WINDOW_LOG 23 /* of a frame from outside: at most 8 MiB are kept for looking back */
#define CHUNK      ((size_t)64 << 10)
/* zstd's densest form: a block of 128 KiB in 4 bytes. Whoever promises more out of less lies. */
#define RATIO_MAX 32768

typedef struct Head {
    uint32_t n;
    uint64_t n_rows;
    uint32_t crc;
} Head;

static void put32(uint8_t *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof v);
}

static void put64(uint8_t *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof v);
}

static uint32_t get32(const uint8_t *from)
{
    uint32_t v;

    memcpy(&v, from, sizeof v);
    return le32toh(v);
}

static uint64_t get64(const uint8_t *from)
{
    uint64_t v;

    memcpy(&v, from, sizeof v);
    return le64toh(v);
}

/* The CRC goes over little-endian doubles, whatever this machine has. */
static uint32_t crc_add(uint32_t crc, const double *values, uint64_t n)
{
    uint64_t part[512];

    while (n) {
        size_t count = (size_t)VMAFX_MIN(n, VMAFX_LEN(part));

        memcpy(part, values, count * sizeof *part);
        for (size_t i = 0; i < count; i++)
            part[i] = htole64(part[i]);
        crc = (uint32_t)crc32_z(crc, (const uint8_t *)part, count * sizeof *part);
        values += count;
        n -= count;
    }
    return crc;
}

/* ---- packing ---- */

typedef struct Packer {
    ZSTD_CCtx *zstd;
    uint8_t *out; /* grows: what is packed is mostly far smaller than the bound */
    size_t len, cap;
} Packer;

static void packer_done(Packer *p)
{
    ZSTD_freeCCtx(p->zstd);
    free(p->out);
}

static VmafxErr packer_push(Packer *p, const void *data, size_t len, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = { data, len, 0 };

    for (;;) {
        if (p->cap - p->len < CHUNK) {
            size_t cap = p->cap + p->cap / 2 + CHUNK;
            uint8_t *more = realloc(p->out, cap);

            if (!more)
                return VMAFX_ERR_NOMEM;
            p->out = more;
            p->cap = cap;
        }
        ZSTD_outBuffer out = { p->out, p->cap, p->len };
        size_t left = ZSTD_compressStream2(p->zstd, &out, &in, end);

        p->len = out.pos;
        if (ZSTD_isError(left))
            return VMAFX_ERR_NOMEM; /* all that can go wrong with settings of our own */
        if (end == ZSTD_e_end ? left == 0 : in.pos == in.size)
            return VMAFX_OK;
    }
}

static VmafxErr pack_column(Packer *p, const double *values, uint64_t n_rows, uint8_t *scratch)
{
    for (int byte = 0; byte < 8; byte++)
        for (uint64_t row = 0; row < n_rows; row += CHUNK) {
            size_t count = (size_t)VMAFX_MIN(n_rows - row, CHUNK);

            for (size_t i = 0; i < count; i++) {
                uint64_t bits;

                memcpy(&bits, &values[row + i], sizeof bits);
                scratch[i] = (uint8_t)(bits >> (8 * byte));
            }
            VmafxErr err = packer_push(p, scratch, count, ZSTD_e_continue);
            if (err)
                return err;
        }
    return VMAFX_OK;
}

static bool size_allowed(uint64_t n, uint64_t n_rows)
{
    return n <= VMAFX_COLUMNS_MAX && (n ? n_rows <= VMAFX_COLUMNS_VALUES_MAX / n : n_rows == 0);
}

VmafxErr vmafx_columns_pack(const double *const *columns, size_t n, uint64_t n_rows, uint8_t **ret, size_t *ret_len)
{
    VMAFX_AUTO(packer_done) Packer p = { .zstd = ZSTD_createCCtx() };
    VMAFX_AUTO(vmafx_free_p) uint8_t *scratch = malloc(CHUNK);
    uint32_t crc = (uint32_t)crc32_z(0, NULL, 0);
    VmafxErr err;

    if (!size_allowed(n, n_rows))
        return VMAFX_ERR_LIMIT;
    if (!p.zstd || !scratch || !(p.out = malloc(VMAFX_COLUMNS_HEAD + CHUNK)))
        return VMAFX_ERR_NOMEM;
    p.len = VMAFX_COLUMNS_HEAD;
    p.cap = VMAFX_COLUMNS_HEAD + CHUNK;
    uint64_t bytes = n * n_rows * sizeof(double);
    if (ZSTD_isError(ZSTD_CCtx_setParameter(p.zstd, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(p.zstd, bytes)))
        return VMAFX_ERR_NOMEM;
    for (size_t c = 0; c < n; c++) {
        crc = crc_add(crc, columns[c], n_rows);
        err = pack_column(&p, columns[c], n_rows, scratch);
        if (err)
            return err;
    }
    err = packer_push(&p, NULL, 0, ZSTD_e_end);
    if (err)
        return err;

    memcpy(p.out, MAGIC, 4);
    put32(p.out + 4, (uint32_t)n);
    put64(p.out + 8, n_rows);
    put64(p.out + 16, bytes);
    put32(p.out + 24, crc);
    uint8_t *fit = realloc(p.out, p.len);
    *ret = fit ? fit : p.out;
    p.out = NULL;
    *ret_len = p.len;
    return VMAFX_OK;
}

/* ---- unpacking ---- */

static VmafxErr read_head(const uint8_t *data, size_t len, Head *ret, VmafxErrInfo *reterr)
{
    if (len < VMAFX_COLUMNS_HEAD || memcmp(data, MAGIC, 4) != 0)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns do not begin with \"%s\" and a head of %d bytes",
                          MAGIC, VMAFX_COLUMNS_HEAD);
    Head head = { get32(data + 4), get64(data + 8), get32(data + 24) };
    if (!size_allowed(head.n, head.n_rows))
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "packed columns: %u columns of %llu rows are too many", head.n,
                          (unsigned long long)head.n_rows);
    if (get64(data + 16) != head.n * head.n_rows * sizeof(double))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns: the head contradicts itself about the size");
    *ret = head;
    return VMAFX_OK;
}

VmafxErr vmafx_columns_head(const uint8_t *data, size_t len, size_t *ret_n, uint64_t *ret_rows)
{
    Head head = { 0 };
    VmafxErr err = read_head(data, len, &head, NULL);

    if (err)
        return err;
    *ret_n = head.n;
    *ret_rows = head.n_rows;
    return VMAFX_OK;
}

/* A double's bits, in the memory of the double. */
typedef uint64_t __attribute__((may_alias)) Bits;

/* Where the next byte of the stream belongs. */
typedef struct Place {
    uint64_t column, row;
    int byte;
} Place;

/* false: more bytes than there are places. */
static bool scatter(Bits *bits, const Head *head, Place *at, const uint8_t *bytes, size_t len)
{
    while (len) {
        if (at->column == head->n)
            return false;
        size_t count = (size_t)VMAFX_MIN(head->n_rows - at->row, len);
        Bits *to = bits + at->column * head->n_rows + at->row;

        for (size_t i = 0; i < count; i++)
            to[i] |= (uint64_t)bytes[i] << (8 * at->byte);
        bytes += count;
        len -= count;
        at->row += count;
        if (at->row == head->n_rows) {
            at->row = 0;
            if (++at->byte == 8) {
                at->byte = 0;
                at->column++;
            }
        }
    }
    return true;
}

static void free_dctx(ZSTD_DCtx **zstd)
{
    ZSTD_freeDCtx(*zstd);
}

static VmafxErr unpack_frame(const uint8_t *data, size_t len, const Head *head, Bits *bits, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(free_dctx) ZSTD_DCtx *zstd = ZSTD_createDCtx();
    VMAFX_AUTO(vmafx_free_p) uint8_t *scratch = malloc(CHUNK);
    ZSTD_inBuffer in = { data, len, 0 };
    Place at = { 0 };
    size_t left = 1;

    if (!zstd || !scratch || ZSTD_isError(ZSTD_DCtx_setParameter(zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
        return VMAFX_ERR_NOMEM;
    while (left) {
        ZSTD_outBuffer out = { scratch, CHUNK, 0 };
        size_t before = in.pos;

        left = ZSTD_decompressStream(zstd, &out, &in);
        if (ZSTD_isError(left))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns are damaged: %s", ZSTD_getErrorName(left));
        if (!scatter(bits, head, &at, scratch, out.pos))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns hold more than their head says");
        if (left && in.pos == before && out.pos == 0)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns are cut off");
    }
    if (in.pos != in.size)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns are followed by %zu bytes of something else",
                          in.size - in.pos);
    if (at.column != head->n && head->n_rows)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns hold less than their head says");
    return VMAFX_OK;
}

VmafxErr vmafx_columns_unpack(const uint8_t *data, size_t len, uint64_t values_max, VmafxColumns *ret,
                              VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) double *doubles = NULL;
    Head head = { 0 };
    VmafxErr err = read_head(data, len, &head, reterr);

    if (err)
        return err;
    uint64_t values = head.n * head.n_rows;
    size_t packed = len - VMAFX_COLUMNS_HEAD;
    if (values_max && values > values_max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "packed columns hold %llu values, %llu are allowed here",
                          (unsigned long long)values, (unsigned long long)values_max);
    if (values * sizeof(double) / RATIO_MAX > packed)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns are shorter than any packing of %llu values",
                          (unsigned long long)values);
    doubles = calloc(values ? values : 1, sizeof *doubles);
    if (!doubles)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for %llu values", (unsigned long long)values);
    err = unpack_frame(data + VMAFX_COLUMNS_HEAD, packed, &head, (Bits *)doubles, reterr);
    if (err)
        return err;
    if (crc_add((uint32_t)crc32_z(0, NULL, 0), doubles, values) != head.crc)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "packed columns are damaged: the checksum differs");
    *ret = (VmafxColumns){ head.n, head.n_rows, VMAFX_TAKE(doubles) };
    return VMAFX_OK;
}

void vmafx_columns_done(VmafxColumns *columns)
{
    free(columns->values);
    *columns = (VmafxColumns){ 0 };
}
