/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What can be told of a request before anything is opened. */

#include "programs/server/scoring_check.h"

#include <inttypes.h>

#include "base/base.h"
#include "rpc/spec_check.h"

void scoring_spec(const Vmafx__V1__ScoreRequest *request, Vmafx__V1__Input inputs[2], Vmafx__V1__JobSpec *ret)
{
    const Vmafx__V1__Input *from[] = { request->reference, request->distorted };

    for (int i = 0; i < 2; i++) {
        vmafx__v1__input__init(&inputs[i]);
        if (from[i])
            inputs[i] = *from[i];
    }
    vmafx__v1__job_spec__init(ret);
    ret->reference = &inputs[0];
    if (request->encode) {
        ret->distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_ENCODE;
        ret->encode = request->encode;
    } else {
        ret->distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
        ret->distorted = &inputs[1];
    }
    ret->n_models = request->n_models;
    ret->models = request->models;
    ret->n_features = request->n_features;
    ret->features = request->features;
    ret->comparison = request->comparison;
}

static VmafxErr check_pixels(const ServerLimits *limits, const char *path, const Vmafx__V1__ScoreRequest *request,
                             VmafxErrInfo *reterr)
{
    const Vmafx__V1__Input *inputs[] = { request->reference, request->distorted };
    static const char *const roles[] = { "reference", "distorted" };

    for (int i = 0; i < 2 && limits->pixels; i++) {
        const Vmafx__V1__RawFormat *raw = inputs[i] ? inputs[i]->raw : NULL;
        if (raw && (int64_t)raw->width * raw->height > limits->pixels)
            return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                              "%s.%s.raw: %dx%d pixels are more than the %" PRId64 " that this server takes", path,
                              roles[i], raw->width, raw->height, limits->pixels);
    }
    const Vmafx__V1__EncodeRecipe *e = request->encode;
    if (limits->pixels && e && (int64_t)e->width * e->height > limits->pixels)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "%s.encode: %dx%d pixels are more than the %" PRId64 " that this server takes", path,
                          e->width, e->height, limits->pixels);
    const Vmafx__V1__Comparison *c = request->comparison;
    if (limits->pixels && c && (int64_t)c->scale_width * c->scale_height > limits->pixels)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT,
                          "%s.comparison: %dx%d pixels are more than the %" PRId64 " that this server takes", path,
                          c->scale_width, c->scale_height, limits->pixels);
    return VMAFX_OK;
}

VmafxErr scoring_check(const ServerLimits *limits, const Vmafx__V1__ScoreRequest *request, const int fds[2],
                       const Vmafx__V1__JobSpec *spec, const char *path, VmafxErrInfo *reterr)
{
    bool by_uri = fds[0] < 0 && fds[1] < 0;
    VmafxErr err = by_uri ? vmafx_spec_check(spec, path, reterr) : vmafx_spec_check_scoring(spec, path, reterr);

    if (!err && request->encode && (request->distorted || fds[1] >= 0))
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s.distorted: is made by encode; leave one of them out", path);
    if (!err && request->encode && request->encode->keep)
        err = vmafx_fail(reterr, VMAFX_ERR_ENCODER, "%s.encode.keep: this server keeps no encoded videos", path);
    for (int i = 0; i < (request->encode ? 1 : 2) && !err && !by_uri; i++)
        if (fds[i] < 0 && !*(i ? spec->distorted : spec->reference)->uri)
            err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s.%s: neither a uri nor data of it", path,
                             i ? "distorted" : "reference");
    if (!err && (request->timeout_ms < 0 || request->timeout_ms > limits->timeout_ms))
        err = vmafx_fail(reterr, VMAFX_ERR_INVALID, "%s.timeout_ms: %" PRId64 " is not 0 … %" PRId64, path,
                         request->timeout_ms, limits->timeout_ms);
    return err ? err : check_pixels(limits, path, request, reterr);
}
