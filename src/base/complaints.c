/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* A stream in the place of stderr, whose writes pass through here. */

#include "base/complaints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/url.h"

#ifdef __GLIBC__ /* elsewhere stderr cannot be assigned to */

static void write_all(const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(STDERR_FILENO, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* there is nobody else to tell */
        text += n;
        len -= (size_t)n;
    }
}

/* A stream without a buffer hands each printf on whole, up to 8 KiB. */
static ssize_t write_hidden(void *cookie, const char *data, size_t size)
{
    char room[1024], *text = size < sizeof room ? room : malloc(size + 1);

    (void)cookie;
    if (text && !memchr(data, 0, size)) {
        memcpy(text, data, size);
        text[size] = 0;
        vmafx_urls_hide(text);
        write_all(text, strlen(text));
    }
    if (text != room)
        free(text);
    return (ssize_t)size;
}

void vmafx_complaints_hide_urls(void)
{
    static FILE *hidden;

    if (hidden)
        return;
    hidden = fopencookie(NULL, "w", (cookie_io_functions_t){ .write = write_hidden });
    if (!hidden)
        return;
    setvbuf(hidden, NULL, _IONBF, 0);
    stderr = hidden;
}

#else

void vmafx_complaints_hide_urls(void)
{
}

#endif
