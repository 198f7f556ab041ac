/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Files of certificates, followed by what stat says of them. */

#include "service/cert_metrics.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "auth/certs.h"
#include "base/base.h"
#include "otel/api/metrics.h"
#include "signals/instruments.h"

enum { WATCHED_MAX = 4 };

typedef struct Watched {
    const char *use; /* static */
    char *cert, *key;
    struct stat seen[2]; /* of both files, when they were read last */
    int64_t not_after_s;
    bool known;
} Watched;

struct VmafxCertMetrics {
    VmafxObservable *not_after;
    VmafxCallback *callback;

    pthread_mutex_t lock; /* covers everything below */
    Watched watched[WATCHED_MAX];
    size_t n;
};

static void look(const char *path, struct stat *ret)
{
    struct stat st = { 0 };

    if (path)
        VMAFX_IGNORE(stat(path, &st)); /* not there: all zero, and another file when it is back */
    memset(ret, 0, sizeof *ret);
    ret->st_dev = st.st_dev;
    ret->st_ino = st.st_ino;
    ret->st_size = st.st_size;
    ret->st_mtim = st.st_mtim;
}

static VmafxErr follow(Watched *w, VmafxErrInfo *reterr)
{
    struct stat now[2];
    VmafxCertInfo info;
    VmafxErr err;

    look(w->cert, &now[0]);
    look(w->key, &now[1]);
    if (w->known && !memcmp(now, w->seen, sizeof now))
        return VMAFX_OK;
    err = w->key ? vmafx_certs_describe_pair(w->cert, w->key, &info, reterr)
                 : vmafx_certs_describe(w->cert, &info, reterr);
    if (err)
        return err; /* half renewed, perhaps: again next time */
    memcpy(w->seen, now, sizeof now);
    w->not_after_s = info.not_after_s;
    w->known = true;
    return VMAFX_OK;
}

static void observe(VmafxObserver *observer, VmafxObservable *self, void *state)
{
    VmafxCertMetrics *m = state;

    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n; i++) {
        VMAFX_IGNORE(follow(&m->watched[i], NULL));
        if (m->watched[i].known)
            vmafx_observe_int(observer, m->not_after, m->watched[i].not_after_s,
                              VMAFX_ATTRS(VMAFX_ATTR_STR(VMAFX_KEY_TLS_CERTIFICATE_USE, m->watched[i].use)));
    }
    pthread_mutex_unlock(&m->lock);
}

VmafxCertMetrics *vmafx_cert_metrics_new(const char *version)
{
    VmafxCertMetrics *m = calloc(1, sizeof *m);
    VmafxMeter *meter = vmafx_meter_get(VMAFX_SCOPE_NAME_SERVICE, version, "", VMAFX_NO_ATTRS);

    if (!m)
        return NULL;
    pthread_mutex_init(&m->lock, NULL);
    m->not_after = vmafx_signal_observable(meter, VMAFX_METRIC_ID_TLS_CERTIFICATE_NOT_AFTER);
    m->callback = vmafx_meter_callback(meter, observe, m);
    return m;
}

void vmafx_cert_metrics_free(VmafxCertMetrics **at)
{
    VmafxCertMetrics *m = VMAFX_TAKE(*at);

    if (!m)
        return;
    vmafx_callback_remove(&m->callback);
    for (size_t i = 0; i < m->n; i++) {
        free(m->watched[i].cert);
        free(m->watched[i].key);
    }
    pthread_mutex_destroy(&m->lock);
    free(m);
}

VmafxErr vmafx_cert_metrics_check(VmafxCertMetrics *m, VmafxErrInfo *reterr)
{
    VmafxErr err = VMAFX_OK;

    if (!m)
        return err;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->n && !err; i++)
        err = follow(&m->watched[i], reterr);
    pthread_mutex_unlock(&m->lock);
    return err;
}

void vmafx_cert_metrics_watch(VmafxCertMetrics *m, const char *use, const char *cert, const char *key)
{
    Watched one = { .use = use, .cert = vmafx_strdup(cert), .key = vmafx_strdup(key) };
    bool taken = m && one.cert && !one.key == !key;

    if (taken) {
        pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < m->n; i++)
            taken = taken && strcmp(m->watched[i].use, use) != 0;
        taken = taken && m->n < WATCHED_MAX;
        if (taken)
            m->watched[m->n++] = one;
        pthread_mutex_unlock(&m->lock);
    }
    if (!taken) {
        free(one.cert);
        free(one.key);
    }
}
