/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Baggage: names and values that travel with a request (W3C Baggage, section 3; OpenTelemetry's Baggage API). A value
 * is plain UTF-8 in memory and percent-encoded on the wire; the properties of a member are kept as one text that we do
 * not look into. One allocation holds a whole baggage: the members, then their texts.
 */

#include "otel/api/context.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "otel/api/propagation.h"

typedef struct Member {
    VmafxText name, value, metadata;
} Member;

struct VmafxBaggage {
    atomic_size_t refs;
    size_t n;
    Member members[]; /* every text is terminated, and lies behind the last member */
};

typedef struct List {
    size_t n;
    Member members[VMAFX_BAGGAGE_MEMBERS_MAX];
} List;

/* ---- characters ---- */

/* RFC 7230 tchar: what a name may be made of to be sent. */
static bool is_token_char(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* baggage-octet: printable ASCII but space, '"', ',', ';' and '\'. */
static bool is_value_char(unsigned char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

static bool is_metadata_char(unsigned char c)
{
    return (c >= 0x20 && c < 0x7f && c != ',') || c == '\t';
}

static bool all_are(bool (*is)(unsigned char), VmafxText text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is((unsigned char)text.ptr[i]))
            return false;
    return true;
}

static bool is_token(VmafxText text)
{
    return text.len && all_are(is_token_char, text);
}

/* ---- UTF-8 (Unicode, table 3-7) ---- */

/*
 * How long the sequence at p is. When it is ill-formed *ret_good is false, and the length that of what one U+FFFD
 * stands for: the longest beginning of a sequence that could have become well-formed ("maximal subpart"), or one byte.
 */
static size_t utf8_step(const unsigned char *p, size_t n, bool *ret_good)
{
    unsigned char lead = p[0], low = 0x80, high = 0xbf;
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

    *ret_good = lead && lead < 0x80;
    if (lead < 0xc2 || lead > 0xf4)
        return 1;
    if (lead == 0xe0)
        low = 0xa0; /* overlong */
    if (lead == 0xed)
        high = 0x9f; /* surrogates */
    if (lead == 0xf0)
        low = 0x90; /* overlong */
    if (lead == 0xf4)
        high = 0x8f; /* beyond U+10FFFF */
    for (size_t i = 1; i < len; i++) {
        if (i >= n || p[i] < low || p[i] > high)
            return i;
        low = 0x80;
        high = 0xbf;
    }
    *ret_good = true;
    return len;
}

static bool is_utf8(VmafxText text)
{
    bool good = true;

    for (size_t i = 0; i < text.len && good;)
        i += utf8_step((const unsigned char *)text.ptr + i, text.len - i, &good);
    return good;
}

/* Copies with U+FFFD for what is not UTF-8; ret has room for three bytes per byte. Returns the length. */
static size_t mend_utf8(const unsigned char *in, size_t n, char *ret)
{
    size_t len = 0;

    for (size_t i = 0; i < n;) {
        bool good;
        size_t step = utf8_step(in + i, n - i, &good);
        memcpy(ret + len, good ? (const char *)in + i : "\xef\xbf\xbd", good ? step : 3);
        len += good ? step : 3;
        i += step;
    }
    return len;
}

/* ---- percent-encoding ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A '%' without two hex digits stands for itself. Returns the length, at most that of the text. */
static size_t percent_decode(VmafxText text, unsigned char *ret)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *p = text.ptr + i;
        int high = *p == '%' && i + 2 < text.len ? hex_value(p[1]) : -1;
        int low = high >= 0 ? hex_value(p[2]) : -1;
        ret[len++] = (unsigned char)(low >= 0 ? high << 4 | low : *p);
        i += low >= 0 ? 2 : 0;
    }
    return len;
}

static bool goes_plain(unsigned char c)
{
    return is_value_char(c) && c != '%';
}

static size_t encoded_len(VmafxText value)
{
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++)
        len += goes_plain((unsigned char)value.ptr[i]) ? 1 : 3;
    return len;
}

static char *percent_encode(VmafxText value, char *at)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (goes_plain(c)) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = "0123456789ABCDEF"[c >> 4];
            *at++ = "0123456789ABCDEF"[c & 15];
        }
    }
    return at;
}

/* ---- building ---- */

static size_t find(const Member *members, size_t n, VmafxText name)
{
    size_t i = 0;

    while (i < n && !vmafx_text_same(members[i].name, name))
        i++;
    return i;
}

