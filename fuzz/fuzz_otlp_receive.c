/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * An OTLP request from anyone: taken or refused whole, within the limits, and what was kept is fit for a terminal. The
 * first byte chooses the signal and whether the body is gzip.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "otel/receive/receiver.h"

enum { TRACES = 3, SPANS = 5, BYTES = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    if (len == size || vmafx_utf8_valid_prefix(text, len) != len)
        abort();
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            abort();
}

static void check_span(const VmafxKeptSpan *span)
{
    if (span->kind > 5 || span->status > 2 || span->n_attributes > VMAFX_KEPT_ATTRIBUTES_MAX)
        abort();
    check_text(span->name, VMAFX_KEPT_NAME_SIZE);
    check_text(span->service, VMAFX_KEPT_SERVICE_SIZE);
    check_text(span->status_message, VMAFX_KEPT_MESSAGE_SIZE);
    for (uint32_t i = 0; i < span->n_attributes; i++) {
        check_text(span->attributes[i].key, VMAFX_KEPT_KEY_SIZE);
        check_text(span->attributes[i].value, VMAFX_KEPT_VALUE_SIZE);
    }
}

typedef struct Looking {
    VmafxReceiver *receiver;
    size_t seen;
} Looking;

static void look(void *ctx, const VmafxOtlpSpan *span)
{
    Looking *looking = ctx;
    VmafxKeptSpans kept;

    looking->seen++;
    if (!vmafx_otlp_span_valid(span) || vmafx_receiver_trace(looking->receiver, span->trace_id.ptr, 0, SIZE_MAX, &kept))
        return;
    if (!kept.n || kept.n != kept.total || kept.n > SPANS)
        abort();
    for (size_t i = 0; i < kept.n; i++)
        check_span(kept.spans[i]);
    vmafx_kept_spans_done(&kept);
}

static void export_once(VmafxReceiver *receiver, VmafxReceiverSignal signal, const uint8_t *data, size_t size)
{
    VmafxReceiverCounts before = vmafx_receiver_counts(receiver);
    Looking looking = { .receiver = receiver };
    uint8_t *answer = NULL;
    size_t len = 0;
    VmafxErr err = vmafx_receiver_export(receiver, signal, data, size, &answer, &len, NULL);
    VmafxReceiverCounts after = vmafx_receiver_counts(receiver);

    if (after.kept.traces > TRACES || after.kept.spans > TRACES * SPANS || after.kept.bytes > BYTES)
        abort();
    if (err) {
        if (answer || memcmp(&before, &after, sizeof before) != 0)
            abort(); /* a refused one left something behind */
        return;
    }
    if (!answer || after.requests[signal] != before.requests[signal] + 1)
        abort();
    free(answer);
    if (signal != VMAFX_RECEIVER_TRACES)
        return;
    vmafx_otlp_each_span(data, size, look, &looking);
    if (looking.seen != after.items[signal] - before.items[signal])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    VmafxReceiver *receiver =
        vmafx_receiver_new(&(VmafxTraceLimits){ .traces = TRACES, .spans_per_trace = SPANS, .bytes = BYTES });
    uint8_t *unpacked = NULL;
    size_t len;

    if (!receiver || !size)
        goto out;
    VmafxReceiverSignal signal = (VmafxReceiverSignal)(data[0] % 3);
    if (!(data[0] & 0x80)) {
        export_once(receiver, signal, data + 1, size - 1);
        export_once(receiver, signal, data + 1, size - 1); /* a sender that tries again */
    } else if (!vmafx_receiver_gunzip(data + 1, size - 1, &unpacked, &len, NULL)) {
        export_once(receiver, signal, unpacked, len);
    }
out:
    free(unpacked);
    vmafx_receiver_free(&receiver);
    return 0;
}
