/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * Detectors. Files are small and local; each is read whole up to a limit. "Not there" is an answer, so it is silent;
 * "there but not readable" is told.
 */

#include "otel/sdk/detectors.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"

#define FILE_MAX ((size_t)1 << 20) /* mountinfo of a busy host is the largest */

/* ---- The list ---- */

void vmafx_detected_done(VmafxDetected *d)
{
    for (size_t i = 0; i < d->n_texts; i++)
        free(d->texts[i]);
    free(d->texts);
    free(d->items);
    *d = (VmafxDetected){ .root = "" };
}

VmafxAttrs vmafx_detected_attrs(const VmafxDetected *d)
{
    return (VmafxAttrs){ d->items, d->n };
}

void vmafx_detected_add(VmafxDetected *d, const char *key, VmafxValue value)
{
    if (d->n >= VMAFX_DETECTED_MAX) {
        vmafx_otel_warn(d->warnings, "resource: more than %d attributes", VMAFX_DETECTED_MAX);
        return;
    }
    if (d->n >= d->room) {
        size_t room = d->room ? 2 * d->room : 64;
        VmafxAttr *more = realloc(d->items, room * sizeof *more);

        if (!more) {
            vmafx_otel_warn(d->warnings, "resource: no memory for an attribute");
            return;
        }
        d->items = more;
        d->room = room;
    }
    d->items[d->n++] = (VmafxAttr){ key, value };
}

/* Keeps a heap text until the list ends; NULL when it could not, and then the text is freed. */
static const char *keep(VmafxDetected *d, char *text)
{
    if (text && d->n_texts >= d->texts_room) {
        size_t room = d->texts_room ? 2 * d->texts_room : 64;
        char **more = realloc(d->texts, room * sizeof *more);

        if (more) {
            d->texts = more;
            d->texts_room = room;
        }
    }
    if (!text || d->n_texts >= d->texts_room) {
        vmafx_otel_warn(d->warnings, "resource: no memory for an attribute");
        free(text);
        return NULL;
    }
    return d->texts[d->n_texts++] = text;
}

void vmafx_detected_str(VmafxDetected *d, const char *key, const char *value)
{
    const char *copy = keep(d, strdup(value));

    if (copy)
        vmafx_detected_add(d, key, vmafx_value_str(copy));
}

static void add_int(VmafxDetected *d, const char *key, int64_t value)
{
    vmafx_detected_add(d, key, (VmafxValue){ .type = VMAFX_VALUE_INT, .i = value });
}

/* ---- Files ---- */

/* A file's bytes, kept with the list; NULL when it is not there or cannot be read. */
static char *read_text(VmafxDetected *d, const char *path, size_t *ret_len)
{
    VMAFX_AUTO(vmafx_free_p) char *full = vmafx_sprintf("%s%s", d->root, path);
    char *text = NULL;
    VmafxErr err;

    if (!full)
        return NULL;
    err = vmafx_read_file(full, FILE_MAX, &text, ret_len, NULL);
    if (err && err != VMAFX_ERR_NOT_FOUND)
        vmafx_otel_warn(d->warnings, "resource: cannot read '%.150s'", full);
    return err ? NULL : (char *)keep(d, text);
}

/* The first line without the blanks around it; NULL when there is none. */
static char *read_line(VmafxDetected *d, const char *path)
{
    size_t len;
    char *text = read_text(d, path, &len);

    if (!text)
        return NULL;
    text[strcspn(text, "\n")] = 0;
    while (isspace((unsigned char)*text))
        text++;
    for (len = strlen(text); len && isspace((unsigned char)text[len - 1]); len--)
        text[len - 1] = 0;
    return *text ? text : NULL;
}

/* The next line of a text that is being cut up; NULL at the end. */
static char *next_line(char **at)
{
    char *line = *at;

    if (!line || !*line)
        return NULL;
    char *end = line + strcspn(line, "\n");
    *at = *end ? end + 1 : end;
    *end = 0;
    return line;
}

/* ---- Process and service ---- */

/* Start of the process: boot time plus ticks since then (proc(5): field 22 of stat; fields after the name's last ')').
 */
static void add_creation_time(VmafxDetected *d)
{
    size_t len;
    char *stat = read_text(d, "/proc/self/stat", &len), *system = read_text(d, "/proc/stat", &len);
    char *at = stat ? strrchr(stat, ')') : NULL, *boot = system ? strstr(system, "btime ") : NULL;
    unsigned long long ticks, boot_s;
    long hz = sysconf(_SC_CLK_TCK);

    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || !boot || hz <= 0 || sscanf(at, "%llu", &ticks) != 1 || sscanf(boot + 6, "%llu", &boot_s) != 1)
        return;

    unsigned long long ms = ticks * 1000 / (unsigned long long)hz;
    time_t s = (time_t)(boot_s + ms / 1000);
    struct tm tm;
    char text[64];

    if (boot_s > 1ull << 40 || !gmtime_r(&s, &tm))
        return;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + strlen(text), 8, ".%03uZ", (unsigned)(ms % 1000));
    vmafx_detected_str(d, "process.creation.time", text);
}

