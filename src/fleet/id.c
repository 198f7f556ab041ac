/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Ids of jobs: UUIDs of version 7 (RFC 9562, section 5.7). */

#include "fleet/fleet.h"

#include <string.h>

void vmafx_job_id_make(VmafxWall now, const uint8_t random[10], VmafxJobId *ret)
{
    uint64_t ms = now > 0 ? (uint64_t)now / 1000 : 0;

    for (int i = 0; i < 6; i++)
        ret->bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    memcpy(ret->bytes + 6, random, 10);
    ret->bytes[6] = (uint8_t)(0x70 | (ret->bytes[6] & 0x0f)); /* version 7 */
    ret->bytes[8] = (uint8_t)(0x80 | (ret->bytes[8] & 0x3f)); /* variant of the RFC */
}

static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void vmafx_job_id_text(const VmafxJobId *id, char ret[VMAFX_JOB_ID_TEXT])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < sizeof id->bytes; i++) {
        if (dash_before(i))
            *ret++ = '-';
        *ret++ = digits[id->bytes[i] >> 4];
        *ret++ = digits[id->bytes[i] & 15];
    }
    *ret = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

VmafxErr vmafx_job_id_parse(const char *text, VmafxJobId *ret)
{
    VmafxJobId id;

    /* A terminating zero is no digit and no dash, so nothing is read behind it. */
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        if (dash_before(i) && *text++ != '-')
            return VMAFX_ERR_SYNTAX;
        int high = digit(text[0]);
        int low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return VMAFX_ERR_SYNTAX;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return VMAFX_ERR_SYNTAX;
    *ret = id;
    return VMAFX_OK;
}

bool vmafx_job_id_is_zero(const VmafxJobId *id)
{
    static const VmafxJobId zero;

    return !memcmp(id, &zero, sizeof zero);
}

bool vmafx_attempt_same(const VmafxAttemptRef *a, const VmafxAttemptRef *b)
{
    return a->attempt == b->attempt && !memcmp(a->job.bytes, b->job.bytes, sizeof a->job.bytes);
}
