/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The body is read as if it began with CR LF, so every boundary, the first too, is the delimiter CR LF - - boundary.
 * CR stands only at a delimiter's beginning, as a boundary cannot have one; so what was held back as a possible
 * delimiter and is none is data, all of it, and only the next byte can begin another.
 */

#include "http/multipart.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "http/target.h"

enum State {
    AT_START, /* matching the first delimiter, which nothing may precede */
    IN_DATA,  /* of a part, `matched` bytes of the delimiter held back */
    BEHIND,   /* a delimiter: CR or '-' comes */
    BEHIND_CR,
    BEHIND_DASH,
    IN_HEADER,
    HEADER_CR,
    AT_END, /* behind the last boundary: nothing, or CR LF */
    END_CR,
    OVER,
};

/* ---- header values ---- */

static bool is_token_char(char c)
{
    return c && strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c);
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t");
}

/*
 * The value of a parameter, quoted or a token. In quotes, a backslash stands for itself unless a quote or another one
 * follows: old browsers send whole Windows paths so. NULL: malformed, or longer than size - 1.
 */
static const char *read_value(const char *at, char *ret, size_t size)
{
    bool quoted = *at == '"';
    size_t n = 0;

    at += quoted;
    while (quoted ? *at && *at != '"' : is_token_char(*at)) {
        at += quoted && at[0] == '\\' && (at[1] == '"' || at[1] == '\\');
        if (n + 1 >= size)
            return NULL;
        ret[n++] = *at++;
    }
    ret[n] = 0;
    if (quoted)
        return *at == '"' ? at + 1 : NULL;
    return n ? at : NULL;
}

/* The next "; name=value"; at its end *at is the end of the text. False: malformed. */
static bool next_parameter(const char **at, char *ret_name, size_t name_size, char *ret_value, size_t value_size)
{
    const char *from = skip_blanks(*at);
    size_t n = 0;

    *ret_name = 0;
    *at = from;
    if (!*from)
        return true;
    if (*from != ';')
        return false;
    from = skip_blanks(from + 1);
    while (is_token_char(*from)) {
        if (n + 1 >= name_size)
            return false;
        ret_name[n++] = *from++;
    }
    ret_name[n] = 0;
    if (!n || *from != '=')
        return false;
    from = read_value(from + 1, ret_value, value_size);
    if (from)
        *at = from;
    return from;
}

/* Does the text begin with this word, as a whole one? Gives what follows, or NULL. */
static const char *behind_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    text = skip_blanks(text);
    if (strncasecmp(text, word, n) != 0 || (text[n] && !strchr("; \t", text[n])))
        return NULL;
    return text + n;
}

static bool is_boundary(const char *text)
{
    size_t n = strlen(text);

    return n && n <= VMAFX_MULTIPART_BOUNDARY_MAX && text[n - 1] != ' ' &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ") == n;
}

/* ---- a part's headers ---- */

static VmafxErr take_disposition(VmafxMultipart *m, const char *value, VmafxErrInfo *reterr)
{
    const char *at = behind_word(value, "form-data");
    char name[32], text[VMAFX_MULTIPART_LINE_MAX];
    bool has_name = false;

    if (!at || m->has_disposition)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part's Content-Disposition is not form-data, or there are two");
    m->has_disposition = true;
    for (;;) {
        if (!next_parameter(&at, name, sizeof name, text, sizeof text))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part's Content-Disposition is malformed");
        if (!*name)
            break;
        if (!strcasecmp(name, "name")) {
            if (has_name || !*text)
                return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has an empty name, or two");
            if (strlen(text) > VMAFX_MULTIPART_NAME_MAX)
                return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a part's name is longer than %d bytes",
                                  VMAFX_MULTIPART_NAME_MAX);
            has_name = true;
            memcpy(m->head.name, text, strlen(text) + 1);
        } else if (!strcasecmp(name, "filename")) {
            const char *slash = strrchr(text, '/');
            const char *base = slash ? slash + 1 : text, *backslash = strrchr(base, '\\');

            base = backslash ? backslash + 1 : base;
            if (m->head.has_filename)
                return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has two filenames");
            if (strlen(base) > VMAFX_MULTIPART_FILENAME_MAX)
                return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a part's filename is longer than %d bytes",
                                  VMAFX_MULTIPART_FILENAME_MAX);
            m->head.has_filename = true;
            memcpy(m->head.filename, base, strlen(base) + 1);
        } else if (!strcasecmp(name, "filename*")) {
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has filename*, which RFC 7578 forbids: use filename");
        }
    }
    return has_name ? VMAFX_OK : vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has no name");
}

