/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * A JobSpec made of arguments or of a line of JSON. From JSON it is made by walking the message's own description, so
 * that every field there is can be given, under the name it has in jobs.proto.
 */

#include "programs/cli/submit_spec.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define DEPTH_MAX 8

struct SubmitChunk {
    struct SubmitChunk *next;
    max_align_t data[];
};

static void *take(SubmitSpec *spec, size_t size)
{
    struct SubmitChunk *chunk = calloc(1, sizeof *chunk + size);

    if (!chunk)
        return NULL;
    chunk->next = spec->chunks;
    spec->chunks = chunk;
    return chunk->data;
}

static char *text_copy(SubmitSpec *spec, const char *text)
{
    char *copy = take(spec, strlen(text) + 1);

    return copy ? strcpy(copy, text) : NULL;
}

void submit_spec_done(SubmitSpec *spec)
{
    while (spec->chunks) {
        struct SubmitChunk *chunk = spec->chunks;
        spec->chunks = chunk->next;
        free(chunk);
    }
}

static Vmafx__V1__KeyValue *key_value(SubmitSpec *spec, const char *key, const char *value)
{
    Vmafx__V1__KeyValue *pair = take(spec, sizeof *pair);

    if (!pair)
        return NULL;
    vmafx__v1__key_value__init(pair);
    pair->key = text_copy(spec, key);
    pair->value = text_copy(spec, value);
    return pair->key && pair->value ? pair : NULL;
}

bool submit_spec_label(SubmitSpec *spec, const char *text)
{
    const char *equals = strchr(text, '=');
    char key[256];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof key ||
        spec->message.n_labels == SUBMIT_LABELS_MAX)
        return false;
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    if (!spec->message.labels)
        spec->message.labels = take(spec, SUBMIT_LABELS_MAX * sizeof *spec->message.labels);
    Vmafx__V1__KeyValue *label = spec->message.labels ? key_value(spec, key, equals + 1) : NULL;
    if (!label)
        return false;
    spec->message.labels[spec->message.n_labels++] = label;
    return true;
}

/* ---- From arguments ---- */

static VmafxErr input_from(SubmitSpec *spec, const char *path, const VmafxRawFormat *raw, Vmafx__V1__Input **ret,
                           VmafxErrInfo *reterr)
{
    static const char *const layouts[] = { "420", "422", "444", "400" };
    VMAFX_AUTO(vmafx_free_p) char *absolute = NULL;
    Vmafx__V1__Input *input = take(spec, sizeof *input);

    if (!input)
        return VMAFX_ERR_NOMEM;
    vmafx__v1__input__init(input);
    if (!strcmp(path, "-"))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "a node cannot read our standard input: name a file");
    if (path[0] != '/' && !strstr(path, "://"))
        absolute = realpath(path, NULL);
    if (path[0] != '/' && !strstr(path, "://") && !absolute)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "'%s': %s; give an absolute path if it is only on the nodes",
                          path, strerror(errno));
    input->uri = text_copy(spec, absolute ? absolute : path);
    if (raw && !(input->raw = take(spec, sizeof *input->raw)))
        return VMAFX_ERR_NOMEM;
    if (raw) {
        vmafx__v1__raw_format__init(input->raw);
        input->raw->width = raw->w;
        input->raw->height = raw->h;
        input->raw->bit_depth = raw->bpc;
        input->raw->pixel_format = (char *)layouts[raw->pix];
    }
    *ret = input;
    return input->uri ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static bool options_from(SubmitSpec *spec, const VmafxOptions *options, Vmafx__V1__KeyValue ***ret, size_t *ret_n)
{
    *ret = take(spec, (options->n + 1) * sizeof **ret);
    for (size_t i = 0; *ret && i < options->n; i++) {
        (*ret)[i] = key_value(spec, options->items[i].key, options->items[i].value);
        if (!(*ret)[i])
            return false;
        *ret_n = i + 1;
    }
    return *ret != NULL;
}

