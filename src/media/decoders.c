/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Asks libavcodec for its version and its software decoders. */

#include "media/decoders.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <libavcodec/avcodec.h>

/* FFmpeg's own av1 decoder only drives graphics cards, though its capabilities do not say so. */
static bool is_software(const AVCodec *codec)
{
    return !(codec->capabilities & AV_CODEC_CAP_HARDWARE) && strcmp(codec->name, "av1") != 0;
}

bool vmafx_media_has_decoder(const char *name)
{
    const AVCodecDescriptor *wanted = avcodec_descriptor_get_by_name(name);
    const AVCodec *codec;
    void *at = NULL;

    if (!wanted || wanted->type != AVMEDIA_TYPE_VIDEO)
        return false;
    while ((codec = av_codec_iterate(&at)))
        if (codec->id == wanted->id && av_codec_is_decoder(codec) && is_software(codec))
            return true;
    return false;
}

static char version_text[64];

static void write_version(void)
{
    unsigned v = avcodec_version();

    snprintf(version_text, sizeof version_text, "libavcodec %u.%u.%u", AV_VERSION_MAJOR(v), AV_VERSION_MINOR(v),
             AV_VERSION_MICRO(v));
}

const char *vmafx_media_version(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, write_version);
    return version_text;
}
