/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The retry table of OTLP, Retry-After, and exponential backoff with jitter. */

#include "otel/export/retry.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"

#define NS_PER_S UINT64_C(1000000000)

enum { RESOURCE_EXHAUSTED = 8, DATE_TEXT = 29, SECONDS_MAX = 1000000000 };

bool vmafx_retry_grpc(int code, bool has_retry_info)
{
    switch (code) {
    case 1:  /* CANCELLED */
    case 4:  /* DEADLINE_EXCEEDED */
    case 10: /* ABORTED */
    case 11: /* OUT_OF_RANGE */
    case 14: /* UNAVAILABLE */
    case 15: /* DATA_LOSS */
        return true;
    case RESOURCE_EXHAUSTED:
        return has_retry_info;
    default:
        return false;
    }
}

bool vmafx_retry_http(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/* ---- Retry-After ---- */

static bool digits(const char *text, size_t n, int *ret)
{
    *ret = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *ret = *ret * 10 + (text[i] - '0');
    }
    return true;
}

/* Days since 1970-01-01 of a proleptic Gregorian date (Hinnant, "chrono-compatible low-level date algorithms"). */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT": what RFC 9110 has everyone send. */
static bool http_date(const char *text, size_t len, int64_t *ret_unix_s)
{
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int day, year, hour, minute, second, month = 0;

    if (len != DATE_TEXT || memcmp(text + 3, ", ", 2) != 0 || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
        text[19] != ':' || text[22] != ':' || memcmp(text + 25, " GMT", 4) != 0)
        return false;
    while (month < 12 && memcmp(text + 8, months[month], 3) != 0)
        month++;
    if (month == 12 || !digits(text + 5, 2, &day) || !digits(text + 12, 4, &year) || !digits(text + 17, 2, &hour) ||
        !digits(text + 20, 2, &minute) || !digits(text + 23, 2, &second))
        return false;
    if (day < 1 || day > 31 || year < 1970 || hour > 23 || minute > 59 || second > 60)
        return false;
    *ret_unix_s = days_from_civil(year, month + 1, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

bool vmafx_retry_after(const char *text, size_t len, uint64_t now_unix_ns, uint64_t *ret_delay_ns)
{
    while (len && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;

    size_t n = 0;
    uint64_t seconds = 0;
    for (; n < len && text[n] >= '0' && text[n] <= '9'; n++)
        seconds = VMAFX_MIN(seconds * 10 + (uint64_t)(text[n] - '0'), SECONDS_MAX);
    if (len && n == len) {
        *ret_delay_ns = seconds * NS_PER_S;
        return true;
    }
    int64_t at;
    if (!http_date(text, len, &at))
        return false;
    int64_t ahead = at - (int64_t)(now_unix_ns / NS_PER_S);
    *ret_delay_ns = ahead > 0 ? (uint64_t)VMAFX_MIN(ahead, SECONDS_MAX) * NS_PER_S : 0;
    return true;
}

/* ---- backoff ---- */

/* SplitMix64 (Steele, Lea, Flood 2014): any state is a good one. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void vmafx_backoff_init(VmafxBackoff *backoff, const VmafxRetryPolicy *policy, uint64_t *random)
{
    *backoff = (VmafxBackoff){ .policy = *policy, .next_ns = policy->first_ns, .random = random };
    backoff->policy.jitter_percent = VMAFX_MIN(policy->jitter_percent, 100u);
}

/* delay · percent / 100, without overflow: the callers' percents are below 1000. */
static uint64_t scale(uint64_t delay_ns, uint64_t percent)
{
    return delay_ns / 100 * percent + delay_ns % 100 * percent / 100;
}

bool vmafx_backoff_next(VmafxBackoff *backoff, uint64_t server_delay_ns, uint64_t now_ns, uint64_t deadline_ns,
                        uint64_t *ret_wait_ns)
{
    const VmafxRetryPolicy *policy = &backoff->policy;
    uint64_t base = backoff->next_ns;

    backoff->attempts++;
    if (backoff->attempts >= policy->attempts_max || now_ns >= deadline_ns)
        return false;
    if (server_delay_ns >= deadline_ns - now_ns)
        return false;
    uint64_t wait = scale(base, 100 - policy->jitter_percent) +
                    random_next(backoff->random) % (scale(base, 2 * policy->jitter_percent) + 1);

    if (wait < server_delay_ns)
        wait = base = server_delay_ns;
    if (wait >= deadline_ns - now_ns)
        return false;
    backoff->next_ns = VMAFX_MAX(VMAFX_MIN(scale(base, policy->factor_percent), policy->cap_ns), server_delay_ns);
    *ret_wait_ns = wait;
    return true;
}
