/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Does an encoder work on this machine? The only way to know it of hardware is to try. */

#include "media/encode_internal.h"

#include <string.h>

#include "media/decode_internal.h"

#define PROBE_W      256 /* the least that every encoder takes is below */
#define PROBE_H      144
#define PROBE_FRAMES 4

/* Pictures that differ from each other, of any format: the bytes mean nothing. */
static VmafxErr fill_picture(AVFrame *picture, int number, VmafxErrInfo *reterr)
{
    if (av_frame_make_writable(picture) < 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a picture");
    for (int plane = 0; plane < 3 && picture->buf[plane]; plane++)
        memset(picture->buf[plane]->data, 1 + number, picture->buf[plane]->size);
    return VMAFX_OK;
}

static VmafxErr encode_some(EncodeCodec *codec, AVFrame *picture, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;
    bool got = false;

    while (!err && !codec->ended) {
        err = encode_codec_receive(codec, &got, reterr);
        if (got)
            av_packet_unref(codec->packet);
        if (err || got || codec->ended)
            continue;
        if (codec->n_in < PROBE_FRAMES)
            err = fill_picture(picture, (int)codec->n_in, reterr);
        if (!err)
            err = encode_codec_send(codec, codec->n_in < PROBE_FRAMES ? picture : NULL, reterr);
    }
    if (!err && !codec->n_bytes)
        return vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s makes nothing of some frames", codec->kind->name);
    return err;
}

VmafxErr vmafx_encoder_probe(const char *name, VmafxErrInfo *reterr)
{
    const VmafxRecipe recipe = { .encoder = name };
    EncodeSettings settings;
    EncodeCodec codec = { 0 };
    AVCodecContext *context = NULL;
    AVFrame *picture = av_frame_alloc();
    VmafxErr err = encode_settings_make(&settings, &recipe, false, 1, &context, reterr);

    if (!err && picture) {
        picture->format = encode_format_choose(settings.kind, NULL, AV_PIX_FMT_YUV420P);
        picture->width = PROBE_W;
        picture->height = PROBE_H;
    }
    if (!err && (!picture || av_frame_get_buffer(picture, 0) < 0))
        err = vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory for a picture");
    if (!err)
        err = encode_codec_open(&codec, settings.kind, &context, picture, (AVRational){ 25, 1 }, reterr);
    if (!err)
        err = encode_some(&codec, picture, reterr);
    encode_codec_close(&codec);
    avcodec_free_context(&context);
    encode_settings_done(&settings);
    av_frame_free(&picture);
    return err;
}
