/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Model files: the folders they are in, and taking them out of programs that have them built in.
 *
 * Programs carry a model as plain JSON text between other data. Its name is not beside it, so it is known by its
 * contents: a digest of its model_dict that does not depend on how the JSON is spelled, looked up in a table of the
 * published models. The table was made from the published files themselves.
 */

#include "score/models.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/atomic_file.h"
#include "base/base.h"
#include "base/config.h"
#include "base/digest.h"

#ifndef VMAFX_DATADIR
#define VMAFX_DATADIR "/usr/local/share"
#endif

#define MODEL_BYTES_MAX  ((size_t)64 << 20)
#define IMPORT_BYTES_MAX ((off_t)1 << 30)
#define MARK             "\"model_dict\""
#define NESTING_MAX      16 /* of JSON inside a program; published models need 6 */
#define WORD_MAX         64 /* of a version, when looking for the nearest */
#define SUFFIX           ".json"

/* ---- folders ---- */

typedef struct Dirs {
    char **items; /* ended by NULL */
    size_t n;
} Dirs;

static void dirs_done(Dirs *dirs)
{
    vmafx_model_dirs_free(&dirs->items);
}

/* Takes the path over; NULL is no memory. */
static bool dirs_add(Dirs *dirs, char *path)
{
    char **more = path ? realloc(dirs->items, (dirs->n + 2) * sizeof *more) : NULL;

    if (!more) {
        free(path);
        return false;
    }
    dirs->items = more;
    more[dirs->n++] = path;
    more[dirs->n] = NULL;
    return true;
}

/* Empty entries of a list in VMAFX_MODEL_PATH mean nothing. */
static bool dirs_add_list(Dirs *dirs, const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, ":");

        if (len && !dirs_add(dirs, strndup(list, len)))
            return false;
        list += len + (list[len] == ':');
    }
    return true;
}

static bool dirs_add_user(Dirs *dirs)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && *data)
        return dirs_add(dirs, vmafx_sprintf("%s/vmafx/models", data));
    if (!home || !*home) {
        const struct passwd *user = getpwuid(getuid());

        home = user ? user->pw_dir : NULL;
    }
    return !home || dirs_add(dirs, vmafx_sprintf("%s/.local/share/vmafx/models", home));
}

static VmafxErr find_dirs(Dirs *dirs, VmafxErrInfo *reterr)
{
    static const char *const fixed[] = { VMAFX_DATADIR "/vmafx/models", "/usr/share/vmaf/model", "/usr/share/model",
                                         "/usr/local/share/model" };
    VMAFX_AUTO(vmafx_config_free) VmafxConfig *config = NULL;
    VmafxErr err = vmafx_config_load(&config, reterr);
    bool enough = true;

    if (err == VMAFX_ERR_NOMEM)
        return err;
    enough =
        dirs_add_list(dirs, config ? vmafx_config_get(config, "VMAFX_MODEL_PATH", NULL) : getenv("VMAFX_MODEL_PATH")) &&
        dirs_add_user(dirs);
    for (size_t i = 0; enough && i < VMAFX_LEN(fixed); i++)
        enough = dirs_add(dirs, vmafx_strdup(fixed[i]));
    return enough ? err : vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to look for models");
}

char **vmafx_model_dirs(void)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };

    if (find_dirs(&dirs, NULL) == VMAFX_ERR_NOMEM) /* a broken settings file: what is known without it */
        return NULL;
    return VMAFX_TAKE(dirs.items);
}

void vmafx_model_dirs_free(char ***dirs)
{
    char **items = VMAFX_TAKE(*dirs);

    for (size_t i = 0; items && items[i]; i++)
        free(items[i]);
    free(items);
}

/* ---- files in folders ---- */

/* A regular file, or a link to one. */
static bool is_file(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISREG(st.st_mode);
}

static bool parses(const char *path)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;

    return is_file(path) && !vmafx_model_load(path, &model, NULL);
}

static bool has_version(const VmafxModelFiles *files, const char *version)
{
    for (size_t i = 0; i < files->n; i++)
        if (!strcmp(files->items[i].version, version))
            return true;
    return false;
}