static VmafxErr models_from(SubmitSpec *spec, const VmafxPairOptions *pair, VmafxErrInfo *reterr)
{
    Vmafx__V1__JobSpec *m = &spec->message;

    m->models = take(spec, (pair->n_models + 1) * sizeof *m->models);
    m->features = take(spec, (pair->n_features + 1) * sizeof *m->features);
    if (!m->models || !m->features)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < pair->n_models; i++) {
        const VmafxModelRequest *from = &pair->models[i];
        Vmafx__V1__ModelRequest *to = m->models[i] = take(spec, sizeof *to);
        if (!to)
            return VMAFX_ERR_NOMEM;
        if (from->path)
            return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                              "--model path=%s: nodes have models of their own; name one by its version", from->path);
        vmafx__v1__model_request__init(to);
        to->version = (char *)from->version;
        to->name = (char *)(from->name ? from->name : "");
        to->disable_clip = from->flags & VMAFX_MODEL_DISABLE_CLIP;
        to->enable_transform = from->flags & VMAFX_MODEL_ENABLE_TRANSFORM;
        if (!options_from(spec, &from->overloads, &to->overloads, &to->n_overloads))
            return VMAFX_ERR_NOMEM;
        m->n_models = i + 1;
    }
    for (size_t i = 0; i < pair->n_features; i++) {
        const VmafxFeatureRequest *from = &pair->features[i];
        Vmafx__V1__FeatureRequest *to = m->features[i] = take(spec, sizeof *to);
        if (!to)
            return VMAFX_ERR_NOMEM;
        vmafx__v1__feature_request__init(to);
        to->name = (char *)from->name;
        if (!options_from(spec, &from->options, &to->options, &to->n_options))
            return VMAFX_ERR_NOMEM;
        m->n_features = i + 1;
    }
    return VMAFX_OK;
}

static VmafxErr comparison_from(SubmitSpec *spec, const VmafxPairOptions *pair)
{
    Vmafx__V1__Comparison *c = take(spec, sizeof *c);

    if (!c)
        return VMAFX_ERR_NOMEM;
    vmafx__v1__comparison__init(c);
    c->first_frame = pair->first;
    c->frame_count = pair->count;
    c->skip_reference = pair->skip_ref;
    c->skip_distorted = pair->skip_dis;
    c->subsample = pair->subsample;
    c->scaling = (Vmafx__V1__Scaling)pair->scale;
    c->scale_width = pair->scale_w;
    c->scale_height = pair->scale_h;
    c->convert_depth = pair->convert_depth;
    c->convert_range = pair->convert_range;
    c->accept_shorter = pair->accept_shorter;
    c->ignore_pixel_format = pair->ignore_pixel_format;
    c->ignore_rate = pair->ignore_rate;
    c->ignore_start = pair->ignore_start;
    c->ignore_colour = pair->ignore_colour;
    c->allow_hdr = pair->allow_hdr;
    spec->message.comparison = c;
    return VMAFX_OK;
}

VmafxErr submit_spec_from(SubmitSpec *spec, const PairArguments *a, VmafxErrInfo *reterr)
{
    const VmafxPairOptions *pair = &a->pair;
    Vmafx__V1__JobSpec *m = &spec->message;
    VmafxErr err = input_from(spec, a->reference, pair->raw_reference, &m->reference, reterr);

    if (!err)
        err = input_from(spec, a->distorted, pair->raw_distorted, &m->distorted, reterr);
    if (!err)
        err = models_from(spec, pair, reterr);
    if (!err)
        err = comparison_from(spec, pair);
    m->distorted_source_case = VMAFX__V1__JOB_SPEC__DISTORTED_SOURCE_DISTORTED;
    return err == VMAFX_ERR_NOMEM ? vmafx_fail(reterr, err, "out of memory") : err;
}

/* ---- From JSON ---- */

typedef struct Walk {
    SubmitSpec *spec;
    char path[128];
    int depth;
    VmafxErrInfo *reterr;
} Walk;

static VmafxErr object_into(Walk *walk, json_t *object, ProtobufCMessage *message);

static VmafxErr wants(Walk *walk, const char *what)
{
    return vmafx_fail(walk->reterr, VMAFX_ERR_SYNTAX, "%s: must be %s", walk->path[0] ? walk->path : "the line", what);
}

static VmafxErr enum_into(Walk *walk, const ProtobufCFieldDescriptor *field, json_t *value, void *to)
{
    const ProtobufCEnumValue *found =
        json_is_string(value)
            ? protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, json_string_value(value))
            : NULL;

    if (!found)
        return wants(walk, "one of the names that jobs.proto lists");
    *(int *)to = found->value;
    return VMAFX_OK;
}

