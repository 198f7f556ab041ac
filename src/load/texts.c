/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Numbers in texts of the kernel. A cursor moves through the text and never past its end. */

#include "load/texts.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define TICKS_MAX  (UINT64_C(1) << 56) /* no machine has run that long; sums of a few cannot overflow */
#define KIB_MAX    (INT64_MAX / 1024)
#define PAGES_MAX  (UINT64_C(1) << 48)
#define STAT_TIMES 8
#define STAT_LEAST 4 /* user, nice, system, idle: since Linux 2.4; the others came later */

static void skip_blanks(const char **at)
{
    *at += strspn(*at, " \t");
}

/* Decimal digits; more than 64 bits are none. */
static bool take_number(const char **at, uint64_t *ret)
{
    uint64_t n = 0;
    const char *p;

    skip_blanks(at);
    for (p = *at; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(n, 10u, &n) || __builtin_add_overflow(n, (unsigned)(*p - '0'), &n))
            return false;
    if (p == *at)
        return false;
    *at = p;
    *ret = n;
    return true;
}

static bool at_end(const char *at)
{
    return !at[strspn(at, " \t\r\n")];
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return line + (*line == '\n');
}

/* What stands behind the word that the line begins with; NULL: another word. */
static const char *after(const char *line, const char *word)
{
    size_t n = strlen(word);

    return strncmp(line, word, n) == 0 ? line + n : NULL;
}

/* ---- /proc/stat ---- */

static bool take_times(const char *at, VmafxCpuTimes *times)
{
    uint64_t t[STAT_TIMES] = { 0 };
    size_t n = 0;

    while (n < STAT_TIMES && take_number(&at, &t[n])) {
        if (t[n] > TICKS_MAX)
            return false;
        n++;
    }
    if (n < STAT_LEAST)
        return false;
    *times = (VmafxCpuTimes){ .user = t[0],
                              .nice = t[1],
                              .system = t[2],
                              .idle = t[3],
                              .iowait = t[4],
                              .interrupt = t[5] + t[6],
                              .steal = t[7] };
    return true;
}

bool vmafx_load_parse_stat(const char *text, VmafxCpuTimes *ret)
{
    VmafxCpuTimes times;
    bool found = false;
    int cpus = 0;

    for (const char *line = text; *line; line = next_line(line)) {
        const char *rest = after(line, "cpu");

        if (rest && *rest == ' ' && !found)
            found = take_times(rest, &times);
        else if (rest && *rest >= '0' && *rest <= '9' && cpus < INT_MAX)
            cpus++;
    }
    if (!found)
        return false;
    times.cpus = VMAFX_MAX(cpus, 1);
    *ret = times;
    return true;
}

/* ---- /proc/meminfo ---- */

bool vmafx_load_parse_meminfo(const char *text, VmafxMemoryUse *ret)
{
    VmafxMemoryUse use = { .total = -1, .available = -1 };
    const struct {
        const char *word;
        int64_t *to;
    } rows[] = { { "MemTotal:", &use.total },
                 { "MemAvailable:", &use.available },
                 { "MemFree:", &use.free },
                 { "Buffers:", &use.buffers },
                 { "Cached:", &use.cached } };

    for (const char *line = text; *line; line = next_line(line))
        for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
            const char *rest = after(line, rows[i].word);
            uint64_t kib;

            if (rest && take_number(&rest, &kib) && kib <= (uint64_t)KIB_MAX)
                *rows[i].to = (int64_t)kib * 1024;
        }
    if (use.total <= 0)
        return false;
    /* The three are parts of the whole. */
    use.free = VMAFX_MIN(use.free, use.total);
    use.buffers = VMAFX_MIN(use.buffers, use.total - use.free);
    use.cached = VMAFX_MIN(use.cached, use.total - use.free - use.buffers);
    if (use.available < 0)
        use.available = use.free + use.buffers + use.cached;
    use.available = VMAFX_MIN(use.available, use.total);
    *ret = use;
    return true;
}

/* ---- /proc/PID ---- */

bool vmafx_load_parse_process(const char *text, VmafxProcessUse *ret)
{
    /* Numbers of fields as proc(5) has them; the one behind the name's bracket is 3. */
    enum { STATE = 3, UTIME = 14, STIME, CUTIME, CSTIME, RSS = 24 };
    const char *at = strrchr(text, ')');
    uint64_t value[RSS + 1] = { 0 };

    if (!at)
        return false;
    at++;
    for (int field = STATE; field <= RSS; field++) {
        skip_blanks(&at);
        size_t len = strcspn(at, " \t\n");
        if (!len)
            return false;
        const char *p = at;
        bool wanted = (field >= UTIME && field <= CSTIME) || field == RSS;
        if (wanted &&
            (!take_number(&p, &value[field]) || p != at + len || value[field] > (field == RSS ? PAGES_MAX : TICKS_MAX)))
            return false;
        at += len;
    }
    *ret = (VmafxProcessUse){ .ticks = value[UTIME] + value[STIME],
                              .children_ticks = value[CUTIME] + value[CSTIME],
                              .rss_pages = value[RSS] };
    return true;
}

size_t vmafx_load_parse_pids(const char *text, int *ret, size_t max)
{
    uint64_t pid;
    size_t n = 0;

    while (n < max && take_number(&text, &pid) && pid && pid <= INT_MAX)
        ret[n++] = (int)pid;
    return n;
}

/* ---- Small files ---- */

bool vmafx_load_parse_number(const char *text, int64_t *ret)
{
    uint64_t n;

    if (!take_number(&text, &n) || n > INT64_MAX || !at_end(text))
        return false;
    *ret = (int64_t)n;
    return true;
}

bool vmafx_load_parse_hex(const char *text, uint32_t *ret)
{
    static const char digits[] = "0123456789abcdef";
    uint32_t n = 0;
    size_t len = 0;

    if (text[0] != '0' || text[1] != 'x')
        return false;
    for (text += 2; *text; text++, len++) {
        const char *digit = strchr(digits, *text | (*text >= 'A' && *text <= 'F' ? 0x20 : 0));
        if (!digit)
            break;
        n = n << 4 | (uint32_t)(digit - digits);
    }
    if (len < 1 || len > 8 || !at_end(text))
        return false;
    *ret = n;
    return true;
}

bool vmafx_load_parse_member(const char *text, const char *key, int64_t *ret)
{
    for (const char *line = text; *line; line = next_line(line)) {
        const char *rest = after(line, key);
        uint64_t n;

        if (!rest || *rest != ' ' || !take_number(&rest, &n) || n > INT64_MAX || (*rest && *rest != '\n'))
            continue;
        *ret = (int64_t)n;
        return true;
    }
    return false;
}

bool vmafx_load_parse_variable(const char *text, const char *key, char *ret, size_t size)
{
    for (const char *line = text; *line; line = next_line(line)) {
        const char *rest = after(line, key);

        if (!rest || *rest != '=')
            continue;
        size_t len = VMAFX_MIN(strcspn(rest + 1, "\r\n"), size - 1);
        memcpy(ret, rest + 1, len);
        ret[len] = 0;
        return true;
    }
    return false;
}

bool vmafx_load_parse_cpu_max(const char *text, double *ret)
{
    uint64_t quota, period;

    if (!take_number(&text, &quota) || !take_number(&text, &period) || !quota || !period || !at_end(text))
        return false;
    *ret = (double)quota / (double)period;
    return true;
}
