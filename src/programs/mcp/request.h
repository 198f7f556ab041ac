/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Arguments of tools, which fit their schema, as the request of a job. Pure. */
#ifndef VMAFX_PROGRAMS_MCP_REQUEST_H
#define VMAFX_PROGRAMS_MCP_REQUEST_H

#include <jansson.h>

#include "rpc/message.h"

#define REQUEST_URI_MAX      4097 /* with the terminating zero */
#define REQUEST_SETTINGS_MAX 32   /* of an encoder */

/** The job and what it points into: texts are the arguments' and its own. It may not move once it is filled. */
typedef struct Request {
    Vmafx__V1__JobSpec spec;
    Vmafx__V1__Input reference, distorted;
    Vmafx__V1__RawFormat raw;
    Vmafx__V1__ModelRequest models[8], *model_list[8];
    Vmafx__V1__FeatureRequest features[16], *feature_list[16];
    Vmafx__V1__Comparison comparison;
    Vmafx__V1__EncodeRecipe recipe;
    Vmafx__V1__KeyValue settings[REQUEST_SETTINGS_MAX], *setting_list[REQUEST_SETTINGS_MAX];
    char setting_keys[REQUEST_SETTINGS_MAX][128];
    char uris[2][REQUEST_URI_MAX];
} Request;

/** Which local files may be named. */
typedef struct RequestPlace {
    const char *roots;  /* absolute folders, separated by colons; NULL or "": none */
    const char *folder; /* where relative paths begin; NULL: they are refused */
} RequestPlace;

/**
 * @param reference, distorted  what the tool was given for them; without distorted the arguments have an "encode"
 * @return VMAFX_ERR_INVALID, VMAFX_ERR_ENCODER, VMAFX_ERR_FORBIDDEN (roots), VMAFX_ERR_LIMIT, with a sentence
 */
VMAFX_CHECK VmafxErr request_init(Request *ret, const RequestPlace *place, const char *reference, const char *distorted,
                                  const json_t *arguments, VmafxErrInfo *reterr);

/**
 * A path as it is sent on: absolute, without "." and doubled slashes, below one of the roots as far as its text tells
 * (symbolic links are looked at by whoever opens it). URLs pass as they are: their policy is that of who fetches them.
 */
VMAFX_CHECK VmafxErr request_path(const RequestPlace *place, const char *given, char ret[REQUEST_URI_MAX],
                                  VmafxErrInfo *reterr);
#endif