static VmafxErr number_into(Walk *walk, const ProtobufCFieldDescriptor *field, json_t *value, void *to)
{
    if (field->type == PROTOBUF_C_TYPE_DOUBLE) {
        if (!json_is_number(value))
            return wants(walk, "a number");
        *(double *)to = json_number_value(value);
        return VMAFX_OK;
    }
    if (!json_is_integer(value))
        return wants(walk, "a whole number");
    json_int_t v = json_integer_value(value);
    if (field->type == PROTOBUF_C_TYPE_INT64)
        *(int64_t *)to = v;
    else if (v < INT32_MIN || v > INT32_MAX)
        return wants(walk, "a number of 32 bits");
    else
        *(int32_t *)to = (int32_t)v;
    return VMAFX_OK;
}

/** One value of any type to where the message keeps it. */
static VmafxErr value_into(Walk *walk, const ProtobufCFieldDescriptor *field, json_t *value, void *to)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (!json_is_string(value))
            return wants(walk, "a string");
        return (*(char **)to = text_copy(walk->spec, json_string_value(value))) ? VMAFX_OK : VMAFX_ERR_NOMEM;
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(value))
            return wants(walk, "true or false");
        *(protobuf_c_boolean *)to = json_is_true(value);
        return VMAFX_OK;
    case PROTOBUF_C_TYPE_ENUM:
        return enum_into(walk, field, value, to);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return number_into(walk, field, value, to);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessageDescriptor *type = field->descriptor;
        ProtobufCMessage *inner = take(walk->spec, type->sizeof_message);
        if (!inner)
            return VMAFX_ERR_NOMEM;
        type->message_init(inner);
        *(ProtobufCMessage **)to = inner;
        return object_into(walk, value, inner);
    }
    default:
        return wants(walk, "left out here");
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    default:
        return 4;
    }
}

static VmafxErr list_into(Walk *walk, const ProtobufCFieldDescriptor *field, json_t *value, ProtobufCMessage *message)
{
    size_t n = json_array_size(value), size = size_of(field), len = strlen(walk->path);
    char *items;

    if (!json_is_array(value))
        return wants(walk, "a list");
    if (!(items = take(walk->spec, (n + 1) * size)))
        return VMAFX_ERR_NOMEM;
    *(void **)((char *)message + field->offset) = items;
    *(size_t *)((char *)message + field->quantifier_offset) = n;
    for (size_t i = 0; i < n; i++) {
        snprintf(walk->path + len, sizeof walk->path - len, "[%zu]", i);
        VmafxErr err = value_into(walk, field, json_array_get(value, i), items + i * size);
        if (err)
            return err;
    }
    walk->path[len] = 0;
    return VMAFX_OK;
}

static VmafxErr member_into(Walk *walk, const char *key, json_t *value, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, key);

    if (!field)
        return vmafx_fail(walk->reterr, VMAFX_ERR_SYNTAX, "%s: there is no such member", walk->path);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return list_into(walk, field, value, message);
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        int *which = (int *)((char *)message + field->quantifier_offset);
        if (*which)
            return vmafx_fail(walk->reterr, VMAFX_ERR_SYNTAX, "%s: only one of its kind may be given", walk->path);
        *which = (int)field->id;
    }
    return value_into(walk, field, value, (char *)message + field->offset);
}

static VmafxErr object_into(Walk *walk, json_t *object, ProtobufCMessage *message)
{
    size_t len = strlen(walk->path);
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return wants(walk, "an object");
    if (++walk->depth > DEPTH_MAX)
        return wants(walk, "less deep");
    json_object_foreach(object, key, value)
    {
        snprintf(walk->path + len, sizeof walk->path - len, "%s%s", len ? "." : "", key);
        VmafxErr err = member_into(walk, key, value, message);
        if (err)
            return err;
    }
    walk->path[len] = 0;
    walk->depth--;
    return VMAFX_OK;
}

VmafxErr submit_spec_from_json(SubmitSpec *spec, const char *text, size_t len, VmafxErrInfo *reterr)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    Walk walk = { .spec = spec, .reterr = reterr };

    *spec = (SubmitSpec){ 0 };
    vmafx__v1__job_spec__init(&spec->message);
    if (!root)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "not JSON: %s, at byte %d", error.text, error.position);
    VmafxErr err = object_into(&walk, root, &spec->message.base);
    json_decref(root);
    return err == VMAFX_ERR_NOMEM ? vmafx_fail(reterr, err, "out of memory") : err;
}
