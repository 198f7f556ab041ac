/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Scoring one pair. Three or four threads meet here:
 *
 *     reader (reference) ── queue ──┐
 *                                   ├── caller: push into the engine, progress ── engine's workers
 *     reader (distorted) ── queue ──┘
 *     digests, of the input files, beside all that
 *
 * Each queue holds QUEUE_FRAMES luma planes that are allocated once. A reader owns its VmafxReader and converter
 * while it runs; the caller touches them before the thread starts and after it was joined only.
 */

#include "score/score.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/digest.h"
#include "media/convert.h"
#include "score/models.h"
#include "score/telemetry.h"

#define QUEUE_FRAMES      3
#define PROGRESS_MS       100
#define MODEL_BYTES_MAX   ((size_t)64 << 20)
#define DIGEST_PIECE      ((size_t)1 << 18)
#define START_TOLERANCE_S 0.02 /* where the frame rate is unknown */
#define RATE_TOLERANCE    1e-4

enum { REF = 0, DIS = 1 };

static const char *const input_name[] = { "reference", "distorted" };         /* in notes */
static const char *const input_phrase[] = { "reference", "distorted video" }; /* in sentences */

/* ---- models and features from text ---- */

/* Cuts the next item off *rest, which ends at a colon, and takes the backslashes off its colons. NULL at the end. */
static char *next_item(char **rest)
{
    char *item = *rest, *to = item;

    if (!item)
        return NULL;
    *rest = NULL;
    for (char *from = item;; from++) {
        if (*from == '\\' && from[1] == ':')
            from++;
        else if (*from == ':' || !*from) {
            *rest = *from ? from + 1 : NULL;
            *to = 0;
            return item;
        }
        *to++ = *from;
    }
}

/* Ends the key at the equals sign; NULL for an item without one. */
static char *value_of(char *item)
{
    char *equals = strchr(item, '=');

    if (!equals)
        return NULL;
    *equals = 0;
    return equals + 1;
}

static VmafxErr options_add(VmafxOptions *options, char *key, char *value)
{
    VmafxOption *more = realloc(options->items, (options->n + 1) * sizeof *more);

    if (!more)
        return VMAFX_ERR_NOMEM;
    options->items = more;
    options->items[options->n++] = (VmafxOption){ .key = key, .value = value };
    return VMAFX_OK;
}

static VmafxErr model_switch(unsigned *flags, unsigned flag, const char *key, const char *value, VmafxErrInfo *reterr)
{
    if (!value || !strcmp(value, "true"))
        *flags |= flag;
    else if (!strcmp(value, "false"))
        *flags &= ~flag;
    else
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model: %s is true or false, not '%s'", key, value);
    return VMAFX_OK;
}

static VmafxErr model_item(VmafxModelRequest *m, char *item, bool bare_version, VmafxErrInfo *reterr)
{
    char *value = value_of(item);

    if (!strcmp(item, "disable_clip"))
        return model_switch(&m->flags, VMAFX_MODEL_DISABLE_CLIP, item, value, reterr);
    if (!strcmp(item, "enable_transform"))
        return model_switch(&m->flags, VMAFX_MODEL_ENABLE_TRANSFORM, item, value, reterr);
    if (!value && bare_version && *item) {
        m->version = item;
        return VMAFX_OK;
    }
    if (!value || !*value)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model: '%s' lacks its value: KEY=VALUE is expected", item);
    if (!strcmp(item, "version"))
        m->version = value;
    else if (!strcmp(item, "path"))
        m->path = value;
    else if (!strcmp(item, "name"))
        m->name = value;
    else if (strchr(item, '.'))
        return options_add(&m->overloads, item, value);
    else
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX,
                          "model: '%s' is not known: there are version, path, name, disable_clip, enable_transform and "
                          "EXTRACTOR.OPTION",
                          item);
    return VMAFX_OK;
}

void vmafx_model_request_done(VmafxModelRequest *request)
{
    free(request->overloads.items);
    free(request->text);
    *request = (VmafxModelRequest){ 0 };
}

VmafxErr vmafx_model_request_parse(const char *text, bool bare_version, VmafxModelRequest *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_model_request_done) VmafxModelRequest m = { .text = vmafx_strdup(text) };
    char *rest = m.text;
    VmafxErr err = rest ? VMAFX_OK : VMAFX_ERR_NOMEM;

    for (bool first = true; rest && !err; first = false)
        err = model_item(&m, next_item(&rest), bare_version && first, reterr);
    if (!err && !m.version == !m.path)
        err = vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "model '%s': %s", text,
                         m.path ? "version and path exclude each other" : "neither version nor path is given");
    if (err)
        return err;
    *ret = m;
    m = (VmafxModelRequest){ 0 };
    return VMAFX_OK;
}

void vmafx_feature_request_done(VmafxFeatureRequest *request)
{
    free(request->options.items);
    free(request->text);
    *request = (VmafxFeatureRequest){ 0 };
}

VmafxErr vmafx_feature_request_parse(const char *text, VmafxFeatureRequest *ret, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_feature_request_done) VmafxFeatureRequest f = { .text = vmafx_strdup(text) };
    VmafxErr err = VMAFX_OK;

    if (!f.text)
        return VMAFX_ERR_NOMEM;
    char *rest = value_of(f.text);
    f.name = f.text;
    if (!*f.name)
        return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "feature '%s': its name is missing", text);
    while (rest && !err) {
        char *key = next_item(&rest), *value = value_of(key);

        if (!value || !*key)
            return vmafx_fail(reterr, VMAFX_ERR_SYNTAX, "feature '%s': '%s' lacks its value: OPTION=VALUE is expected",
                              text, key);
        err = options_add(&f.options, key, value);
    }
    if (err)
        return err;
    *ret = f;
    f = (VmafxFeatureRequest){ 0 };
    return VMAFX_OK;
}

/* ---- comparing what two videos say of themselves ---- */

typedef struct Problems {
    VmafxProblem *items;
    size_t n;
} Problems;

static void problem(Problems *problems, VmafxPairProperty property, const char *fmt, ...) VMAFX_PRINTF(3, 4);

static void problem(Problems *problems, VmafxPairProperty property, const char *fmt, ...)
{
    VmafxProblem *p = &problems->items[problems->n++];
    va_list args;

    p->property = property;
    va_start(args, fmt);
    vsnprintf(p->sentence, sizeof p->sentence, fmt, args);
    va_end(args);
}

static const char *pix_name(VmafxPixFmt pix)
{
    static const char *const names[] = { "4:2:0", "4:2:2", "4:4:4", "4:0:0 (grey)" };

    return (size_t)pix < VMAFX_LEN(names) ? names[pix] : "unknown";
}

static const char *range_name(const char *range)
{
    return !strcmp(range, "tv") ? "limited (tv)" : !strcmp(range, "pc") ? "full (pc)" : range;
}

static bool text_known(const char *text)
{
    return text && *text && strcmp(text, "unknown") && strcmp(text, "unspecified") && strcmp(text, "reserved");
}

static bool text_differs(const char *a, const char *b)
{
    return text_known(a) && text_known(b) && strcmp(a, b);
}

