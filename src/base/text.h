/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Text that is UTF-8 and stays so. Messages and stored rows are refused as a whole when one text in them is not, so
 * whatever shortens a text, or takes one from outside our own messages, does it with these.
 */
#ifndef VMAFX_BASE_TEXT_H
#define VMAFX_BASE_TEXT_H

#include <stddef.h>

/**
 * Bytes of the character at p, 1 … 4; 0 when no well-formed one begins there (RFC 3629: shortest form, no surrogates),
 * or when it does not end within n bytes. A zero byte is a character of one.
 */
size_t vmafx_utf8_length(const char *p, size_t n);

/**
 * Makes a text UTF-8, in place: a character that is cut by the text's end is dropped, every other byte that belongs to
 * none becomes '?'. For what printf has written into a buffer that was perhaps too small.
 */
void vmafx_text_mend(char *text);

/** As mend, and control characters become '?' too. */
void vmafx_text_clean(char *text);

/** As much of a text as fits into size bytes, 1 or more, with its zero; cut between characters, and mended. NULL is "".
 */
void vmafx_text_copy(char *to, size_t size, const char *from);
#endif
