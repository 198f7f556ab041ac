/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * The distorted video when it is made of the reference. To the rest of a scoring it is an input as any other, whose
 * thread decodes the reference once more, encodes, and decodes again; what is here is its opening, and what became of
 * it, which has to be told even when the scoring ends early.
 */

#include "score/score_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"

static bool can_be_read_twice(const char *path, const int *given)
{
    struct stat st;

    if (!given && (!strcmp(path, "-") || !strncmp(path, "fd:", 3) || !strncmp(path, "pipe:", 5)))
        return false;
    if (!strncmp(path, "file:", 5))
        path += 5;
    if (given ? fstat(*given, &st) : stat(path, &st))
        return !given; /* what is wrong with a name, opening it says */
    return S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || S_ISDIR(st.st_mode);
}

VmafxErr score_encode_check(const ScorePair *pair, VmafxErrInfo *reterr)
{
    const VmafxPairOptions *o = pair->options;
    VmafxErrInfo info = { 0 };

    if (!o->encode)
        return VMAFX_OK;
    VmafxErr err = vmafx_recipe_check(&o->encode->recipe, &info);
    if (err) /* whatever is wrong with it, the recipe is; what is said later of numbers is about the reference */
        return vmafx_fail(reterr, err == VMAFX_ERR_NOMEM ? err : VMAFX_ERR_ENCODER, "%s", info.message);
    for (int i = 0; i < (o->fds ? 2 : 1); i++)
        if (!can_be_read_twice(pair->inputs[REF].path, o->fds ? &o->fds[i] : NULL))
            return vmafx_fail(reterr, VMAFX_ERR_INPUT,
                              "'%s' can be read only once, and an encode reads the reference twice: give a file",
                              pair->inputs[REF].path);
    if (o->encode->keep_fd >= 0 && (o->count > 0 || score_frames_before(o, REF) > score_frames_before(o, DIS)))
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER,
                          "the encoded video can be kept only where all of it is made: not with a frame count, and not "
                          "where more frames of the reference are skipped than of it");
    if (o->pixels_max > 0 && (int64_t)o->encode->recipe.w * o->encode->recipe.h > o->pixels_max)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "the recipe asks for pictures of %dx%d pixels, and at most %lld are taken",
                          o->encode->recipe.w, o->encode->recipe.h, (long long)o->pixels_max);
    return VMAFX_OK;
}

VmafxErr score_encode_open(ScorePair *pair, int fd, VmafxErrInfo *reterr)
{
    const VmafxPairEncode *encode = pair->options->encode;
    ScoreInput *in = &pair->inputs[DIS];
    const VmafxEncodeOptions options = {
        .threads = encode->threads, .stop = &pair->stop, .keep_fd = encode->keep_fd, .keep_max = encode->keep_max
    };

    return vmafx_reader_open_encode(fd, in->path, pair->options->raw_reference, &encode->recipe, &options, &in->reader,
                                    reterr);
}

double score_encode_seconds(ScoreInput *in)
{
    const VmafxEncodeFacts *facts = vmafx_reader_encode_facts(in->reader);
    double before = in->encode_s;

    if (!facts)
        return 0;
    in->encode_s = facts->seconds;
    return facts->seconds - before;
}

/* ---- what became of it ---- */

/* One block of memory for all of it: the struct, its options, then the texts. */
typedef struct Room {
    VmafxReportEncode *encode;
    char *at; /* NULL: only the length is counted */
    size_t len;
} Room;

static const char *keep_text(Room *room, const char *text)
{
    size_t len = strlen(text ? text : "") + 1;
    char *at = room->at;

    room->len += len;
    if (!at)
        return "";
    memcpy(at, text ? text : "", len);
    room->at += len;
    return at;
}

static void fill(Room *room, const VmafxEncodeFacts *facts, const char *kept, VmafxReportOption *options)
{
    VmafxReportEncode e = {
        .encoder = keep_text(room, facts->encoder),
        .codec = keep_text(room, facts->codec),
        .version = keep_text(room, facts->version),
        .reason = keep_text(room, facts->reason),
        .preset = keep_text(room, facts->preset),
        .pixel_format = keep_text(room, facts->pixel_format),
        .w = facts->w,
        .h = facts->h,
        .frames = facts->frames,
        .size_bytes = facts->size_bytes,
        .seconds = facts->seconds,
        .frame_rate = facts->seconds > 0 ? (double)facts->frames / facts->seconds : 0,
        .kept = kept ? keep_text(room, kept) : NULL,
        .options = options,
        .n_options = facts->n_options,
    };

    for (size_t i = 0; i < facts->n_options; i++) {
        VmafxReportOption option = { .key = keep_text(room, facts->options[i].key),
                                     .value = keep_text(room, facts->options[i].value) };
        if (options)
            options[i] = option;
    }
    if (room->encode)
        *room->encode = e;
}

/* NULL: no memory. */
static VmafxReportEncode *copy_facts(const VmafxEncodeFacts *facts, const char *kept)
{
    size_t head = sizeof(VmafxReportEncode) + facts->n_options * sizeof(VmafxReportOption);
    Room room = { 0 };

    fill(&room, facts, kept, NULL);
    room.encode = malloc(head + room.len);
    if (!room.encode)
        return NULL;
    room.at = (char *)room.encode + head;
    fill(&room, facts, kept, (VmafxReportOption *)(room.encode + 1));
    return room.encode;
}

static double bit_rate_of(const VmafxReportEncode *e, const VmafxVideoInfo *ref)
{
    if (e->frames <= 0 || ref->rate_num <= 0 || ref->rate_den <= 0)
        return 0;
    return (double)e->size_bytes * 8 / (double)e->frames * ref->rate_num / ref->rate_den;
}

void score_encode_ended(ScorePair *pair, VmafxErr err, bool whole)
{
    const VmafxReader *reader = pair->inputs[DIS].reader;
    const VmafxEncodeFacts *facts = reader ? vmafx_reader_encode_facts(reader) : NULL;
    VmafxResult *result = pair->result;

    if (!pair->options->encode || pair->encode_ended)
        return;
    pair->encode_ended = true;
    if (facts)
        result->encode = copy_facts(facts, whole && !err ? pair->options->encode->kept : NULL);
    /* The reference, which is read too, would have failed the other reader as well; its size is known once it is open.
     */
    result->keep_failed =
        pair->options->encode->keep_fd >= 0 && (err == VMAFX_ERR_IO || (err == VMAFX_ERR_LIMIT && facts));
    if (result->encode)
        result->encode->bit_rate = bit_rate_of(result->encode, vmafx_reader_info(reader));
    vmafx_score_trace_encoded(&pair->trace, result->encode, err);
}