static bool rate_known(const VmafxVideoInfo *info)
{
    return info->rate_num > 0 && info->rate_den > 0;
}

static double rate_of(const VmafxVideoInfo *info)
{
    return (double)info->rate_num / info->rate_den;
}

/* Raw video and y4m carry no times: their start of 0 says nothing. */
static bool start_known(const VmafxVideoInfo *info)
{
    return !strstr(info->container, "y4m") && !strstr(info->container, "yuv4mpeg") && !strstr(info->container, "raw");
}

static bool is_hdr(const VmafxVideoInfo *info)
{
    return info->transfer && (!strcmp(info->transfer, "smpte2084") || !strcmp(info->transfer, "arib-std-b67"));
}

static void check_shape(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    if (o->scale == VMAFX_SCALING_NONE && (ref->w != dis->w || ref->h != dis->h))
        problem(p, VMAFX_PAIR_SIZE,
                "the distorted video is %dx%d, the reference %dx%d: --scale reference or --scale WxH brings them to "
                "one size",
                dis->w, dis->h, ref->w, ref->h);
    if (!o->ignore_pixel_format && ref->pix != dis->pix)
        problem(p, VMAFX_PAIR_PIXEL_FORMAT,
                "the pixel format of the distorted video is %s, that of the reference %s: --ignore-pixel-format "
                "compares their luma anyway",
                pix_name(dis->pix), pix_name(ref->pix));
    if (!o->convert_depth && ref->bpc != dis->bpc)
        problem(p, VMAFX_PAIR_DEPTH,
                "the distorted video has %d bits per sample, the reference %d: --convert-depth brings the distorted "
                "video to the depth of the reference",
                dis->bpc, ref->bpc);
}

static void check_colour(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    const struct {
        VmafxPairProperty property;
        const char *what, *ref, *dis;
    } colours[] = {
        { VMAFX_PAIR_MATRIX, "colour matrix", ref->matrix, dis->matrix },
        { VMAFX_PAIR_TRANSFER, "transfer function", ref->transfer, dis->transfer },
        { VMAFX_PAIR_PRIMARIES, "colour primaries", ref->primaries, dis->primaries },
    };

    if (!o->convert_range && text_differs(ref->range, dis->range))
        problem(p, VMAFX_PAIR_RANGE,
                "the range of the distorted video is %s, that of the reference %s: --convert-range brings the "
                "distorted video to the range of the reference",
                range_name(dis->range), range_name(ref->range));
    for (size_t i = 0; i < VMAFX_LEN(colours) && !o->ignore_colour; i++)
        if (text_differs(colours[i].ref, colours[i].dis))
            problem(p, colours[i].property,
                    "the distorted video says %s %s, the reference %s: --ignore-colour compares them anyway",
                    colours[i].what, colours[i].dis, colours[i].ref);
    if (!o->allow_hdr && (is_hdr(ref) || is_hdr(dis)))
        problem(p, VMAFX_PAIR_HDR,
                "the transfer function of the distorted video is %s, that of the reference %s, and the models are "
                "made for standard dynamic range: --allow-hdr scores them anyway",
                dis->transfer ? dis->transfer : "unknown", ref->transfer ? ref->transfer : "unknown");
}

static void check_time(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    if (!o->ignore_rate && rate_known(ref) && rate_known(dis) &&
        fabs(rate_of(ref) - rate_of(dis)) > RATE_TOLERANCE * rate_of(ref))
        problem(p, VMAFX_PAIR_RATE,
                "the distorted video has %.5g frames per second (%d/%d), the reference %.5g (%d/%d): --ignore-rate "
                "pairs their frames by number anyway",
                rate_of(dis), dis->rate_num, dis->rate_den, rate_of(ref), ref->rate_num, ref->rate_den);

    double tolerance = rate_known(ref) ? 0.5 / rate_of(ref) : START_TOLERANCE_S;
    if (!o->ignore_start && start_known(ref) && start_known(dis) && fabs(ref->start_s - dis->start_s) > tolerance)
        problem(p, VMAFX_PAIR_START,
                "the distorted video starts at %.3f s, the reference at %.3f s: --ignore-start pairs their first "
                "frames anyway; --skip-reference or --skip-distorted drops frames at the start",
                dis->start_s, ref->start_s);
}

static void check_frames(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *o, Problems *p)
{
    int64_t n_ref = ref->frames - o->skip_ref, n_dis = dis->frames - o->skip_dis;
    const char *skipped = o->skip_ref || o->skip_dis ? " after skipping" : "";

    if (o->accept_shorter || ref->frames <= 0 || dis->frames <= 0 || n_ref == n_dis)
        return;
    if (o->count > 0 && n_ref - o->first >= o->count && n_dis - o->first >= o->count)
        return;
    problem(p, VMAFX_PAIR_FRAMES,
            "the distorted video has %lld frames, the reference %lld%s: --accept-shorter scores those that both have",
            (long long)n_dis, (long long)n_ref, skipped);
}

size_t vmafx_pair_check(const VmafxVideoInfo *ref, const VmafxVideoInfo *dis, const VmafxPairOptions *options,
                        VmafxProblem problems[VMAFX_PAIR_PROBLEMS_MAX])
{
    Problems p = { problems, 0 };

    check_shape(ref, dis, options, &p);
    if (!options->strict)
        return p.n;
    check_colour(ref, dis, options, &p);
    check_time(ref, dis, options, &p);
    check_frames(ref, dis, options, &p);
    return p.n;
}

/* ---- notes and options for the report ---- */

static VmafxErr note(VmafxNotes *notes, const char *fmt, ...) VMAFX_PRINTF(2, 3);

static VmafxErr note(VmafxNotes *notes, const char *fmt, ...)
{
    char **more = realloc(notes->items, (notes->n + 1) * sizeof *more);
    va_list args;

    if (!more)
        return VMAFX_ERR_NOMEM;
    notes->items = more;
    va_start(args, fmt);
    int length = vasprintf(&notes->items[notes->n], fmt, args);
    va_end(args);
    if (length < 0)
        return VMAFX_ERR_NOMEM;
    notes->n++;
    return VMAFX_OK;
}

static void notes_done(VmafxNotes *notes)
{
    for (size_t i = 0; i < notes->n; i++)
        free(notes->items[i]);
    free(notes->items);
    *notes = (VmafxNotes){ 0 };
}

static VmafxErr record(VmafxResult *result, const char *key, bool bare, const char *fmt, ...) VMAFX_PRINTF(4, 5);

static VmafxErr record(VmafxResult *result, const char *key, bool bare, const char *fmt, ...)
{
    VmafxReportOption *more = realloc(result->options, (result->n_options + 1) * sizeof *more);
    va_list args;
    char *value;

    if (!more)
        return VMAFX_ERR_NOMEM;
    result->options = more;
    va_start(args, fmt);
    int length = vasprintf(&value, fmt, args);
    va_end(args);
    if (length < 0)
        return VMAFX_ERR_NOMEM;
    result->options[result->n_options++] = (VmafxReportOption){ .key = key, .value = value, .bare = bare };
    return VMAFX_OK;
}

