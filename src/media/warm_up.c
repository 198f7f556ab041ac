/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Decoders without input: enough for what they set up once. What fails here fails again where somebody hears of it. */

#include "media/warm_up.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>

#include "base/base.h"

static void open_once(enum AVCodecID id)
{
    const AVCodec *codec = avcodec_find_decoder(id);
    AVCodecContext *context = codec ? avcodec_alloc_context3(codec) : NULL;

    if (!context)
        return;
    context->thread_count = 1;
    VMAFX_IGNORE(
        avcodec_open2(context, codec, NULL)); /* some want to know a size; their tables are made all the same */
    avcodec_free_context(&context);
}

void vmafx_media_warm_up(void)
{
    static const enum AVCodecID usual[] = { AV_CODEC_ID_H264,  AV_CODEC_ID_HEVC, AV_CODEC_ID_VP9,       AV_CODEC_ID_AV1,
                                            AV_CODEC_ID_MPEG4, AV_CODEC_ID_VP8,  AV_CODEC_ID_MPEG2VIDEO };
    int level = av_log_get_level();
    void *at = NULL;

    av_log_set_level(AV_LOG_QUIET);
    for (size_t i = 0; i < VMAFX_LEN(usual); i++)
        open_once(usual[i]);
    while (av_demuxer_iterate(&at)) /* pages in the list that probing walks through */
        ;
    av_log_set_level(level);
}