static VmafxErr take_type(VmafxMultipart *m, const char *value, VmafxErrInfo *reterr)
{
    if (m->head.has_type)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has two Content-Types");
    if (!strncasecmp(value, "multipart/", 10))
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                          "a part is a multipart itself: send its parts one by one, under one name");
    if (strlen(value) > VMAFX_MULTIPART_TYPE_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a part's Content-Type is longer than %d bytes",
                          VMAFX_MULTIPART_TYPE_MAX);
    m->head.has_type = true;
    memcpy(m->head.type, value, strlen(value) + 1);
    return VMAFX_OK;
}

static VmafxErr take_coding(VmafxMultipart *m, const char *value, VmafxErrInfo *reterr)
{
    if (m->has_coding)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has two Content-Transfer-Encodings");
    m->has_coding = true;
    if (strcasecmp(value, "binary") != 0 && strcasecmp(value, "8bit") != 0 && strcasecmp(value, "7bit") != 0)
        return vmafx_fail(reterr, VMAFX_ERR_UNSUPPORTED,
                          "a part has a Content-Transfer-Encoding that changes its bytes: send it as binary");
    return VMAFX_OK;
}

static bool is_clean(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 127)
            return false;
    return vmafx_http_is_utf8(line);
}

static VmafxErr take_header(VmafxMultipart *m, VmafxErrInfo *reterr)
{
    size_t n = 0;

    m->line[m->line_len] = 0;
    if (++m->n_headers > VMAFX_MULTIPART_HEADERS_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a part has more than %d headers", VMAFX_MULTIPART_HEADERS_MAX);
    while (is_token_char(m->line[n]))
        n++;
    if (!n || m->line[n] != ':' || !is_clean(m->line, m->line_len))
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                          "a part's header is malformed, not UTF-8, or has control characters");
    while (m->line_len && strchr(" \t", m->line[m->line_len - 1]))
        m->line[--m->line_len] = 0;
    m->line[n] = 0;
    const char *value = skip_blanks(m->line + VMAFX_MIN(n + 1, m->line_len));
    if (!strcasecmp(m->line, "Content-Disposition"))
        return take_disposition(m, value, reterr);
    if (!strcasecmp(m->line, "Content-Type"))
        return take_type(m, value, reterr);
    if (!strcasecmp(m->line, "Content-Transfer-Encoding"))
        return take_coding(m, value, reterr);
    return VMAFX_OK;
}

static VmafxErr headers_begin(VmafxMultipart *m, VmafxErrInfo *reterr)
{
    if (m->n_parts++ >= m->n_parts_max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "the body has more than %d parts", m->n_parts_max);
    m->head = (VmafxMultipartHead){ 0 };
    m->line_len = 0;
    m->n_headers = 0;
    m->has_disposition = m->has_coding = false;
    m->state = IN_HEADER;
    return VMAFX_OK;
}

/*
 * An empty line: the data comes. A boundary right there would end a part without data to a reader who takes this line's
 * end for the delimiter's, and be data to one who does not; so it is looked for, and refused.
 */
static VmafxErr headers_end(VmafxMultipart *m, VmafxErrInfo *reterr)
{
    if (!m->has_disposition)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "a part has no Content-Disposition");
    m->state = IN_DATA;
    m->matched = m->borrowed = 2;
    return m->sink.begin(m->sink.ctx, &m->head, reterr);
}

/* ---- bytes ---- */

static VmafxErr malformed(VmafxErrInfo *reterr, const char *what)
{
    return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the body is no multipart/form-data: %s", what);
}

/* One byte of anything but a part's data. */
static VmafxErr take_byte(VmafxMultipart *m, char c, VmafxErrInfo *reterr)
{
    switch (m->state) {
    case AT_START:
        if (c != m->delimiter[m->matched])
            return malformed(reterr, "it does not begin with the boundary that Content-Type names");
        if (++m->matched == m->delimiter_len)
            m->state = BEHIND;
        return VMAFX_OK;
    case BEHIND:
        if (c != '\r' && c != '-')
            return malformed(reterr, "a boundary is not the whole line");
        m->state = c == '\r' ? BEHIND_CR : BEHIND_DASH;
        return VMAFX_OK;
    case BEHIND_CR:
        return c == '\n' ? headers_begin(m, reterr) : malformed(reterr, "a boundary is not the whole line");
    case BEHIND_DASH:
        if (c != '-')
            return malformed(reterr, "a boundary is not the whole line");
        m->state = AT_END;
        return m->n_parts ? VMAFX_OK : malformed(reterr, "it has no parts");
    case IN_HEADER:
        if (c == '\r') {
            m->state = HEADER_CR;
            return VMAFX_OK;
        }
        if (c == '\n')
            return malformed(reterr, "a header's line ends without CR");
        if (m->line_len + 1 >= sizeof m->line)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "a part's header is longer than %d bytes",
                              VMAFX_MULTIPART_LINE_MAX - 1);
        m->line[m->line_len++] = c;
        return VMAFX_OK;
    case HEADER_CR:
        if (c != '\n')
            return malformed(reterr, "a header has a bare CR");
        if (!m->line_len)
            return headers_end(m, reterr);
        m->state = IN_HEADER;
        VmafxErr err = take_header(m, reterr);
        m->line_len = 0;
        return err;
    case AT_END:
    case END_CR:
        if (c != (m->state == AT_END ? '\r' : '\n'))
            return malformed(reterr, "something follows its last boundary");
        m->state++;
        return VMAFX_OK;
    default:
        return malformed(reterr, "something follows its last boundary");
    }
}