/* Appends `text` to *list in fresh memory. */
static VmafxErr append(char **list, const char *text)
{
    char *longer = vmafx_sprintf("%s%s", *list ? *list : "", text);

    if (!longer)
        return VMAFX_ERR_NOMEM;
    free(*list);
    *list = longer;
    return VMAFX_OK;
}

static VmafxErr append_options(char **list, char separator, const VmafxOptions *options)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < options->n && !err; i++) {
        VMAFX_AUTO(vmafx_free_p)
        char *item = vmafx_sprintf("%c%s=%s", separator, options->items[i].key, options->items[i].value);

        err = item ? append(list, item) : VMAFX_ERR_NOMEM;
        separator = ':';
    }
    return err;
}

/* "vmaf=vmaf_v0.6.1:disable_clip adm=..." and "vif=debug=true motion", in the syntax of the command line. */
static VmafxErr record_requests(VmafxResult *result, const VmafxPairOptions *o)
{
    VMAFX_AUTO(vmafx_free_p) char *models = NULL;
    VMAFX_AUTO(vmafx_free_p) char *features = NULL;
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < o->n_models && !err; i++) {
        unsigned flags = o->models[i].flags;
        VMAFX_AUTO(vmafx_free_p)
        char *head = vmafx_sprintf("%s%s=%s%s%s%s", i ? " " : "", result->models[i].name, result->models[i].version,
                                   flags & VMAFX_MODEL_DISABLE_CLIP ? ":disable_clip" : "",
                                   flags & VMAFX_MODEL_ENABLE_TRANSFORM ? ":enable_transform" : "",
                                   flags & VMAFX_MODEL_DISABLE_TRANSFORM ? ":disable_transform" : "");

        err = head ? append(&models, head) : VMAFX_ERR_NOMEM;
        if (!err)
            err = append_options(&models, ':', &o->models[i].overloads);
    }
    for (size_t i = 0; i < o->n_features && !err; i++) {
        err = append(&features, i ? " " : "");
        if (!err)
            err = append(&features, o->features[i].name);
        if (!err)
            err = append_options(&features, '=', &o->features[i].options);
    }
    if (!err)
        err = record(result, "models", false, "%s", models ? models : "");
    if (!err)
        err = record(result, "features", false, "%s", features ? features : "");
    return err;
}

static VmafxErr record_options(VmafxResult *result, const VmafxPairOptions *o)
{
    const struct {
        const char *key;
        long long value;
    } numbers[] = {
        { "threads", o->threads },   { "subsample", VMAFX_MAX(o->subsample, 1) }, { "first_frame", o->first },
        { "frame_count", o->count }, { "skip_reference", o->skip_ref },           { "skip_distorted", o->skip_dis },
    };
    const struct {
        const char *key;
        bool value;
    } switches[] = {
        { "accept_shorter", o->accept_shorter },
        { "convert_depth", o->convert_depth },
        { "convert_range", o->convert_range },
        { "ignore_pixel_format", o->ignore_pixel_format },
        { "ignore_rate", o->ignore_rate },
        { "ignore_start", o->ignore_start },
        { "ignore_colour", o->ignore_colour },
        { "allow_hdr", o->allow_hdr },
        { "strict", o->strict },
    };
    VmafxErr err = record_requests(result, o);

    for (size_t i = 0; i < VMAFX_LEN(numbers) && !err; i++)
        err = record(result, numbers[i].key, true, "%lld", numbers[i].value);
    if (!err && o->scale == VMAFX_SCALING_SIZE)
        err = record(result, "scale", false, "%dx%d", o->scale_w, o->scale_h);
    else if (!err)
        err = record(result, "scale", false, "%s", o->scale == VMAFX_SCALING_REFERENCE ? "reference" : "none");
    for (size_t i = 0; i < VMAFX_LEN(switches) && !err; i++)
        err = record(result, switches[i].key, true, "%s", switches[i].value ? "true" : "false");
    return err;
}

/* ---- models and features ---- */

static bool name_taken(const VmafxResult *result, const char *name)
{
    for (size_t i = 0; i < result->n_models; i++)
        if (!strcmp(result->models[i].name, name))
            return true;
    return false;
}

/* The file name without folder and .json. */
static char *version_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *version = vmafx_strdup(slash ? slash + 1 : path);
    size_t len = version ? strlen(version) : 0;

    if (len > 5 && !strcmp(version + len - 5, ".json"))
        version[len - 5] = 0;
    return version;
}

