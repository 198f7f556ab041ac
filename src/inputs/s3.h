/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Objects of S3-like stores: from s3://bucket/key to a URL, and the signature of a GET of it (AWS Signature Version 4,
 * "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API reference). Pure; any thread.
 *
 * Signed here and not by libcurl (CURLOPT_AWS_SIGV4): 7.88, which we build with, neither encodes the path nor sends
 * x-amz-content-sha256, which S3 wants, so that half of this would be here anyway; later ones do both, in other ways.
 */
#ifndef VMAFX_INPUTS_S3_H
#define VMAFX_INPUTS_S3_H

#include "base/url.h"

#define S3_KEY_MAX   1024 /* bytes of an object's key */
#define S3_TOKEN_MAX 8192

typedef struct S3Config {
    char *endpoint;   /* "https://host[:port][/prefix]", without a slash at the end; NULL: AWS */
    char *region;     /* "us-east-1" when nothing says it */
    char *access_key; /* NULL: requests are not signed */
    char *secret_key;
    char *token; /* of a session; NULL: none */
} S3Config;

/**
 * From AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, AWS_REGION or AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID,
 * AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN. Not pure: it reads the environment.
 * @return VMAFX_ERR_INVALID with a sentence, VMAFX_ERR_NOMEM
 */
VMAFX_CHECK VmafxErr s3_config_init(S3Config *config, VmafxErrInfo *reterr);
void s3_config_done(S3Config *config);

/**
 * The key is taken as it stands there, so "a%20b" has a percent sign in it. AWS is asked by BUCKET.s3.REGION, an
 * endpoint of one's own and a bucket with dots by path.
 * @return VMAFX_ERR_INPUT, VMAFX_ERR_LIMIT with a sentence
 */
VMAFX_CHECK VmafxErr s3_url(const S3Config *config, const char *uri, char ret[VMAFX_URL_MAX], VmafxErrInfo *reterr);

typedef struct S3Signature {
    char date[17];           /* x-amz-date */
    char content[65];        /* x-amz-content-sha256: of nothing */
    char authorization[768]; /* Authorization */
} S3Signature;

/**
 * Of a GET. The token is signed when there is one, and Range when it is not NULL; all must be sent as they are here.
 * @param url  as s3_url made it: encoded, without a query
 */
void s3_sign(const S3Config *config, const VmafxUrl *url, const char *range, int64_t now_unix_s, S3Signature *ret);
#endif