/* The version in a file name, or NULL: not named like a model, or no memory. */
static char *version_of(const char *name)
{
    size_t len = strlen(name), suffix = strlen(SUFFIX);

    if (len <= suffix || *name == '.' || strcmp(name + len - suffix, SUFFIX) != 0)
        return NULL;
    return strndup(name, len - suffix);
}

static void file_done(VmafxModelFile *file)
{
    free(file->version);
    free(file->path);
    *file = (VmafxModelFile){ 0 };
}

static VmafxErr add_file(VmafxModelFiles *files, const char *dir, const char *name)
{
    VMAFX_AUTO(file_done) VmafxModelFile file = { version_of(name), vmafx_sprintf("%s/%s", dir, name) };

    if (!file.path)
        return VMAFX_ERR_NOMEM;
    if (!file.version || has_version(files, file.version) || !parses(file.path))
        return VMAFX_OK;
    VmafxModelFile *more = realloc(files->items, (files->n + 1) * sizeof *more);
    if (!more)
        return VMAFX_ERR_NOMEM;
    files->items = more;
    more[files->n++] = file;
    file = (VmafxModelFile){ 0 };
    return VMAFX_OK;
}

/* A folder that is not there or cannot be read has no models. */
static VmafxErr add_dir(VmafxModelFiles *files, const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    VmafxErr err = VMAFX_OK;

    while (d && !err && (entry = readdir(d)))
        err = add_file(files, dir, entry->d_name);
    if (d)
        closedir(d);
    return err;
}

static int by_version(const void *a, const void *b)
{
    return strcmp(((const VmafxModelFile *)a)->version, ((const VmafxModelFile *)b)->version);
}

static VmafxErr list_in(const Dirs *dirs, VmafxModelFiles *ret_files)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };

    for (size_t i = 0; i < dirs->n; i++) {
        VmafxErr err = add_dir(&files, dirs->items[i]);
        if (err)
            return err;
    }
    if (files.n)
        qsort(files.items, files.n, sizeof *files.items, by_version);
    *ret_files = files;
    files = (VmafxModelFiles){ 0 };
    return VMAFX_OK;
}

VmafxErr vmafx_models_list(VmafxModelFiles *ret_files)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };
    VmafxErr err = find_dirs(&dirs, NULL);

    return err ? err : list_in(&dirs, ret_files);
}

void vmafx_models_done(VmafxModelFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        file_done(&files->items[i]);
    free(files->items);
    *files = (VmafxModelFiles){ 0 };
}

/* ---- one version ---- */

/* Letters to add, leave out or change; only the beginnings of very long words are compared. */
static int edit_distance(const char *a, const char *b)
{
    int row[WORD_MAX + 1];
    int n_a = (int)strnlen(a, WORD_MAX), n_b = (int)strnlen(b, WORD_MAX);

    for (int j = 0; j <= n_b; j++)
        row[j] = j;
    for (int i = 1; i <= n_a; i++) {
        int corner = row[0];

        row[0] = i;
        for (int j = 1; j <= n_b; j++) {
            int changed = corner + (a[i - 1] != b[j - 1]);

            corner = row[j];
            row[j] = VMAFX_MIN(changed, VMAFX_MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[n_b];
}

static const char *nearest_version(const VmafxModelFiles *files, const char *version)
{
    const char *nearest = NULL;
    int best = 0;

    for (size_t i = 0; i < files->n; i++) {
        int distance = edit_distance(version, files->items[i].version);

        if (*version && distance > 1 && !strncmp(version, files->items[i].version, strlen(version)))
            distance = 1; /* "vmaf_4k" means one that begins so */
        if (!nearest || distance < best) {
            nearest = files->items[i].version;
            best = distance;
        }
    }
    return nearest;
}

static VmafxErr not_found(const Dirs *dirs, const char *version, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_models_done) VmafxModelFiles files = { 0 };

    if (!list_in(dirs, &files) && files.n)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "there is no model '%.200s'; the nearest one is '%s', and `vmafx models list` names all",
                          version, nearest_version(&files, version));
    return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                      "there is no model '%.200s', nor any other: `vmafx models import FILE` takes models out of a "
                      "libvmaf.so or a static ffmpeg that has them built in, and `vmafx models path` prints where they "
                      "are looked for",
                      version);
}