static size_t member_bytes(const Member *member)
{
    return member->name.len + member->value.len + member->metadata.len;
}

static size_t list_bytes(const List *list)
{
    size_t bytes = 0;

    for (size_t i = 0; i < list->n; i++)
        bytes += member_bytes(&list->members[i]);
    return bytes;
}

static char *keep(char *at, VmafxText from, VmafxText *ret)
{
    if (from.len)
        memcpy(at, from.ptr, from.len);
    at[from.len] = 0;
    *ret = (VmafxText){ at, from.len };
    return at + from.len + 1;
}

/* NULL for the empty list and on no memory, which is counted. The texts are copied. */
static VmafxBaggage *build(const List *list)
{
    VmafxBaggage *made = NULL;
    size_t size = sizeof *made + list->n * (sizeof made->members[0] + 3) + list_bytes(list);

    made = list->n ? malloc(size) : NULL;
    if (!made) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, list->n > 0);
        return NULL;
    }
    atomic_init(&made->refs, 1);
    made->n = list->n;
    char *at = (char *)&made->members[made->n];
    for (size_t i = 0; i < made->n; i++) {
        at = keep(at, list->members[i].name, &made->members[i].name);
        at = keep(at, list->members[i].value, &made->members[i].value);
        at = keep(at, list->members[i].metadata, &made->members[i].metadata);
    }
    return made;
}

/* Replaces the member of that name, or appends. False when there is no room. */
static bool list_set(List *list, Member member)
{
    size_t at = find(list->members, list->n, member.name);

    if (at == VMAFX_BAGGAGE_MEMBERS_MAX)
        return false;
    list->members[at] = member;
    list->n += at == list->n;
    return true;
}

VmafxBaggage *vmafx_baggage_ref(VmafxBaggage *baggage)
{
    if (baggage)
        atomic_fetch_add_explicit(&baggage->refs, 1, memory_order_relaxed);
    return baggage;
}

void vmafx_baggage_unref(VmafxBaggage **baggage)
{
    VmafxBaggage *gone = baggage ? VMAFX_TAKE(*baggage) : NULL;

    /* release: our reads are over; acquire: so are those of everyone who let go before us */
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        free(gone);
}

/* A caller's text, looked at no further than makes it too long. */
static VmafxText text_of(const char *s)
{
    return (VmafxText){ s ? s : "", s ? strnlen(s, VMAFX_BAGGAGE_BYTES_MAX + 1) : 0 };
}

static VmafxBaggage *refuse(VmafxBaggage *baggage, VmafxContextDrop why)
{
    vmafx_context_count_drop(why, 1);
    return vmafx_baggage_ref(baggage);
}

VmafxBaggage *vmafx_baggage_set(VmafxBaggage *baggage, const char *name, const char *value, const char *metadata)
{
    Member member = { text_of(name), text_of(value), vmafx_text_trim(text_of(metadata)) };
    List list = { 0 };

    if (baggage) {
        list.n = baggage->n;
        memcpy(list.members, baggage->members, baggage->n * sizeof list.members[0]);
    }
    if (!value) {
        size_t at = find(list.members, list.n, member.name);
        if (at == list.n)
            return vmafx_baggage_ref(baggage);
        list.n--;
        memmove(&list.members[at], &list.members[at + 1], (list.n - at) * sizeof list.members[0]);
    } else {
        if (member_bytes(&member) > VMAFX_BAGGAGE_BYTES_MAX)
            return refuse(baggage, VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT);
        if (!member.name.len || !is_utf8(member.name) || !is_utf8(member.value))
            return refuse(baggage, VMAFX_CONTEXT_DROP_BAGGAGE);
        if (!all_are(is_metadata_char, member.metadata)) {
            member.metadata.len = 0;
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE, 1);
        }
        if (!list_set(&list, member) || list_bytes(&list) > VMAFX_BAGGAGE_BYTES_MAX)
            return refuse(baggage, VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT);
    }
    VmafxBaggage *made = build(&list);
    return made || !list.n ? made : vmafx_baggage_ref(baggage);
}

const char *vmafx_baggage_get(const VmafxBaggage *baggage, const char *name)
{
    size_t at = baggage ? find(baggage->members, baggage->n, text_of(name)) : 0;

    return baggage && at < baggage->n ? baggage->members[at].value.ptr : NULL;
}

