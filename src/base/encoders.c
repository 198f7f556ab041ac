/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The table, and questions to it. */

#include "base/encoders.h"

#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/nearest.h"

static const VmafxEncoderName encoders[] = {
#define VMAFX_ENCODER(name, codec, hardware) { name, codec, hardware },
#include "base/encoders.def"
#undef VMAFX_ENCODER
};

_Static_assert(VMAFX_LEN(encoders) <= VMAFX_ENCODERS_MAX, "lists of encoders have room for all");

const VmafxEncoderName *vmafx_encoder_names(size_t *ret_n)
{
    *ret_n = VMAFX_LEN(encoders);
    return encoders;
}

int vmafx_encoder_name_index(const char *name)
{
    for (size_t i = 0; name && i < VMAFX_LEN(encoders); i++)
        if (!strcmp(encoders[i].name, name))
            return (int)i;
    return -1;
}

const VmafxEncoderName *vmafx_encoder_name_find(const char *name)
{
    int i = vmafx_encoder_name_index(name);

    return i < 0 ? NULL : &encoders[i];
}

size_t vmafx_encoder_set_names(VmafxEncoderSet set, const char *ret[VMAFX_ENCODERS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < VMAFX_LEN(encoders); i++)
        if (set & (VmafxEncoderSet)1 << i)
            ret[n++] = encoders[i].name;
    return n;
}

bool vmafx_codec_is_known(const char *codec)
{
    for (size_t i = 0; i < VMAFX_LEN(encoders); i++)
        if (!strcmp(encoders[i].codec, codec))
            return true;
    return false;
}

const char *vmafx_encoder_meant(const char *word)
{
    const char *names[VMAFX_LEN(encoders)];

    for (size_t i = 0; i < VMAFX_LEN(encoders); i++) {
        names[i] = encoders[i].name;
        if (!strcasecmp(word, names[i]) || (!strncmp(names[i], "lib", 3) && !strcasecmp(word, names[i] + 3)))
            return names[i];
    }
    return vmafx_nearest(word, names, (int)VMAFX_LEN(names));
}

const char *vmafx_codec_meant(const char *word)
{
    static const char *const others[][2] = { { "avc", "h264" },    { "h.264", "h264" }, { "avc1", "h264" },
                                             { "h265", "hevc" },   { "h.265", "hevc" }, { "hvc1", "hevc" },
                                             { "svt-av1", "av1" }, { "aom", "av1" },    { "av01", "av1" } };
    static const char *const codecs[] = { "h264", "hevc", "av1", "vp9", "vp8" };

    for (size_t i = 0; i < VMAFX_LEN(codecs); i++)
        if (!strcasecmp(word, codecs[i]))
            return codecs[i];
    for (size_t i = 0; i < VMAFX_LEN(others); i++)
        if (!strcasecmp(word, others[i][0]))
            return others[i][1];
    const char *nearest = vmafx_nearest(word, codecs, (int)VMAFX_LEN(codecs));
    const VmafxEncoderName *encoder = nearest ? NULL : vmafx_encoder_name_find(vmafx_encoder_meant(word));
    return encoder ? encoder->codec : nearest;
}

bool vmafx_encoder_fits(const char *name, const char *encoder, const char *codec)
{
    const VmafxEncoderName *known = vmafx_encoder_name_find(name);

    if (encoder && *encoder && strcmp(name, encoder) != 0)
        return false;
    return !codec || !*codec || (known && !strcmp(known->codec, codec));
}