VmafxErr vmafx_model_find(const char *version, char **ret_path, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(dirs_done) Dirs dirs = { 0 };
    VmafxErr err = find_dirs(&dirs, reterr);

    if (err)
        return err;
    if (strchr(version, '/'))
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "'%.200s' is no version of a model; a file is named with path=FILE", version);
    for (size_t i = 0; i < dirs.n; i++) {
        VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("%s/%s" SUFFIX, dirs.items[i], version);

        if (!path)
            return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to look for models");
        if (is_file(path)) { /* one that is broken must not be passed over in silence */
            *ret_path = VMAFX_TAKE(path);
            return VMAFX_OK;
        }
    }
    return not_found(&dirs, version, reterr);
}

/* ---- JSON inside other data ---- */

/*
 * A scanner of JSON that stands at an opening brace and knows nothing of what follows. It checks the grammar as far as
 * is needed to find the end (numbers and words are only skipped: the model parser looks at them again).
 *
 * The scan as a whole is linear, whatever the bytes: two attempts that are both alive at a byte either agree on what
 * lies inside strings there or take exactly the opposite view (an opposite backslash ends one of them). Attempts that
 * agree are nested in each other, and nesting is limited, so no byte is read more than 2 * NESTING_MAX times.
 */
typedef struct Open {
    size_t start;
    bool object;
} Open;

typedef struct Json {
    const char *data;
    size_t len, at;
    Open stack[NESTING_MAX];
    int depth;
} Json;

static void skip_blanks(Json *j)
{
    while (j->at < j->len && memchr(" \t\r\n", j->data[j->at], 4))
        j->at++;
}

static bool take(Json *j, char c)
{
    if (j->at >= j->len || j->data[j->at] != c)
        return false;
    j->at++;
    return true;
}

static bool take_string(Json *j)
{
    if (!take(j, '"'))
        return false;
    while (j->at < j->len && (unsigned char)j->data[j->at] >= ' ') {
        char c = j->data[j->at++];

        if (c == '"')
            return true;
        if (c == '\\' && (j->at >= j->len || !memchr("\"\\/bfnrtu", j->data[j->at++], 9)))
            return false;
    }
    return false;
}

/* A number, true, false or null; only their letters are checked. */
static bool take_word(Json *j)
{
    size_t start = j->at;

    while (j->at < j->len && j->data[j->at] && strchr("+-.0123456789Eaeflnrstu", j->data[j->at]))
        j->at++;
    return j->at > start;
}

static bool take_key(Json *j)
{
    skip_blanks(j);
    if (!take_string(j))
        return false;
    skip_blanks(j);
    return take(j, ':');
}

static bool push(Json *j, bool object)
{
    if (j->depth == NESTING_MAX)
        return false;
    j->stack[j->depth++] = (Open){ j->at - 1, object };
    return true;
}

/* Takes one value, as far as its opening bracket when it has one. False: this is no JSON. */
static bool begin_value(Json *j, bool *ret_opened)
{
    *ret_opened = false;
    skip_blanks(j);
    if (j->at >= j->len)
        return false;
    if (j->data[j->at] == '"')
        return take_string(j);
    if (!take(j, '{') && !take(j, '['))
        return take_word(j);
    *ret_opened = true;
    return push(j, j->data[j->at - 1] == '{');
}

/*
 * Reads the object that begins at start. *ret_start and *ret_end are the largest complete object that holds the place:
 * the whole, or a part of it when the whole breaks off later.
 */
static bool object_around(const char *data, size_t len, size_t start, size_t place, size_t *ret_start, size_t *ret_end)
{
    Json j = { .data = data, .len = VMAFX_MIN(len, start + MODEL_BYTES_MAX), .at = start };
    bool found = false, opened = false;

    if (!begin_value(&j, &opened))
        return false;
    while (j.depth) {
        const Open *top = &j.stack[j.depth - 1];

        skip_blanks(&j);
        if (take(&j, top->object ? '}' : ']')) {
            if (top->object && top->start < place && place < j.at) {
                *ret_start = top->start;
                *ret_end = j.at;
                found = true;
            }
            j.depth--;
            opened = false;
            continue;
        }
        if ((!opened && !take(&j, ',')) || (top->object && !take_key(&j)) || !begin_value(&j, &opened))
            break;
    }
    return found;
}

