/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Which model is it? In a program its name is not beside it, so it is known by its contents: a digest of its model_dict
 * that does not depend on how the JSON is spelled, looked up in a table of the published models. The table was made
 * from the published files themselves.
 */

#include "score/models_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "base/digest.h"

/* The digests are those of digest_of(). */
static const struct {
    const char *sha256, *version;
} published[] = {
    { "3eed3ede621fd5b962e59a42f5fb829e114c81ac6024fadb45b8146d6e200fc8", "vmaf_4k_v0.6.1" },
    { "cc829b4ef51a2cc7827df21cb174266e25689dfa4468add0ff665c4ef59ac080", "vmaf_4k_v0.6.1neg" },
    { "e7209a73b616d64ac87b06dc5f094f7d951077190f2381760cbe00a0a5399691", "vmaf_b_v0.6.3" },
    { "9c2215b0fde2dac2f18b2a34f5108fd02f4fd89c2f81ba633da432025057b160", "vmaf_float_4k_v0.6.1" },
    { "e766a5c00e773db3874e15d85bb07214a9722bc1bdc0f74db271744321a79abd", "vmaf_float_b_v0.6.3" },
    { "ac163fa06143cd9994e1e954db2e018546463617153838662e83d4fefbef6851", "vmaf_float_v0.6.1" },
    { "b02aa242d1c0e4b165a9eb618e0afd829360c1ed15ae40f280139f673707cde2", "vmaf_float_v0.6.1neg" },
    { "2d6119cda0467135a5811a4efd40b942e5142cd36e87e2b2c0524dd02bad56cc", "vmaf_v0.6.1" },
    { "b8c87cc26e9d4d43efd482b58982c783bac321207c4a890d051ded11ac9a3922", "vmaf_v0.6.1neg" },
    { "60991128158dd451b7f0b8d30c80e79512f78f599cb95070a695fbd23b5472d2", "vmaf_v1.0.16_1d5h_2160" },
    { "f03473f6a288c36018f33ec8cf10d53c8f5903051b6606455ebfeaada58e1440", "vmaf_v1.0.16_3d0h" },
    { "c7da1649b6f7f035fe11c975f020d7f5493324c1f664a752cd6904427f930fb8", "vmaf_v1.0.16_3d0h_2160" },
    { "4832758d133a8e66600dc7cd4e762be9e5432e3ce644dcc33d05fd92ca825106", "vmaf_v1.0.16_5d0h" },
    { "0be1345c614779fed4af4142cab910f6a82dfd59fcce3144cb945829b44539e7", "vmaf_v1.0.16_hfr_1d5h_2160" },
    { "077c8b6671f20fc562117c7c4fe4994cbfab15f19a41ea2e31d41de94baa6513", "vmaf_v1.0.16_hfr_3d0h" },
    { "f25f35152514c26769ada15d2c837d449d9841a12ecb5d5f041ec28e6db25855", "vmaf_v1.0.16_hfr_3d0h_2160" },
    { "dad439d5cb5fe4747fe5274a38ac73dd7d5e774b2dfb6d5b0af9386711c962cf", "vmaf_v1.0.16_hfr_5d0h" },
};

/* Feeds a value: its kind, then its contents; members of objects in the order of their names, numbers as doubles. */
static bool feed(VmafxSha256 *sha, json_t *value);

static void feed_text(VmafxSha256 *sha, const char *text)
{
    vmafx_sha256_add(sha, text, strlen(text) + 1);
}

static void feed_number(VmafxSha256 *sha, double number)
{
    unsigned char bytes[8];
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(bits >> 8 * i);
    vmafx_sha256_add(sha, bytes, sizeof bytes);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool feed_object(VmafxSha256 *sha, json_t *object)
{
    VMAFX_AUTO(vmafx_free_p) const char **keys = calloc(json_object_size(object) + 1, sizeof *keys);
    size_t n = 0;
    const char *key;
    json_t *member;

    if (!keys)
        return false;
    json_object_foreach(object, key, member) keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_text);
    for (size_t i = 0; i < n; i++) {
        feed_text(sha, keys[i]);
        if (!feed(sha, json_object_get(object, keys[i])))
            return false;
    }
    return true;
}

static bool feed(VmafxSha256 *sha, json_t *value)
{
    static const char kinds[] = "oasnntfz"; /* by json_type; both kinds of numbers are numbers */
    bool fed = true;
    json_t *item;
    size_t i;

    vmafx_sha256_add(sha, &kinds[json_typeof(value)], 1);
    if (json_is_object(value)) {
        fed = feed_object(sha, value);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item) fed = fed && feed(sha, item);
    } else if (json_is_string(value)) {
        feed_text(sha, json_string_value(value));
    } else if (json_is_number(value)) {
        feed_number(sha, json_number_value(value));
    }
    vmafx_sha256_add(sha, ".", 1);
    return fed;
}

/* Of the model_dict, or of those of a collection in the order of their numbers. False: no memory. */
static bool digest_of(json_t *root, char ret_hex[VMAFX_SHA256_TEXT])
{
    json_t *single = json_object_get(root, "model_dict"), *member;
    bool fed = true;
    VmafxSha256 sha;

    vmafx_sha256_init(&sha);
    if (single)
        fed = feed(&sha, single);
    for (int i = 0; !single; i++) {
        char name[16];

        snprintf(name, sizeof name, "%d", i);
        member = json_object_get(json_object_get(root, name), "model_dict");
        if (!member)
            break;
        fed = fed && feed(&sha, member);
    }
    vmafx_sha256_end_hex(&sha, ret_hex);
    return fed;
}

char *models_version_by_contents(const char *json, size_t len)
{
    json_t *root = json_loadb(json, len, JSON_DECODE_INT_AS_REAL, NULL);
    char hex[VMAFX_SHA256_TEXT];
    bool known = root && digest_of(root, hex);

    json_decref(root);
    if (!known)
        return NULL;
    for (size_t i = 0; i < VMAFX_LEN(published); i++)
        if (!strcmp(published[i].sha256, hex))
            return vmafx_strdup(published[i].version);
    return vmafx_sprintf("model_%.8s", hex);
}
