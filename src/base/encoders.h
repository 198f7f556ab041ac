/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Names of encoders and codecs, for those who hand recipes on and have no FFmpeg in them: what may be asked for, which
 * encoder makes which codec. A closed set, so a name that is in it may be the label of a metric.
 */
#ifndef VMAFX_BASE_ENCODERS_H
#define VMAFX_BASE_ENCODERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMAFX_ENCODERS_MAX     32 /* more than there are */
#define VMAFX_ENCODER_NAME_MAX 31 /* bytes of the longest that may come */

typedef struct VmafxEncoderName {
    const char *name, *codec;
    bool hardware;
} VmafxEncoderName;

/** All of encoders.def, in its order. Static. */
const VmafxEncoderName *vmafx_encoder_names(size_t *ret_n);
/** NULL: no such encoder. */
const VmafxEncoderName *vmafx_encoder_name_find(const char *name);
bool vmafx_codec_is_known(const char *codec);
/** The codec that somebody may have meant who wrote another word: "h265", "x265", "libx265" and "HEVC" are hevc. NULL:
   no idea. Static */
const char *vmafx_codec_meant(const char *word);
/** The same for encoders: "x265" and "libx256" are libx265. */
const char *vmafx_encoder_meant(const char *word);

/** A set of encoders: bit i is number i of the names. */
typedef uint32_t VmafxEncoderSet;
/** The number of a name, or -1. */
int vmafx_encoder_name_index(const char *name);
/** Fills with static names; returns how many. */
size_t vmafx_encoder_set_names(VmafxEncoderSet set, const char *ret[VMAFX_ENCODERS_MAX]);

/** "h264, hevc, av1, vp9, vp8": for sentences. */
#define VMAFX_CODECS_TEXT "h264, hevc, av1, vp9, vp8"
/** May this encoder make what is asked for? Asked for by encoder, by codec or by both; "" and NULL: any. */
bool vmafx_encoder_fits(const char *name, const char *encoder, const char *codec);
#endif