/* The first byte of the run of text that a place is in, not before `from`. */
static size_t text_start(const char *data, size_t from, size_t place)
{
    while (place > from && ((unsigned char)data[place - 1] >= ' ' || memchr("\t\r\n", data[place - 1], 3)))
        place--;
    return place;
}

bool vmafx_models_scan(const char *data, size_t len, size_t *offset, const char **ret_json, size_t *ret_json_len)
{
    const char *mark;

    while (*offset < len && (mark = memmem(data + *offset, len - *offset, MARK, strlen(MARK)))) {
        size_t place = (size_t)(mark - data);
        size_t at = text_start(data, *offset, place);
        const char *brace;

        while (at < place && (brace = memchr(data + at, '{', place - at))) {
            size_t start, end;

            at = (size_t)(brace - data);
            if (object_around(data, len, at, place, &start, &end)) {
                *ret_json = data + start;
                *ret_json_len = end - start;
                *offset = end;
                return true;
            }
            at++;
        }
        /* What begins before this place and reaches the next one would have held this one too. */
        *offset = place + strlen(MARK);
    }
    *offset = len;
    return false;
}

/* ---- which model is it? ---- */

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

/* NULL: no memory. */
static char *version_by_contents(const char *json, size_t len)
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

/* ---- import ---- */

/* A file in memory. */
typedef struct Mapped {
    char *data;
    size_t len;
} Mapped;

static void mapped_done(Mapped *mapped)
{
    if (mapped->data)
        munmap(mapped->data, mapped->len);
}

static VmafxErr map_fd(int fd, const char *path, Mapped *ret, VmafxErrInfo *reterr)
{
    struct stat st;

    if (fd < 0)
        return vmafx_fail(reterr, errno == ENOENT ? VMAFX_ERR_NOT_FOUND : VMAFX_ERR_IO, "cannot open '%s': %s", path,
                          strerror(errno));
    if (fstat(fd, &st))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': it is not a regular file", path);
    if (st.st_size > IMPORT_BYTES_MAX)
        return vmafx_fail(reterr, VMAFX_ERR_LIMIT, "'%s' is larger than 1 GiB; programs with models are smaller", path);
    if (st.st_size == 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model in '%s': the file is empty", path);
    char *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot read '%s': %s", path, strerror(errno));
    *ret = (Mapped){ data, (size_t)st.st_size };
    return VMAFX_OK;
}

static VmafxErr map_file(const char *path, Mapped *ret, VmafxErrInfo *reterr)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hold us up */
    VmafxErr err = map_fd(fd, path, ret, reterr);

    if (fd >= 0)
        close(fd);
    return err;
}

/* Like mkdir -p. */
static VmafxErr make_folder(const char *dir, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_free_p) char *path = vmafx_strdup(dir);
    struct stat st;

    if (!path)
        return vmafx_fail(reterr, VMAFX_ERR_NOMEM, "no memory to make the folder '%s'", dir);
    for (char *slash = path; *slash; slash++) {
        if (*slash != '/' || slash == path)
            continue;
        *slash = 0;
        VMAFX_IGNORE(mkdir(path, 0777)); /* what matters is whether the last one is there */
        *slash = '/';
    }
    if (mkdir(path, 0777) && (errno != EEXIST || stat(path, &st) || !S_ISDIR(st.st_mode)))
        return vmafx_fail(reterr, VMAFX_ERR_IO, "cannot make the folder '%s': %s", dir, strerror(errno));
    return VMAFX_OK;
}

typedef struct Import {
    const char *dir;
    void (*on_model)(void *ctx, const char *version, const char *path);
    void *ctx;
    VmafxModelFiles written;
    VmafxErrInfo *reterr;
} Import;

static void import_done(Import *import)
{
    vmafx_models_done(&import->written);
}

