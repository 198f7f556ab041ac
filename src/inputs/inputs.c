/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What was asked for, and who can open it. */

#include "inputs/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "inputs/cache.h"
#include "inputs/roots.h"
#include "inputs/upload.h"

#define BYTES_MAX_DEFAULT  ((int64_t)64 << 30)
#define TIMEOUT_MS_DEFAULT 3600000u

struct VmafxInputs {
    InputRoots *roots;
    Remote remote;
    bool url_private;
    Cache *cache; /* NULL: nothing is kept */
    UploadPlace uploads;
};

VmafxInputsConfig vmafx_inputs_config_from(const VmafxSettings *s, const char *version)
{
    return (VmafxInputsConfig){
        .url_hosts = vmafx_settings_text(s, "VMAFX_INPUT_URL_HOSTS"),
        .url_private = vmafx_settings_bool(s, "VMAFX_INPUT_URL_PRIVATE"),
        .url_plain = vmafx_settings_bool(s, "VMAFX_INPUT_URL_PLAIN"),
        .url_proxy = vmafx_settings_bool(s, "VMAFX_INPUT_URL_PROXY"),
        .url_ca_file = vmafx_settings_text(s, "VMAFX_INPUT_URL_CA"),
        .url_bytes_max = vmafx_settings_int(s, "VMAFX_INPUT_URL_MAX_BYTES"),
        .url_timeout_ms = (uint32_t)vmafx_settings_int(s, "VMAFX_INPUT_URL_TIMEOUT"),
        .cache = vmafx_settings_text(s, "VMAFX_INPUT_CACHE"),
        .cache_bytes_max = vmafx_settings_int(s, "VMAFX_INPUT_CACHE_MAX_BYTES"),
        .cache_verify = vmafx_settings_bool(s, "VMAFX_INPUT_CACHE_VERIFY"),
        .version = version,
    };
}

static bool may_connect(void *ctx, const struct sockaddr *address)
{
    const VmafxInputs *inputs = ctx;

    return inputs->url_private || address_is_public(address);
}

static VmafxErr open_remote(const VmafxInputsConfig *config, VmafxInputs *inputs, VmafxErrInfo *reterr)
{
    Remote *remote = &inputs->remote;
    char agent[64];

    remote->plain = config->url_plain;
    remote->bytes_max = config->url_bytes_max ? config->url_bytes_max : BYTES_MAX_DEFAULT;
    remote->timeout_ms = config->url_timeout_ms ? config->url_timeout_ms : TIMEOUT_MS_DEFAULT;
    inputs->url_private = config->url_private;
    VmafxErr err = host_list_init(&remote->hosts, config->url_hosts, reterr);
    if (!err)
        err = s3_config_init(&remote->s3, reterr);
    if (err)
        return err;
    snprintf(agent, sizeof agent, "vmafx/%s", config->version ? config->version : "0");
    return vmafx_fetcher_new(&(VmafxFetcherConfig){ .ca_file = config->url_ca_file,
                                                    .user_agent = agent,
                                                    .version = config->version,
                                                    .stall_ms = config->url_stall_ms,
                                                    .proxy_from_environment = config->url_proxy,
                                                    .may_connect = may_connect,
                                                    .ctx = inputs },
                             &remote->fetcher, reterr);
}

VmafxErr vmafx_inputs_open(const VmafxInputsConfig *config, VmafxInputs **ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_inputs_close) VmafxInputs *inputs = calloc(1, sizeof *inputs);

    if (!inputs)
        return VMAFX_ERR_NOMEM;
    VmafxErr err = input_roots_open(config->roots, config->roots_name, &inputs->roots, reterr);
    if (!err)
        err = open_remote(config, inputs, reterr);
    if (!err && config->cache)
        err = cache_open(config->cache, config->cache_bytes_max ? config->cache_bytes_max : BYTES_MAX_DEFAULT,
                         config->cache_verify, &inputs->cache, reterr);
    if (err)
        return err;
    inputs->uploads =
        (UploadPlace){ .folder = inputs->cache ? cache_folder(inputs->cache) : -1,
                       .folder_bytes_max = config->cache_bytes_max ? config->cache_bytes_max : BYTES_MAX_DEFAULT,
                       .bytes_max = inputs->remote.bytes_max,
                       .verify = config->cache_verify,
                       .timeout_ms = inputs->remote.timeout_ms };
    *ret = VMAFX_TAKE(inputs);
    return VMAFX_OK;
}

void vmafx_inputs_close(VmafxInputs **inputs)
{
    if (!*inputs)
        return;
    input_roots_close(&(*inputs)->roots);
    host_list_done(&(*inputs)->remote.hosts);
    s3_config_done(&(*inputs)->remote.s3);
    vmafx_fetcher_free(&(*inputs)->remote.fetcher);
    cache_close(&(*inputs)->cache);
    free(*inputs);
    *inputs = NULL;
}

static VmafxErr get_remote(VmafxInputs *inputs, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                           VmafxErrInfo *reterr)
{
    /* what is kept is not for those who may not ask for it any more */
    VmafxErr err = download_check(&inputs->remote, uri, ret->host, &ret->port, reterr);

    if (err)
        return err;
    ret->fetched = true;
    return inputs->cache ? cache_get(inputs->cache, &inputs->remote, uri, wait, ret, reterr)
                         : uncached_get(&inputs->remote, uri, wait, ret, reterr);
}

VmafxErr vmafx_inputs_get(VmafxInputs *inputs, const char *uri, const VmafxInputWait *wait, VmafxInput *ret,
                          VmafxErrInfo *reterr)
{
    *ret = (VmafxInput){ .fd = -1, .size = -1 };
    if (strnlen(uri, VMAFX_INPUT_URI_MAX) == VMAFX_INPUT_URI_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "the input's name is longer than %d bytes", VMAFX_INPUT_URI_MAX - 1);
    VmafxErr err = vmafx_uri_is_remote(uri)   ? get_remote(inputs, uri, wait, ret, reterr)
                   : vmafx_uri_is_upload(uri) ? upload_get(&inputs->uploads, uri, wait, ret, reterr)
                                              : input_roots_get(inputs->roots, uri, ret, reterr);
    if (err == VMAFX_ERR_NOMEM)
        ret->may_pass = ret->resource = true;
    return err;
}

void vmafx_input_done(VmafxInput *input)
{
    if (input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}