/* As much of a part's data as there is; sets *ret_used. */
static VmafxErr take_data(VmafxMultipart *m, const char *data, size_t len, size_t *ret_used, VmafxErrInfo *reterr)
{
    const VmafxMultipartSink *sink = &m->sink;
    size_t i = 0;

    if (!m->matched) {
        const char *cr = memchr(data, '\r', len);

        *ret_used = cr ? (size_t)(cr - data) : len;
        if (*ret_used)
            return sink->data(sink->ctx, data, *ret_used, reterr);
    }
    while (i < len && m->matched < m->delimiter_len && data[i] == m->delimiter[m->matched]) {
        m->matched++;
        i++;
    }
    *ret_used = i;
    if (m->matched == m->delimiter_len) {
        if (m->borrowed)
            return malformed(reterr, "a boundary follows a part's headers at once");
        m->state = BEHIND;
        return sink->end(sink->ctx, reterr);
    }
    if (i == len)
        return VMAFX_OK; /* held back */
    const char *from = m->delimiter + m->borrowed;
    size_t held = m->matched - m->borrowed;
    m->matched = m->borrowed = 0;
    return held ? sink->data(sink->ctx, from, held, reterr) : VMAFX_OK;
}

/* ---- what the header promises ---- */

bool vmafx_multipart_is(const char *content_type)
{
    return content_type && behind_word(content_type, "multipart/form-data");
}

VmafxErr vmafx_multipart_init(VmafxMultipart *m, const char *content_type, int parts_max, VmafxMultipartSink sink,
                              VmafxErrInfo *reterr)
{
    const char *at = content_type ? behind_word(content_type, "multipart/form-data") : NULL;
    char name[32], value[256], boundary[sizeof value] = "";

    if (!at)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the Content-Type is not multipart/form-data");
    for (;;) {
        if (!next_parameter(&at, name, sizeof name, value, sizeof value))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the Content-Type is malformed");
        if (!*name)
            break;
        if (strcasecmp(name, "boundary") != 0)
            continue;
        if (*boundary || !is_boundary(value))
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                              "the Content-Type has two boundaries, or one that RFC 2046 does not allow");
        memcpy(boundary, value, sizeof boundary);
    }
    if (!*boundary)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "the Content-Type has no boundary");
    *m = (VmafxMultipart){ .sink = sink, .n_parts_max = parts_max, .state = AT_START, .matched = 2 };
    m->delimiter_len =
        (size_t)snprintf(m->delimiter, sizeof m->delimiter, "\r\n--%.*s", VMAFX_MULTIPART_BOUNDARY_MAX, boundary);
    return VMAFX_OK;
}

static VmafxErr again(const VmafxMultipart *m, VmafxErrInfo *reterr)
{
    return vmafx_fail(reterr, m->err, "the body was refused before");
}

VmafxErr vmafx_multipart_add(VmafxMultipart *m, const char *data, size_t len, VmafxErrInfo *reterr)
{
    if (m->err)
        return again(m, reterr);
    while (len && !m->err) {
        size_t used = 1;

        m->err = m->state == IN_DATA ? take_data(m, data, len, &used, reterr) : take_byte(m, *data, reterr);
        data += used;
        len -= used;
    }
    return m->err;
}

VmafxErr vmafx_multipart_end(VmafxMultipart *m, VmafxErrInfo *reterr)
{
    if (m->err)
        return again(m, reterr);
    if (m->state != AT_END && m->state != OVER)
        m->err = vmafx_fail(reterr, VMAFX_ERR_TRUNCATED, "the body ends before its last boundary");
    return m->err;
}