static VmafxErr write_file(const Import *import, const char *path, const char *json, size_t len)
{
    VMAFX_AUTO(vmafx_atomic_file_abort) VmafxAtomicFile *file = NULL;
    VmafxErr err = vmafx_atomic_file_open(path, &file, import->reterr);

    if (err)
        return err;
    fwrite(json, 1, len, vmafx_atomic_file_stream(file)); /* commit tells whether it arrived */
    return vmafx_atomic_file_commit(&file, import->reterr);
}

/* The same model may be in a program more than once; the first is kept. */
static VmafxErr keep(Import *import, const char *version, const char *json, size_t len)
{
    VMAFX_AUTO(file_done)
    VmafxModelFile file = { vmafx_strdup(version), vmafx_sprintf("%s/%s" SUFFIX, import->dir, version) };
    VmafxModelFile *more = realloc(import->written.items, (import->written.n + 1) * sizeof *more);

    if (more)
        import->written.items = more;
    if (!more || !file.version || !file.path)
        return vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to import '%s'", version);
    if (has_version(&import->written, version))
        return VMAFX_OK;
    VmafxErr err = import->written.n ? VMAFX_OK : make_folder(import->dir, import->reterr);
    if (!err)
        err = write_file(import, file.path, json, len);
    if (err)
        return err;
    if (import->on_model)
        import->on_model(import->ctx, file.version, file.path);
    more[import->written.n++] = file;
    file = (VmafxModelFile){ 0 };
    return VMAFX_OK;
}

static VmafxErr is_model(const char *json, size_t len, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(vmafx_model_free) VmafxModel *model = NULL;

    return vmafx_model_parse(json, len, &model, reterr);
}

/* A model file keeps its text, and its name as far as that is one. */
static VmafxErr keep_model_file(Import *import, const char *path, const Mapped *file)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    VMAFX_AUTO(vmafx_free_p) char *version = version_of(name);

    if (!version)
        version = vmafx_strdup(name);
    if (!version)
        return vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to import '%s'", path);
    return keep(import, version, file->data, file->len);
}

static VmafxErr keep_all(Import *import, const Mapped *file)
{
    const char *json;
    size_t offset = 0, len;

    while (vmafx_models_scan(file->data, file->len, &offset, &json, &len)) {
        VmafxErr err = is_model(json, len, NULL);

        if (err == VMAFX_ERR_NOMEM)
            return vmafx_fail(import->reterr, err, "no memory to read a model");
        if (err)
            continue; /* it only looked like one */
        VMAFX_AUTO(vmafx_free_p) char *version = version_by_contents(json, len);
        err = version ? keep(import, version, json, len)
                      : vmafx_fail(import->reterr, VMAFX_ERR_NOMEM, "no memory to read a model");
        if (err)
            return err;
    }
    return VMAFX_OK;
}

static bool begins_like_json(const Mapped *file)
{
    size_t at = 0;

    while (at < file->len && memchr(" \t\r\n", file->data[at], 4))
        at++;
    return at < file->len && file->data[at] == '{';
}

VmafxErr vmafx_models_import(const char *file, const char *dir,
                             void (*on_model)(void *ctx, const char *version, const char *path), void *ctx,
                             size_t *ret_n, VmafxErrInfo *reterr)
{
    VMAFX_AUTO(import_done) Import import = { .dir = dir, .on_model = on_model, .ctx = ctx, .reterr = reterr };
    VMAFX_AUTO(mapped_done) Mapped mapped = { 0 };
    VmafxErrInfo why = { 0 };
    bool json;
    VmafxErr err = map_file(file, &mapped, reterr);

    if (err)
        return err;
    json = begins_like_json(&mapped);
    if (json && !is_model(mapped.data, mapped.len, &why))
        err = keep_model_file(&import, file, &mapped);
    else
        err = keep_all(&import, &mapped);
    if (err)
        return err;
    if (import.written.n == 0 && json)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND, "there is no model in '%s'; as a model file: %s", file,
                          why.message);
    if (import.written.n == 0)
        return vmafx_fail(reterr, VMAFX_ERR_NOT_FOUND,
                          "there is no model in '%s': it takes a libvmaf.so or a program such as ffmpeg that was built "
                          "with models inside",
                          file);
    *ret_n = import.written.n;
    return VMAFX_OK;
}
