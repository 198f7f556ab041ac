/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The pipe of a scorer child. The first byte says how: whether spans may name parents, whether live frames are wanted,
 * and whether the bytes are taken as they are or as a row of messages whose lengths are put right, so that the fuzzer
 * gets past the framing.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "score/child_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_begun(void *ctx, const Vmafx__Scorer__V1__Begun *begun)
{
    ++*(size_t *)ctx;
}

static void on_span(void *ctx, const Vmafx__Scorer__V1__SpanRecord *span)
{
    if (span->span_id.len != 8 || span->start_unix_ns > span->end_unix_ns)
        abort();
    ++*(size_t *)ctx;
}

static void on_live_frames(void *ctx, const Vmafx__V1__Frames *frames)
{
    for (size_t i = 0; i < frames->n_columns; i++)
        if (frames->columns[i]->n_values != frames->columns[0]->n_values || frames->first < 0)
            abort();
    ++*(size_t *)ctx;
}

/* Two bytes of length, then a message; all that is left when the length is larger. */
static VmafxErr feed_messages(VmafxChildReader *reader, const uint8_t *data, size_t size)
{
    VmafxErr err = VMAFX_OK;

    while (size > 2 && !err) {
        size_t n = VMAFX_MIN((size_t)data[0] | (size_t)data[1] << 8, size - 2);
        const uint8_t head[4] = { (uint8_t)n, (uint8_t)(n >> 8), 0, 0 };

        err = vmafx_child_reader_feed(reader, head, sizeof head, 2000, NULL);
        if (!err)
            err = vmafx_child_reader_feed(reader, data + 2, n, 2000, NULL);
        data += 2 + n;
        size -= 2 + n;
    }
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t seen = 0;
    VMAFX_AUTO(vmafx_child_reader_free) VmafxChildReader *reader = NULL;
    const VmafxChildReaderSettings settings = {
        .frames_max = 4096,
        .nested = size && (data[0] & 1),
        .frames_live = size && (data[0] & 4),
        .encodes = size && (data[0] & 8),
        .started_unix_ns = 1000,
        .events = { .begun = on_begun, .span = on_span, .live_frames = on_live_frames, .ctx = &seen }
    };

    if (!size || vmafx_child_reader_new(&settings, &reader))
        return 0;
    VmafxErr err = data[0] & 2 ? vmafx_child_reader_feed(reader, data + 1, size - 1, 2000, NULL)
                               : feed_messages(reader, data + 1, size - 1);
    const VmafxChildEnd *end = vmafx_child_reader_end(reader);
    if (end && (err || !end->result == !end->failure || end->frames_len > settings.frames_max ||
                (end->result && !end->frames)))
        abort();
    return 0;
}