static VmafxErr load_model(VmafxScoredModel *m, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *json = NULL;
    VmafxErrInfo info = { 0 };
    size_t len = 0;
    VmafxErr err = vmafx_read_file(m->path, MODEL_BYTES_MAX, &json, &len, reterr);

    if (err)
        return err;
    vmafx_sha256_hex(json, len, m->sha256);
    err = vmafx_model_parse(json, len, &m->owned, &info);
    m->model = m->owned;
    if (err)
        return vmafx_fail(reterr, err, "cannot use model '%s': %s", m->path,
                          *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

static void scored_model_done(VmafxScoredModel *m)
{
    vmafx_model_free(&m->owned);
    free(m->name);
    free(m->version);
    free(m->path);
    *m = (VmafxScoredModel){ 0 };
}

/* From what was loaded beforehand. */
static VmafxErr take_known(const VmafxModelRegistry *registry, const VmafxModelRequest *request, VmafxScoredModel *m,
                           VmafxErrInfo *reterr)
{
    if (!request->version)
        return vmafx_fail(reterr, VMAFX_ERR_INVALID, "model '%s': only installed models are taken, by their version",
                          request->path);
    const VmafxKnownModel *known = vmafx_model_registry_find(registry, request->version, reterr);
    if (!known)
        return VMAFX_ERR_NOT_FOUND;
    m->path = vmafx_strdup(known->path);
    m->model = known->model;
    memcpy(m->sha256, known->sha256, sizeof m->sha256);
    return VMAFX_OK;
}

/* Finds the file and settles the names. */
static VmafxErr name_model(const VmafxResult *result, const VmafxModelRequest *request,
                           const VmafxModelRegistry *registry, VmafxScoredModel *m, VmafxErrInfo *reterr)
{
    if (registry) {
        VmafxErr err = take_known(registry, request, m, reterr);
        if (err)
            return err;
    } else if (request->path) {
        m->path = vmafx_strdup(request->path);
    } else {
        VmafxErr err = vmafx_model_find(request->version, &m->path, reterr);
        if (err)
            return err;
    }
    if (!m->path)
        return VMAFX_ERR_NOMEM;
    m->version = request->version ? vmafx_strdup(request->version) : version_of_path(m->path);
    if (!m->version)
        return VMAFX_ERR_NOMEM;
    m->name = vmafx_strdup(request->name ? request->name : name_taken(result, "vmaf") ? m->version : "vmaf");
    if (!m->name)
        return VMAFX_ERR_NOMEM;
    if (name_taken(result, m->name))
        return vmafx_fail(reterr, VMAFX_ERR_INVALID,
                          "two models have the name '%s': give one of them another with name=NAME", m->name);
    return VMAFX_OK;
}

static VmafxErr add_model(VmafxResult *result, const VmafxModelRequest *request, const VmafxModelRegistry *registry,
                          VmafxErrInfo *reterr)
{
    VMAFX_AUTO(scored_model_done) VmafxScoredModel m = { 0 };
    VmafxErr err = name_model(result, request, registry, &m, reterr);

    if (!err && !m.model)
        err = load_model(&m, reterr);
    if (err)
        return err;

    /* The engine borrows the model, so it is the result's from here on, whatever comes. */
    const VmafxScoredModel *kept = &result->models[result->n_models];
    result->models[result->n_models++] = m;
    m = (VmafxScoredModel){ 0 };
    return vmafx_engine_add_model(result->engine, kept->model,
                                  &(VmafxModelUse){ .name = kept->name,
                                                    .flags = request->flags,
                                                    .overloads = request->overloads.n ? &request->overloads : NULL },
                                  reterr);
}

static VmafxErr set_up_engine(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr)
{
    VmafxEngineSettings settings = { o->threads, o->subsample, o->cpu_disabled };
    VmafxErr err = vmafx_engine_new(&settings, &result->engine);

    if (err)
        return vmafx_fail(reterr, err, "cannot start the engine: %s", vmafx_err_text(err));
    result->models = calloc(o->n_models ? o->n_models : 1, sizeof *result->models);
    if (!result->models)
        return VMAFX_ERR_NOMEM;
    for (size_t i = 0; i < o->n_models && !err; i++)
        err = add_model(result, &o->models[i], o->registry, reterr);
    for (size_t i = 0; i < o->n_features && !err; i++)
        err = vmafx_engine_add_feature(result->engine, o->features[i].name,
                                       o->features[i].options.n ? &o->features[i].options : NULL, o->strict, reterr);
    return err ? err : record_options(result, o);
}

/* ---- readers ---- */

/* A lock and a way to wait for what it covers; waits end by the monotonic clock. */
typedef struct Sync {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready; /* both were made; set once */
} Sync;

/* One input while it is read. What the lock covers is written by the reader and read by the caller. */
typedef struct Input {
    const char *path;
    VmafxReader *reader;
    VmafxConverter *converter; /* NULL: frames are taken as they come */
    VmafxPlane pending;        /* the frame that was read to learn the format; data is NULL afterwards */
    int64_t to_skip, to_give;  /* to_give < 0: all */
    VmafxPlane slots[QUEUE_FRAMES];
    void *memory[QUEUE_FRAMES];
    pthread_t thread;
    bool running;
    atomic_uint_fast64_t decode_ns; /* a plain counter: time spent in the reader */

    Sync sync; /* its lock covers everything below, and the slots by turns */
    unsigned head, filled;
    bool ended, stop;
    VmafxErr err; /* why it ended; VMAFX_OK at the end of the video */
    VmafxErrInfo info;
} Input;

typedef struct Digests {
    VmafxResult *result; /* inputs' sha256 are written by the thread */
    const int *fds;      /* as in the options */
    atomic_bool stop;    /* a plain flag: asks the thread to give up */
    pthread_t thread;
    bool running;

    Sync sync; /* its lock covers ended */
    bool ended;
} Digests;

typedef struct Pair {
    Input inputs[2];
    Digests digests;
    const VmafxPairOptions *options;
    VmafxResult *result;
    struct timespec started;
    int64_t total;
    bool cancelled;
    VmafxScoreTrace trace;
} Pair;

static double seconds_since(const struct timespec *from, clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

/* vmafx_reader_next, with its time counted. */
static VmafxErr read_frame(Input *in, VmafxPlane *ret_luma, bool *ret_more, VmafxErrInfo *reterr)
{
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    VmafxErr err = vmafx_reader_next(in->reader, ret_luma, ret_more, reterr);
    atomic_fetch_add_explicit(&in->decode_ns, (uint64_t)(seconds_since(&start, CLOCK_MONOTONIC) * 1e9),
                              memory_order_relaxed);
    return err;
}

static bool sync_init(Sync *sync)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr))
        return false;
    bool made = !pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) && !pthread_cond_init(&sync->changed, &attr);
    pthread_condattr_destroy(&attr);
    if (!made)
        return false;
    if (pthread_mutex_init(&sync->lock, NULL)) {
        pthread_cond_destroy(&sync->changed);
        return false;
    }
    sync->ready = true;
    return true;
}

static void sync_done(Sync *sync)
{
    if (!sync->ready)
        return;
    pthread_mutex_destroy(&sync->lock);
    pthread_cond_destroy(&sync->changed);
    sync->ready = false;
}

/* Waits, lock held, for a change, but no longer than until; false when that time has come. */
static bool sync_wait_until(Sync *sync, const struct timespec *until)
{
    return pthread_cond_timedwait(&sync->changed, &sync->lock, until) != ETIMEDOUT;
}

static struct timespec next_progress(void)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += PROGRESS_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return until;
}

static void input_done(Input *in)
{
    if (in->running) {
        pthread_mutex_lock(&in->sync.lock);
        in->stop = true;
        pthread_cond_broadcast(&in->sync.changed);
        pthread_mutex_unlock(&in->sync.lock);
        pthread_join(in->thread, NULL);
        in->running = false;
    }
    sync_done(&in->sync);
    vmafx_converter_free(&in->converter);
    vmafx_reader_close(&in->reader);
    for (size_t i = 0; i < QUEUE_FRAMES; i++)
        vmafx_free_p(&in->memory[i]);
}

static void digests_done(Digests *digests)
{
    if (digests->running) {
        atomic_store(&digests->stop, true);
        pthread_join(digests->thread, NULL);
        digests->running = false;
    }
    sync_done(&digests->sync);
}

static void pair_done(Pair *pair)
{
    digests_done(&pair->digests);
    input_done(&pair->inputs[REF]);
    input_done(&pair->inputs[DIS]);
}

static void copy_plane(const VmafxPlane *to, const VmafxPlane *from)
{
    size_t bytes = (size_t)from->w * (from->bpc > 8 ? 2 : 1);

    for (int y = 0; y < from->h; y++)
        memcpy((char *)(uintptr_t)to->data + y * to->stride, (const char *)from->data + y * from->stride, bytes);
}

/* The next frame that is to be scored, converted. At the end *ret_more is false. */
static VmafxErr next_frame(Input *in, VmafxPlane *ret, bool *ret_more, VmafxErrInfo *reterr)
{
    VmafxPlane luma = in->pending;

    *ret_more = true;
    if (!luma.data) {
        VmafxErr err = read_frame(in, &luma, ret_more, reterr);
        if (err || !*ret_more)
            return err;
    }
    in->pending = (VmafxPlane){ 0 };
    *ret = luma;
    if (!in->converter || in->to_skip > 0)
        return VMAFX_OK;
    VmafxErr err = vmafx_converter_run(in->converter, &luma, ret);
    return err ? vmafx_fail(reterr, err, "cannot convert a frame of '%s': %s", in->path, vmafx_err_text(err)) : err;
}