static void add_owner(VmafxDetected *d)
{
    size_t len;
    char *passwd = read_text(d, "/etc/passwd", &len); /* not getpwuid: it may ask the network */

    for (char *line; (line = next_line(&passwd));) {
        char *rest = line, *name = strsep(&rest, ":");
        char *uid, *end;

        strsep(&rest, ":");
        uid = strsep(&rest, ":");
        if (uid && *uid && strtoul(uid, &end, 10) == geteuid() && !*end) {
            vmafx_detected_str(d, "process.owner", name);
            return;
        }
    }
}

static void add_command(VmafxDetected *d, bool all)
{
    enum { ARGS_MAX = 256 };
    size_t len = 0, n = 0;
    char *text = read_text(d, "/proc/self/cmdline", &len);
    VmafxValue *args;

    if (!text || !len)
        return;
    vmafx_detected_add(d, "process.command", vmafx_value_str(text));
    args = all ? (VmafxValue *)keep(d, calloc(ARGS_MAX, sizeof *args)) : NULL;
    if (!args)
        return;
    for (char *arg = text; arg < text + len && n < ARGS_MAX; arg += strlen(arg) + 1)
        args[n++] = vmafx_value_str(arg);
    vmafx_detected_add(d, "process.command_args",
                       (VmafxValue){ .type = VMAFX_VALUE_ARRAY, .array = { .items = args, .n = n } });
}

void vmafx_detect_process(VmafxDetected *d, bool command_args)
{
    VMAFX_AUTO(vmafx_free_p) char *link = vmafx_sprintf("%s/proc/self/exe", d->root);
    char path[4096], service[4096 + 32];
    ssize_t len = link ? readlink(link, path, sizeof path - 1) : -1;

    add_int(d, "process.pid", getpid());
    add_int(d, "process.parent_pid", getppid());
    add_creation_time(d);
    add_owner(d);
    add_command(d, command_args);
    if (len <= 0) {
        vmafx_detected_str(d, "service.name", "unknown_service");
        return;
    }
    path[len] = 0;

    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    vmafx_detected_str(d, "process.executable.path", path);
    vmafx_detected_str(d, "process.executable.name", name);
    snprintf(service, sizeof service, "unknown_service:%s", name);
    vmafx_detected_str(d, "service.name", service);
}

/* ---- Host and operating system ---- */

static const char *architecture(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__arm__)
    return "arm32";
#elif defined(__i386__)
    return "x86";
#elif defined(__powerpc64__)
    return "ppc64";
#elif defined(__s390x__)
    return "s390x";
#else
    return NULL;
#endif
}

enum { ADDRESSES_MAX = 64 };

/* "AA-BB-CC-DD-EE-FF" of each interface that has one. */
static void add_mac(VmafxDetected *d)
{
    VMAFX_AUTO(vmafx_free_p) char *folder = vmafx_sprintf("%s/sys/class/net", d->root);
    DIR *dir = folder ? opendir(folder) : NULL;
    VmafxValue *items = dir ? (VmafxValue *)keep(d, calloc(ADDRESSES_MAX, sizeof *items)) : NULL;
    size_t n = 0;

    for (struct dirent *entry; items && n < ADDRESSES_MAX && (entry = readdir(dir));) {
        VMAFX_AUTO(vmafx_free_p) char *path = vmafx_sprintf("/sys/class/net/%s/address", entry->d_name);
        char *mac = path && entry->d_name[0] != '.' ? read_line(d, path) : NULL;

        if (!mac || strlen(mac) != 17 || !strcmp(mac, "00:00:00:00:00:00"))
            continue;
        for (char *c = mac; *c; c++)
            *c = *c == ':' ? '-' : (char)toupper((unsigned char)*c);
        items[n++] = vmafx_value_str(mac);
    }
    if (dir)
        closedir(dir);
    if (n)
        vmafx_detected_add(d, "host.mac",
                           (VmafxValue){ .type = VMAFX_VALUE_ARRAY, .array = { .items = items, .n = n } });
}

static void add_ip(VmafxDetected *d)
{
    struct ifaddrs *list = NULL;
    VmafxValue *items = (VmafxValue *)keep(d, calloc(ADDRESSES_MAX, sizeof *items));
    size_t n = 0;

    if (!items || getifaddrs(&list))
        return;
    for (struct ifaddrs *a = list; a && n < ADDRESSES_MAX; a = a->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        const void *address = NULL;

        if (!a->ifa_addr || (a->ifa_flags & IFF_LOOPBACK))
            continue;
        if (a->ifa_addr->sa_family == AF_INET)
            address = &((const struct sockaddr_in *)(const void *)a->ifa_addr)->sin_addr;
        else if (a->ifa_addr->sa_family == AF_INET6)
            address = &((const struct sockaddr_in6 *)(const void *)a->ifa_addr)->sin6_addr;
        if (!address || (a->ifa_addr->sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address)))
            continue;
        const char *copy = inet_ntop(a->ifa_addr->sa_family, address, text, sizeof text) ? keep(d, strdup(text)) : NULL;
        if (copy)
            items[n++] = vmafx_value_str(copy);
    }
    freeifaddrs(list);
    if (n)
        vmafx_detected_add(d, "host.ip",
                           (VmafxValue){ .type = VMAFX_VALUE_ARRAY, .array = { .items = items, .n = n } });
}

