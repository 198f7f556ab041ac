/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What can be named here and what the limits are. */

#include "base/base.h"
#include "base/features.h"
#include "programs/server/server.h"

void info_fill(Server *server, ServerInfo *ret)
{
    const VmafxRunnerFacts *facts = vmafx_runner_facts(server->runner);
    Vmafx__V1__GetCapabilitiesResponse *c = &ret->capabilities;
    VmafxEncoderSet encoders;

    vmafx__v1__list_models_response__init(&ret->models);
    ret->models.n_versions = facts->n_models;
    ret->models.versions = (char **)(uintptr_t)facts->models;
    vmafx__v1__get_capabilities_response__init(c);
    c->version = (char *)(uintptr_t)SERVER_VERSION;
    c->kernel_level = (char *)(uintptr_t)facts->kernel_level;
    c->n_features = VMAFX_FEATURES_N;
    c->features = (char **)(uintptr_t)vmafx_feature_names;
    c->n_sandbox_layers = facts->n_sandbox_layers;
    c->sandbox_layers = (char **)(uintptr_t)facts->sandbox_layers;
    c->slots = server->slots.slots;
    c->waiting_max = server->slots.waiting_max;
    c->upload_bytes_max = server->limits.upload_bytes;
    c->timeout_ms_max = server->limits.timeout_ms;
    c->frames_max = server->limits.frames;
    c->pixels_max = server->limits.pixels;
    c->paths = server->opens_paths;
    c->urls = server->opens_urls;
    if (!vmafx_runner_encoders(server->runner, &encoders))
        encoders = 0;
    c->n_encoders = vmafx_encoder_set_names(encoders, ret->encoders);
    c->encoders = (char **)(uintptr_t)ret->encoders;
}