/* Waits for room. False when nobody wants more. */
static bool wait_for_room(Input *in, unsigned *ret_slot)
{
    pthread_mutex_lock(&in->sync.lock);
    while (in->filled == QUEUE_FRAMES && !in->stop)
        pthread_cond_wait(&in->sync.changed, &in->sync.lock);
    bool go_on = !in->stop;
    *ret_slot = (in->head + in->filled) % QUEUE_FRAMES;
    pthread_mutex_unlock(&in->sync.lock);
    return go_on;
}

static void *read_frames(void *arg)
{
    Input *in = arg;
    VmafxErrInfo info = { 0 };
    VmafxErr err = VMAFX_OK;
    unsigned slot;

    while (in->to_give != 0 && wait_for_room(in, &slot)) {
        VmafxPlane luma;
        bool more;

        err = next_frame(in, &luma, &more, &info);
        if (!err && more && in->to_skip == 0 &&
            (luma.w != in->slots[0].w || luma.h != in->slots[0].h || luma.bpc != in->slots[0].bpc))
            err = vmafx_fail(&info, VMAFX_ERR_MISMATCH, "the size or depth of '%s' changes midway", in->path);
        if (err || !more)
            break;
        if (in->to_skip > 0) {
            in->to_skip--;
            continue;
        }
        copy_plane(&in->slots[slot], &luma);
        in->to_give -= in->to_give > 0;
        pthread_mutex_lock(&in->sync.lock);
        in->filled++;
        pthread_cond_broadcast(&in->sync.changed);
        pthread_mutex_unlock(&in->sync.lock);
    }
    pthread_mutex_lock(&in->sync.lock);
    in->ended = true;
    in->err = err;
    in->info = info;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
    return NULL;
}

/* Tells the caller's callback; notes its wish to stop. */
static void tell(Pair *pair)
{
    VmafxProgress progress = { .frames = pair->result->frames,
                               .total = pair->total,
                               .elapsed_s = seconds_since(&pair->started, CLOCK_MONOTONIC) };

    if (pair->options->progress && !pair->options->progress(pair->options->progress_ctx, &progress))
        pair->cancelled = true;
}

/* Waits for the next frame of an input; NULL at its end and when cancelled. */
static const VmafxPlane *wait_for_frame(Pair *pair, Input *in)
{
    const VmafxPlane *frame = NULL;

    while (!pair->cancelled) {
        const struct timespec until = next_progress();

        pthread_mutex_lock(&in->sync.lock);
        while (in->filled == 0 && !in->ended && sync_wait_until(&in->sync, &until))
            ;
        bool ended = in->ended && in->filled == 0;
        if (in->filled > 0)
            frame = &in->slots[in->head];
        pthread_mutex_unlock(&in->sync.lock);
        if (frame || ended)
            break;
        tell(pair);
    }
    return frame;
}

static void release_frame(Input *in)
{
    pthread_mutex_lock(&in->sync.lock);
    in->head = (in->head + 1) % QUEUE_FRAMES;
    in->filled--;
    pthread_cond_broadcast(&in->sync.changed);
    pthread_mutex_unlock(&in->sync.lock);
}

/* ---- digests ---- */

/* A descriptor of a regular file for its digest; -1 for anything that can be read only once. */
static int open_regular(const char *path, const int *given)
{
    struct stat st;

    if (!strncmp(path, "file:", 5)) /* as readers understand it */
        path += 5;
    if (given ? fstat(*given, &st) : !strcmp(path, "-") || stat(path, &st))
        return -1;
    if (!S_ISREG(st.st_mode))
        return -1;
    return given ? fcntl(*given, F_DUPFD_CLOEXEC, 0) : open(path, O_RDONLY | O_CLOEXEC);
}

/* From the start whatever the file's position is: a reader may have the same open file. False: not to its end. */
static bool digest_bytes(Digests *digests, int fd, VmafxSha256 *sha)
{
    VMAFX_AUTO(vmafx_free_p) unsigned char *piece = malloc(DIGEST_PIECE);
    off_t at = 0;
    ssize_t got = piece ? 1 : -1;

    while (got > 0 && !atomic_load(&digests->stop)) {
        do
            got = pread(fd, piece, DIGEST_PIECE, at);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            vmafx_sha256_add(sha, piece, (size_t)got);
        at += got;
    }
    return got == 0;
}

/* Leaves ret as it is when the file cannot be read to its end. */
static void digest_file(Digests *digests, const char *path, const int *given, char ret[VMAFX_SHA256_TEXT])
{
    int fd = open_regular(path, given);
    VmafxSha256 sha;

    if (fd < 0)
        return;
    vmafx_sha256_init(&sha);
    if (digest_bytes(digests, fd, &sha))
        vmafx_sha256_end_hex(&sha, ret);
    close(fd);
}

static void *digest_inputs(void *arg)
{
    Digests *digests = arg;

    for (size_t i = 0; i < 2; i++)
        digest_file(digests, digests->result->inputs[i].path, digests->fds ? &digests->fds[i] : NULL,
                    digests->result->inputs[i].sha256);
    pthread_mutex_lock(&digests->sync.lock);
    digests->ended = true;
    pthread_cond_broadcast(&digests->sync.changed);
    pthread_mutex_unlock(&digests->sync.lock);
    return NULL;
}

static VmafxErr start_digests(Pair *pair)
{
    Digests *digests = &pair->digests;

    digests->result = pair->result;
    digests->fds = pair->options->fds;
    if (!sync_init(&digests->sync) || pthread_create(&digests->thread, NULL, digest_inputs, digests))
        return VMAFX_ERR_NOMEM;
    digests->running = true;
    return VMAFX_OK;
}

/* Large inputs on slow storage may keep the digests busy after the last score. */
static void wait_for_digests(Pair *pair)
{
    Digests *digests = &pair->digests;
    bool ended = !digests->running;

    while (!ended && !pair->cancelled) {
        const struct timespec until = next_progress();

        pthread_mutex_lock(&digests->sync.lock);
        while (!digests->ended && sync_wait_until(&digests->sync, &until))
            ;
        ended = digests->ended;
        pthread_mutex_unlock(&digests->sync.lock);
        if (!ended)
            tell(pair);
    }
    digests_done(digests);
}

/* ---- the pair ---- */

/* Opens an input and reads its first frame, so that its facts are those of the pictures. */
static VmafxErr open_input(Input *in, const int *given, const VmafxRawFormat *raw, VmafxScoredInput *scored,
                           VmafxErrInfo *reterr)
{
    bool more = false;
    int fd = given ? fcntl(*given, F_DUPFD_CLOEXEC, 0) : -1;

    if (given && fd < 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "cannot read '%s': %s", in->path, strerror(errno));
    VmafxErr err = given ? vmafx_reader_open_fd(fd, in->path, raw, &in->reader, reterr)
                         : vmafx_reader_open(in->path, raw, &in->reader, reterr);
    if (err)
        return err;
    err = read_frame(in, &in->pending, &more, reterr);
    scored->info = *vmafx_reader_info(in->reader);
    scored->known = true;
    if (!err && !more)
        err = vmafx_fail(reterr, VMAFX_ERR_INPUT, "'%s' has no frame", in->path);
    return err;
}

