/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Models inside other data: programs carry them as plain JSON text, with anything before and behind it. */

#include "score/models.h"

#include <string.h>

#include "base/base.h"

#define MODEL_BYTES_MAX ((size_t)64 << 20)
#define MARK            "\"model_dict\""
#define NESTING_MAX     16 /* of JSON inside a program; published models need 6 */

/*
 * A scanner of JSON that stands at an opening brace and knows nothing of what follows. It checks the grammar as far as
 * is needed to find the end (numbers and words are only skipped: the model parser looks at them again).
 *
 * The scan as a whole is linear, whatever the bytes: two attempts that are both alive at a byte either agree on what
 * lies inside strings there or take exactly the opposite view (an opposite backslash ends one of them). Attempts that
 * agree are nested in each other, and nesting is limited, so no byte is read more than 2 * NESTING_MAX times.
 */
typedef struct Open {
    size_t start;
    bool object;
} Open;

typedef struct Json {
    const char *data;
    size_t len, at;
    Open stack[NESTING_MAX];
    int depth;
} Json;

static void skip_blanks(Json *j)
{
    while (j->at < j->len && memchr(" \t\r\n", j->data[j->at], 4))
        j->at++;
}

static bool take(Json *j, char c)
{
    if (j->at >= j->len || j->data[j->at] != c)
        return false;
    j->at++;
    return true;
}

static bool take_string(Json *j)
{
    if (!take(j, '"'))
        return false;
    while (j->at < j->len && (unsigned char)j->data[j->at] >= ' ') {
        char c = j->data[j->at++];

        if (c == '"')
            return true;
        if (c == '\\' && (j->at >= j->len || !memchr("\"\\/bfnrtu", j->data[j->at++], 9)))
            return false;
    }
    return false;
}

/* A number, true, false or null; only their letters are checked. */
static bool take_word(Json *j)
{
    size_t start = j->at;

    while (j->at < j->len && j->data[j->at] && strchr("+-.0123456789Eaeflnrstu", j->data[j->at]))
        j->at++;
    return j->at > start;
}

static bool take_key(Json *j)
{
    skip_blanks(j);
    if (!take_string(j))
        return false;
    skip_blanks(j);
    return take(j, ':');
}

static bool push(Json *j, bool object)
{
    if (j->depth == NESTING_MAX)
        return false;
    j->stack[j->depth++] = (Open){ j->at - 1, object };
    return true;
}

/* Takes one value, as far as its opening bracket when it has one. False: this is no JSON. */
static bool begin_value(Json *j, bool *ret_opened)
{
    *ret_opened = false;
    skip_blanks(j);
    if (j->at >= j->len)
        return false;
    if (j->data[j->at] == '"')
        return take_string(j);
    if (!take(j, '{') && !take(j, '['))
        return take_word(j);
    *ret_opened = true;
    return push(j, j->data[j->at - 1] == '{');
}

/*
 * Reads the object that begins at start. *ret_start and *ret_end are the largest complete object that holds the place:
 * the whole, or a part of it when the whole breaks off later.
 */
static bool object_around(const char *data, size_t len, size_t start, size_t place, size_t *ret_start, size_t *ret_end)
{
    Json j = { .data = data, .len = VMAFX_MIN(len, start + MODEL_BYTES_MAX), .at = start };
    bool found = false, opened = false;

    if (!begin_value(&j, &opened))
        return false;
    while (j.depth) {
        const Open *top = &j.stack[j.depth - 1];

        skip_blanks(&j);
        if (take(&j, top->object ? '}' : ']')) {
            if (top->object && top->start < place && place < j.at) {
                *ret_start = top->start;
                *ret_end = j.at;
                found = true;
            }
            j.depth--;
            opened = false;
            continue;
        }
        if ((!opened && !take(&j, ',')) || (top->object && !take_key(&j)) || !begin_value(&j, &opened))
            break;
    }
    return found;
}

/* The first byte of the run of text that a place is in, not before `from`. */
static size_t text_start(const char *data, size_t from, size_t place)
{
    while (place > from && ((unsigned char)data[place - 1] >= ' ' || memchr("\t\r\n", data[place - 1], 3)))
        place--;
    return place;
}

bool vmafx_models_scan(const char *data, size_t len, size_t *offset, const char **ret_json, size_t *ret_json_len)
{
    const char *mark;

    while (*offset < len && (mark = memmem(data + *offset, len - *offset, MARK, strlen(MARK)))) {
        size_t place = (size_t)(mark - data);
        size_t at = text_start(data, *offset, place);
        const char *brace;

        while (at < place && (brace = memchr(data + at, '{', place - at))) {
            size_t start, end;

            at = (size_t)(brace - data);
            if (object_around(data, len, at, place, &start, &end)) {
                *ret_json = data + start;
                *ret_json_len = end - start;
                *offset = end;
                return true;
            }
            at++;
        }
        /* What begins before this place and reaches the next one would have held this one too. */
        *offset = place + strlen(MARK);
    }
    *offset = len;
    return false;
}