size_t vmafx_baggage_count(const VmafxBaggage *baggage)
{
    return baggage ? baggage->n : 0;
}

void vmafx_baggage_at(const VmafxBaggage *baggage, size_t i, const char **ret_name, const char **ret_value,
                      const char **ret_metadata)
{
    const Member *member = baggage && i < baggage->n ? &baggage->members[i] : NULL;

    if (ret_name)
        *ret_name = member ? member->name.ptr : NULL;
    if (ret_value)
        *ret_value = member ? member->value.ptr : NULL;
    if (ret_metadata)
        *ret_metadata = member ? member->metadata.ptr : NULL;
}

/* ---- the header ---- */

/* What is looked at of a header: whole members that end within the limit. */
static VmafxText within_limit(VmafxText text)
{
    if (text.len <= VMAFX_BAGGAGE_BYTES_MAX)
        return text;
    vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT, 1);
    text.len = VMAFX_BAGGAGE_BYTES_MAX;
    while (text.len && text.ptr[text.len] != ',')
        text.len--;
    return text;
}

/* False when it is malformed; the value is still encoded then and points into the text like the rest. */
static bool read_member(VmafxText text, Member *ret)
{
    VmafxText head = vmafx_text_take(&text, ';');

    if (!memchr(head.ptr, '=', head.len))
        return false;
    ret->name = vmafx_text_trim(vmafx_text_take(&head, '='));
    ret->value = vmafx_text_trim(head);
    ret->metadata = vmafx_text_trim(text);
    return is_token(ret->name) && all_are(is_value_char, ret->value) && all_are(is_metadata_char, ret->metadata);
}

VmafxBaggage *vmafx_baggage_parse(const char *text, size_t len)
{
    VmafxText rest = within_limit((VmafxText){ text, text ? len : 0 });
    List list = { 0 };

    if (!rest.len)
        return NULL;
    /* The first half holds decoded bytes for a moment, the second the values: "%FF" grows to no more than U+FFFD. */
    VMAFX_AUTO(vmafx_free_p) char *scratch = malloc(2 * rest.len);
    if (!scratch) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, 1);
        return NULL;
    }
    char *at = scratch + rest.len;
    while (rest.len) {
        VmafxText one = vmafx_text_trim(vmafx_text_take(&rest, ','));
        Member member;
        if (!one.len)
            continue;
        if (!read_member(one, &member)) {
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE, 1);
            continue;
        }
        size_t n = percent_decode(member.value, (unsigned char *)scratch);
        member.value = (VmafxText){ at, mend_utf8((const unsigned char *)scratch, n, at) };
        at += member.value.len;
        if (!list_set(&list, member))
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT, 1);
    }
    return build(&list);
}

static size_t sent_len(const Member *member)
{
    size_t metadata = member->metadata.len;

    return member->name.len + 1 + encoded_len(member->value) + (metadata ? 1 + metadata : 0);
}

static char *put(char *at, VmafxText text)
{
    memcpy(at, text.ptr, text.len);
    return at + text.len;
}

static char *write_member(const Member *member, char *at)
{
    at = put(at, member->name);
    *at++ = '=';
    at = percent_encode(member->value, at);
    if (member->metadata.len) {
        *at++ = ';';
        at = put(at, member->metadata);
    }
    return at;
}

char *vmafx_baggage_format(const VmafxBaggage *baggage)
{
    VMAFX_AUTO(vmafx_free_p) char *text = baggage ? malloc(VMAFX_BAGGAGE_BYTES_MAX + 1) : NULL;
    char *at = text;

    if (!text) {
        vmafx_context_count_drop(VMAFX_CONTEXT_DROP_NOMEM, baggage != NULL);
        return NULL;
    }
    for (size_t i = 0; i < baggage->n; i++) {
        const Member *member = &baggage->members[i];
        size_t used = (size_t)(at - text) + (at > text);

        if (!is_token(member->name)) {
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE, 1);
        } else if (used + sent_len(member) > VMAFX_BAGGAGE_BYTES_MAX) {
            vmafx_context_count_drop(VMAFX_CONTEXT_DROP_BAGGAGE_LIMIT, 1);
        } else {
            if (at > text)
                *at++ = ',';
            at = write_member(member, at);
        }
    }
    *at = 0;
    return at > text ? VMAFX_TAKE(text) : NULL;
}