static VmafxErr open_inputs(Pair *pair, VmafxErrInfo *reterr)
{
    const VmafxRawFormat *const raw[] = { pair->options->raw_reference, pair->options->raw_distorted };
    VmafxErr err = VMAFX_OK;

    for (int i = 0; i < 2 && !err; i++) {
        VmafxScoredInput *scored = &pair->result->inputs[i];
        VmafxSpan *span = vmafx_score_trace_input(input_name[i]);

        err = open_input(&pair->inputs[i], pair->options->fds ? &pair->options->fds[i] : NULL, raw[i], scored, reterr);
        vmafx_score_trace_input_done(&span, scored->known ? &scored->info : NULL, err);
    }
    return err;
}

static VmafxErr check_pair(VmafxResult *result, const VmafxPairOptions *o, VmafxErrInfo *reterr)
{
    result->n_problems = vmafx_pair_check(&result->inputs[REF].info, &result->inputs[DIS].info, o, result->problems);
    if (result->n_problems)
        return vmafx_fail(reterr, VMAFX_ERR_MISMATCH, "%s", result->problems[0].sentence);
    return VMAFX_OK;
}

/* Prepares the conversions of one input and says so in the notes. */
static VmafxErr adapt_input(Pair *pair, int which, const VmafxVideoInfo *target, VmafxErrInfo *reterr)
{
    const VmafxVideoInfo *info = &pair->result->inputs[which].info;
    VmafxNotes *notes = &pair->result->adaptations;
    VmafxConvertSpec spec = { .w_in = info->w, .h_in = info->h, .bpc_in = info->bpc };
    VmafxErr err = VMAFX_OK;

    spec.w_out = target->w;
    spec.h_out = target->h;
    spec.bpc_out = target->bpc;
    if (pair->options->convert_range && text_differs(info->range, target->range))
        spec.range = !strcmp(target->range, "pc") ? VMAFX_RANGE_TO_FULL : VMAFX_RANGE_TO_LIMITED;

    if (spec.range != VMAFX_RANGE_SAME)
        err = note(notes, "%s converted from range %s to %s", input_name[which], range_name(info->range),
                   range_name(target->range));
    if (!err && (spec.w_in != spec.w_out || spec.h_in != spec.h_out))
        err = note(notes, "%s scaled from %dx%d to %dx%d (bicubic)", input_name[which], spec.w_in, spec.h_in,
                   spec.w_out, spec.h_out);
    if (!err && spec.bpc_in != spec.bpc_out)
        err = note(notes, "%s converted from %d to %d bits per sample", input_name[which], spec.bpc_in, spec.bpc_out);
    if (err || (spec.range == VMAFX_RANGE_SAME && spec.w_in == spec.w_out && spec.h_in == spec.h_out &&
                spec.bpc_in == spec.bpc_out))
        return err;
    return vmafx_converter_new(&spec, &pair->inputs[which].converter, reterr);
}

static VmafxErr note_ranges(VmafxResult *result, const VmafxPairOptions *o)
{
    const int64_t skip[2] = { o->skip_ref, o->skip_dis };
    VmafxErr err = VMAFX_OK;

    for (int i = 0; i < 2 && !err; i++)
        if (skip[i] > 0)
            err = note(&result->adaptations, "the first %lld frames of the %s skipped", (long long)skip[i],
                       input_name[i]);
    if (!err && o->count > 0)
        err = note(&result->adaptations, "only frames %lld to %lld", (long long)o->first,
                   (long long)(o->first + o->count - 1));
    else if (!err && o->first > 0)
        err = note(&result->adaptations, "only frames from %lld on", (long long)o->first);
    return err;
}

/* Models were made for one viewing situation; a picture height far from it makes the number mean something else. */
static VmafxErr warn_about_models(VmafxResult *result)
{
    VmafxErr err = VMAFX_OK;

    for (size_t i = 0; i < result->n_models && !err; i++) {
        const char *version = result->models[i].version;

        if (strstr(version, "4k") && result->h < 2160)
            err = note(&result->warnings,
                       "model %s is made for pictures 2160 high, these are %d high: vmaf_v0.6.1 fits them better",
                       version, result->h);
        else if (!strstr(version, "4k") && strstr(version, "v0.6.1") && result->h > 1440)
            err = note(&result->warnings,
                       "model %s is made for pictures 1080 high, these are %d high: vmaf_4k_v0.6.1 fits them better",
                       version, result->h);
    }
    return err;
}

static VmafxErr adapt_pair(Pair *pair, VmafxErrInfo *reterr)
{
    const VmafxPairOptions *o = pair->options;
    VmafxResult *result = pair->result;
    VmafxVideoInfo target = result->inputs[REF].info;

    if (o->scale == VMAFX_SCALING_SIZE) {
        target.w = o->scale_w;
        target.h = o->scale_h;
    }
    result->w = target.w;
    result->h = target.h;
    result->bpc = target.bpc;

    VmafxErr err = adapt_input(pair, REF, &target, reterr);
    if (!err)
        err = adapt_input(pair, DIS, &target, reterr);
    if (!err)
        err = note_ranges(result, o);
    if (!err)
        err = warn_about_models(result);
    return err;
}

/* How many frames come before the ones that are scored. */
static int64_t frames_before(const VmafxPairOptions *o, int which)
{
    return (which == REF ? o->skip_ref : o->skip_dis) + o->first;
}

static VmafxErr start_input(Pair *pair, int which)
{
    Input *in = &pair->inputs[which];
    const VmafxResult *result = pair->result;
    size_t stride = ((size_t)result->w * (result->bpc > 8 ? 2 : 1) + 63) / 64 * 64;

    in->to_skip = frames_before(pair->options, which);
    in->to_give = pair->options->count > 0 ? pair->options->count : -1;
    for (size_t i = 0; i < QUEUE_FRAMES; i++) {
        in->memory[i] = vmafx_alloc_aligned((size_t)result->h, stride);
        if (!in->memory[i])
            return VMAFX_ERR_NOMEM;
        in->slots[i] = (VmafxPlane){
            .data = in->memory[i], .stride = (ptrdiff_t)stride, .w = result->w, .h = result->h, .bpc = result->bpc
        };
    }
    if (!sync_init(&in->sync) || pthread_create(&in->thread, NULL, read_frames, in))
        return VMAFX_ERR_NOMEM;
    in->running = true;
    return VMAFX_OK;
}

static int64_t expected_frames(const Pair *pair)
{
    int64_t total = pair->options->count;

    for (int i = 0; i < 2; i++) {
        int64_t n = pair->result->inputs[i].info.frames_estimate - frames_before(pair->options, i);

        if (n > 0)
            total = total ? VMAFX_MIN(total, n) : n;
    }
    return total;
}