void vmafx_detect_host(VmafxDetected *d, bool mac, bool ip)
{
    const char *name = read_line(d, "/proc/sys/kernel/hostname"); /* what gethostname gives */
    const char *id = read_line(d, "/etc/machine-id");

    if (!id)
        id = read_line(d, "/var/lib/dbus/machine-id");
    if (name)
        vmafx_detected_str(d, "host.name", name);
    if (id && strcmp(id, "uninitialized") != 0)
        vmafx_detected_str(d, "host.id", id);
    if (architecture())
        vmafx_detected_str(d, "host.arch", architecture());
    if (mac)
        add_mac(d);
    if (ip)
        add_ip(d);
}

/* Takes quotes and backslashes off a value of os-release(5), in place. */
static char *unquote(char *value)
{
    char quote = *value == '"' || *value == '\'' ? *value : 0, *to = value, *from = value + (quote != 0);

    for (; *from && *from != quote; from++) {
        if (*from == '\\' && quote != '\'' && from[1])
            from++;
        *to++ = *from;
    }
    *to = 0;
    return value;
}

void vmafx_detect_os(VmafxDetected *d)
{
    static const struct {
        const char *name, *key;
    } rows[] = {
        { "PRETTY_NAME=", "os.description" },
        { "NAME=", "os.name" },
        { "VERSION_ID=", "os.version" },
        { "BUILD_ID=", "os.build_id" },
    };
    size_t len;
    char *text = read_text(d, "/etc/os-release", &len);
    bool build_id = false;

    vmafx_detected_str(d, "os.type", "linux");
    if (!text)
        text = read_text(d, "/usr/lib/os-release", &len);
    for (char *line; (line = next_line(&text));)
        for (size_t i = 0; i < VMAFX_LEN(rows); i++) {
            size_t n = strlen(rows[i].name);
            char *value = strncmp(line, rows[i].name, n) ? NULL : unquote(line + n);

            if (!value || !*value)
                continue;
            vmafx_detected_str(d, rows[i].key, value);
            build_id = build_id || i == 3;
        }

    const char *release = build_id ? NULL : read_line(d, "/proc/sys/kernel/osrelease");
    if (release)
        vmafx_detected_str(d, "os.build_id", release);
}

/* ---- Container and Kubernetes ---- */

/* 64 hexadecimal digits and then none; the id is copied. */
static bool container_id(const char *at, char ret[65])
{
    size_t n = strspn(at, "0123456789abcdef");

    if (n != 64 || isalnum((unsigned char)at[64]))
        return false;
    memcpy(ret, at, 64);
    ret[64] = 0;
    return true;
}

/* cgroup v1: the last element of a path, "docker-<id>.scope", "cri-containerd-<id>.scope" or the bare id. */
static bool id_of_cgroup(char *text, char ret[65])
{
    for (char *line; (line = next_line(&text));) {
        char *slash = strrchr(line, '/'), *dot = strstr(line, ".scope");

        if (dot && !dot[6])
            *dot = 0;
        if (!slash || strlen(slash + 1) < 64)
            continue;
        char *id = slash + 1 + strlen(slash + 1) - 64;
        if ((id == slash + 1 || id[-1] == '-' || id[-1] == ':') && container_id(id, ret))
            return true;
    }
    return false;
}

/* cgroup v2: the runtime's folder of the container is the source of the mount on /etc/hostname. */
static bool id_of_mounts(char *text, char ret[65])
{
    for (char *line; (line = next_line(&text));) {
        if (!strstr(line, "/hostname ") && !strstr(line, "containers/") && !strstr(line, "/sandboxes/"))
            continue;
        for (char *at = line; (at = strchr(at, '/')); at++)
            if (container_id(at + 1, ret) && at[65] == '/')
                return true;
    }
    return false;
}

void vmafx_detect_container(VmafxDetected *d)
{
    size_t len;
    char id[65];
    char *cgroup = read_text(d, "/proc/self/cgroup", &len);
    bool found = cgroup && id_of_cgroup(cgroup, id);

    if (!found) {
        char *mounts = read_text(d, "/proc/self/mountinfo", &len);
        found = mounts && id_of_mounts(mounts, id);
    }
    if (found)
        vmafx_detected_str(d, "container.id", id);
}

void vmafx_detect_k8s(VmafxDetected *d)
{
    const char *name = read_line(d, "/var/run/secrets/kubernetes.io/serviceaccount/namespace");

    if (name)
        vmafx_detected_str(d, "k8s.namespace.name", name);
}