static VmafxErr start_threads(Pair *pair, VmafxErrInfo *reterr)
{
    VmafxErr err = start_input(pair, REF);

    if (!err)
        err = start_input(pair, DIS);
    if (!err && pair->options->digest)
        err = start_digests(pair);
    pair->total = expected_frames(pair);
    return err ? vmafx_fail(reterr, err, "cannot start reading: %s", vmafx_err_text(err)) : err;
}

/* Why an input gave no more frames, once it has ended. */
static VmafxErr ending_of(Input *in, VmafxErrInfo *ret)
{
    pthread_mutex_lock(&in->sync.lock);
    VmafxErr err = in->err;
    *ret = in->info;
    pthread_mutex_unlock(&in->sync.lock);
    return err;
}

/* One input has ended cleanly, the other goes on. */
static VmafxErr end_shorter(Pair *pair, int first)
{
    VmafxResult *result = pair->result;

    result->ending = VMAFX_ENDING_SHORTER;
    result->ended_first = first;
    if (pair->options->accept_shorter)
        return note(&result->adaptations, "%s trimmed to the %u frames that the %s has", input_name[!first],
                    result->frames, input_name[first]);
    result->incomplete_reason =
        vmafx_sprintf("the %s '%s' ended after %u frames, the %s '%s' goes on: --accept-shorter takes that as complete",
                      input_phrase[first], result->inputs[first].path, result->frames, input_phrase[!first],
                      result->inputs[!first].path);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr end_broken(Pair *pair, int which, VmafxErr why, const VmafxErrInfo *info, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;
    const char *message = *info->message ? info->message : vmafx_err_text(why);

    if (result->frames == 0 || why == VMAFX_ERR_NOMEM || why == VMAFX_ERR_INTERNAL)
        return vmafx_fail(reterr, why, "%s", message);
    result->ending = VMAFX_ENDING_BROKEN;
    result->ended_first = which;
    result->incomplete_reason =
        vmafx_sprintf("the %s broke off after %u frames: %s", input_phrase[which], result->frames, message);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

/* Both are at their last frame, or one is: says how the pair ended. */
static VmafxErr end_pair(Pair *pair, const VmafxPlane *ref, const VmafxPlane *dis, VmafxErrInfo *reterr)
{
    const bool ended[2] = { !ref, !dis };
    VmafxResult *result = pair->result;

    for (int i = 0; i < 2; i++) {
        VmafxErrInfo info;
        VmafxErr why = ended[i] ? ending_of(&pair->inputs[i], &info) : VMAFX_OK;

        if (why)
            return end_broken(pair, i, why, &info, reterr);
    }
    if (result->frames == 0)
        return vmafx_fail(reterr, VMAFX_ERR_INPUT, "no frame to score: '%s' has none left%s",
                          result->inputs[ended[REF] ? REF : DIS].path,
                          frames_before(pair->options, ended[REF] ? REF : DIS) ? " after skipping" : "");
    if (ended[REF] != ended[DIS])
        return end_shorter(pair, ended[REF] ? REF : DIS);
    result->ending = VMAFX_ENDING_TOGETHER;
    if (pair->options->count > 0 && result->frames < pair->options->count)
        return note(&result->warnings, "%lld frames were asked for, the inputs have %u",
                    (long long)pair->options->count, result->frames);
    return VMAFX_OK;
}

/* What the decoding threads and the engine's workers have spent. */
static VmafxScoreTimes times_of(Pair *pair)
{
    const VmafxEngine *engine = pair->result->engine;
    uint64_t decode_ns = atomic_load_explicit(&pair->inputs[REF].decode_ns, memory_order_relaxed) +
                         atomic_load_explicit(&pair->inputs[DIS].decode_ns, memory_order_relaxed);

    return (VmafxScoreTimes){ .decode_s = (double)decode_ns / 1e9,
                              .vif_s = engine ? vmafx_engine_seconds(engine, "vif") : 0,
                              .adm_s = engine ? vmafx_engine_seconds(engine, "adm") : 0,
                              .motion_s = engine ? vmafx_engine_seconds(engine, "motion") : 0 };
}

static VmafxErr score_frames(Pair *pair, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;

    for (;;) {
        const VmafxPlane *ref = wait_for_frame(pair, &pair->inputs[REF]);
        const VmafxPlane *dis = wait_for_frame(pair, &pair->inputs[DIS]);

        if (pair->cancelled)
            return VMAFX_OK;
        if (!ref || !dis)
            return end_pair(pair, ref, dis, reterr);
        VmafxScoreTimes times = times_of(pair);
        vmafx_score_trace_frame(&pair->trace, result->frames, seconds_since(&pair->started, CLOCK_MONOTONIC), &times);
        VmafxErr err = vmafx_engine_push(result->engine, ref, dis, reterr);
        if (err)
            return err;
        release_frame(&pair->inputs[REF]);
        release_frame(&pair->inputs[DIS]);
        result->frames++;
        tell(pair);
    }
}

static VmafxErr end_cancelled(VmafxResult *result)
{
    free(result->incomplete_reason);
    result->ending = VMAFX_ENDING_CANCELLED;
    result->incomplete_reason = vmafx_sprintf("cancelled after %u frames", result->frames);
    return result->incomplete_reason ? VMAFX_OK : VMAFX_ERR_NOMEM;
}

static VmafxErr run_pair(Pair *pair, VmafxErrInfo *reterr)
{
    VmafxResult *result = pair->result;
    struct timespec cpu;
    VmafxErr err;

    result->stage = VMAFX_STAGE_INPUTS;
    err = open_inputs(pair, reterr);
    if (err)
        return err;
    result->stage = VMAFX_STAGE_PAIR;
    err = check_pair(result, pair->options, reterr);
    if (!err)
        err = adapt_pair(pair, reterr);
    if (err)
        return err;

    result->stage = VMAFX_STAGE_SCORING;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    err = start_threads(pair, reterr);
    if (!err)
        err = score_frames(pair, reterr);
    if (!err && !pair->cancelled)
        err = vmafx_engine_finish(result->engine, reterr);
    result->wall_s = seconds_since(&pair->started, CLOCK_MONOTONIC);
    result->cpu_s = seconds_since(&cpu, CLOCK_PROCESS_CPUTIME_ID);
    if (err)
        return err;
    wait_for_digests(pair);
    if (pair->cancelled)
        err = end_cancelled(result);
    if (err)
        return err;
    result->complete = !result->incomplete_reason;
    result->stage = VMAFX_STAGE_DONE;
    return VMAFX_OK;
}

/* Frame numbers are 32 bits wide from the engine up; sums of these stay far from the edge of 64. */
static bool options_make_sense(const VmafxPairOptions *o)
{
    const int64_t numbers[] = { o->first, o->count, o->skip_ref, o->skip_dis };

    for (size_t i = 0; i < VMAFX_LEN(numbers); i++)
        if (numbers[i] < 0 || numbers[i] > UINT32_MAX)
            return false;
    if (o->first + o->count > UINT32_MAX || o->threads < 0 || o->subsample < 0)
        return false;
    return o->scale != VMAFX_SCALING_SIZE ||
           (o->scale_w > 0 && o->scale_w <= VMAFX_DIMENSION_MAX && o->scale_h > 0 && o->scale_h <= VMAFX_DIMENSION_MAX);
}

static void end_trace(Pair *pair, VmafxErr err)
{
    const VmafxResult *result = pair->result;
    const VmafxScoredModel *model = result->n_models ? &result->models[0] : NULL;
    VmafxScoreEnd end = { .err = err,
                          .kernels = result->engine ? vmafx_engine_kernels(result->engine) : NULL,
                          .frames = result->frames,
                          .elapsed_s = seconds_since(&pair->started, CLOCK_MONOTONIC),
                          .times = times_of(pair),
                          .complete = result->complete,
                          .ending = result->ending };
    VmafxPooled pooled;

    if (result->ending == VMAFX_ENDING_SHORTER || result->ending == VMAFX_ENDING_BROKEN)
        end.ended_first = input_name[result->ended_first];
    if (model) {
        end.model = model->version ? model->version : model->name;
        end.model_sha256 = model->sha256;
    }
    if (model && result->stage == VMAFX_STAGE_DONE && result->frames &&
        !vmafx_engine_pool(result->engine, vmafx_engine_find(result->engine, model->name), 0, result->frames - 1,
                           &pooled)) {
        end.has_score = true;
        end.score = pooled.mean;
    }
    vmafx_score_trace_end(&pair->trace, &end);
}

VmafxErr vmafx_score_pair(const char *reference, const char *distorted, const VmafxPairOptions *options,
                          VmafxResult *result, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(pair_done) Pair pair = { .options = options, .result = result };
    VmafxErrInfo info = { 0 };

    clock_gettime(CLOCK_MONOTONIC, &pair.started);
    *result = (VmafxResult){ .subsample = options->subsample, .first = options->first, .skip_ref = options->skip_ref };
    pair.inputs[REF].path = reference;
    pair.inputs[DIS].path = distorted;
    result->inputs[REF].path = vmafx_strdup(reference);
    result->inputs[DIS].path = vmafx_strdup(distorted);

    if (options->flat_trace)
        vmafx_score_trace_begin_flat(&pair.trace);
    else
        vmafx_score_trace_begin(&pair.trace);
    VmafxErr err = result->inputs[REF].path && result->inputs[DIS].path ? VMAFX_OK : VMAFX_ERR_NOMEM;
    if (!err && !options_make_sense(options))
        err = vmafx_fail(&info, VMAFX_ERR_INVALID, "a frame number, a thread count or a size is outside its range");
    if (!err)
        err = set_up_engine(result, options, &info);
    if (!err)
        err = run_pair(&pair, &info);
    end_trace(&pair, err);
    if (err)
        return vmafx_fail(reterr, err, "%s", *info.message ? info.message : vmafx_err_text(err));
    return VMAFX_OK;
}

void vmafx_result_done(VmafxResult *result)
{
    vmafx_engine_free(&result->engine); /* borrows the models */
    for (size_t i = 0; i < result->n_models; i++)
        scored_model_done(&result->models[i]);
    free(result->models);
    for (size_t i = 0; i < 2; i++)
        free(result->inputs[i].path);
    for (size_t i = 0; i < result->n_options; i++)
        free((char *)(uintptr_t)result->options[i].value);
    free(result->options);
    notes_done(&result->adaptations);
    notes_done(&result->warnings);
    free(result->incomplete_reason);
    free(result->report_series);
    free(result->report_models);
    *result = (VmafxResult){ 0 };
}

/* ---- the writers' view ---- */

static bool engine_value(const void *ctx, size_t series, uint32_t frame, double *ret)
{
    return vmafx_engine_value(ctx, series, frame, ret);
}

/* What follows the name of a collection in the names of its members' and its statistics' series. */
static bool is_member_suffix(const char *suffix)
{
    static const char *const statistics[] = { "_bagging", "_stddev", "_ci_p95_lo", "_ci_p95_hi" };

    for (size_t i = 0; i < VMAFX_LEN(statistics); i++)
        if (!strcmp(suffix, statistics[i]))
            return true;
    return strlen(suffix) == 5 && *suffix == '_' && strspn(suffix + 1, "0123456789") == 4;
}

static VmafxSeriesKind kind_of(const VmafxResult *result, const char *series)
{
    for (size_t i = 0; i < result->n_models; i++) {
        const char *name = result->models[i].name;
        size_t len = strlen(name);

        if (!strcmp(series, name))
            return VMAFX_SERIES_SCORE;
        if (vmafx_model_is_collection(result->models[i].model) && !strncmp(series, name, len) &&
            is_member_suffix(series + len))
            return VMAFX_SERIES_MEMBER;
    }
    return VMAFX_SERIES_FEATURE;
}

VmafxErr vmafx_result_report(VmafxResult *result, VmafxReportData *ret)
{
    size_t n = vmafx_engine_series(result->engine);
    VmafxReportSeries *series = calloc(n ? n : 1, sizeof *series);
    VmafxReportModel *models = calloc(result->n_models ? result->n_models : 1, sizeof *models);

    free(result->report_series);
    free(result->report_models);
    result->report_series = series;
    result->report_models = models;
    if (!series || !models)
        return VMAFX_ERR_NOMEM;

    for (size_t i = 0; i < n; i++) {
        series[i].name = vmafx_engine_series_name(result->engine, i);
        series[i].kind = kind_of(result, series[i].name);
    }
    for (size_t i = 0; i < result->n_models; i++) {
        const VmafxScoredModel *m = &result->models[i];

        models[i] = (VmafxReportModel){ .name = m->name,
                                        .version = m->version,
                                        .path = m->path,
                                        .sha256 = m->sha256,
                                        .collection = vmafx_model_is_collection(m->model) };
    }
    const VmafxVideoInfo *ref = &result->inputs[REF].info;
    *ret = (VmafxReportData){
        .version = VMAFX_ENGINE_VERSION,
        .kernels = vmafx_engine_kernels(result->engine),
        .fps = result->frames / result->cpu_s,
        .w = result->w,
        .h = result->h,
        .frames = result->frames,
        .subsample = result->subsample,
        .series = series,
        .n_series = n,
        .value = engine_value,
        .ctx = result->engine,
        .complete = result->complete,
        .incomplete_reason = result->incomplete_reason,
        .first_frame = (uint32_t)result->first,
        .time_offset_frames = result->skip_ref,
        .rate_num = ref->rate_num,
        .rate_den = ref->rate_den,
        .models = models,
        .n_models = result->n_models,
        .options = result->options,
        .n_options = result->n_options,
        .adaptations = (const char *const *)result->adaptations.items,
        .n_adaptations = result->adaptations.n,
        .warnings = (const char *const *)result->warnings.items,
        .n_warnings = result->warnings.n,
        .wall_s = result->wall_s,
        .cpu_s = result->cpu_s,
    };
    for (size_t i = 0; i < 2; i++)
        ret->inputs[i] = (VmafxReportInput){ .path = result->inputs[i].path,
                                             .info = result->inputs[i].known ? &result->inputs[i].info : NULL,
                                             .sha256 = *result->inputs[i].sha256 ? result->inputs[i].sha256 : NULL };
    return VMAFX_OK;
}
