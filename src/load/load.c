/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The sources' threads, and what they have found. A thread samples without the lock and puts what it has in under it.
 */

#include "load/load.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/cgroups.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "load/machine.h"
#include "load/nvml.h"
#include "load/sysfs.h"

#define PERIOD_MS     5000
#define ABSENT_MS     60000
#define STOP_MS       500
#define SECOND_MS     1000u
#define STACK_BYTES   ((size_t)512 << 10)
#define NS_OF_MS(ms)  ((uint64_t)(ms)*1000000u)
#define STALE_PERIODS 3

enum { N_SOURCES = 3 };

/** What a source found; a source has only one of the two. */
typedef struct Sample {
    bool has_machine;
    VmafxMachineLoad machine;
    VmafxDeviceLoad devices[VMAFX_LOAD_DEVICES_MAX];
    size_t n_devices;
} Sample;

typedef struct Source {
    struct VmafxLoadMeter *meter;
    unsigned bit;
    bool (*sample)(struct Source *source, uint64_t now_ns, Sample *ret); /* false: there is nothing to look at */
    void (*close)(struct Source *source);
    pthread_t thread;
    bool started;

    /* Its thread's own. */
    VmafxMachine machine;
    VmafxSysDevices devices;
    VmafxNvml *nvml;
    Sample fresh;

    /* Under the meter's lock. */
    Sample kept;
    uint64_t taken_ns; /* when what is kept was found; 0: nothing is */
    uint64_t begun_ns; /* when the look began that goes on; 0: none does */
    uint64_t looks;    /* that have ended */
    bool ended;        /* the thread uses the meter no more, but for its last unlock */
} Source;

struct VmafxLoadMeter {
    char *proc, *cgroups, *sys, *nvml;
    uint32_t period_ms, absent_ms, stale_ms;

    pthread_mutex_t lock; /* covers everything below, and what sources say is under it */
    pthread_cond_t changed;
    bool stopping;
    uint64_t asked; /* looks that were asked for */
    Source sources[N_SOURCES];
};

/* ---- What sources look at ---- */

static bool sample_machine(Source *source, uint64_t now_ns, Sample *ret)
{
    vmafx_machine_read(&source->machine, now_ns, &ret->machine);
    ret->has_machine = true;
    return true;
}

static bool sample_devices(Source *source, uint64_t now_ns, Sample *ret)
{
    ret->n_devices = vmafx_sys_devices_read(&source->devices, now_ns, ret->devices);
    return ret->n_devices;
}

/* A library that is not there, or whose driver is not, may come: a node outlives an update of either. */
static bool sample_nvml(Source *source, uint64_t now_ns, Sample *ret)
{
    if (!source->nvml && vmafx_nvml_open(source->meter->nvml, &source->nvml, NULL))
        return false;
    if (!vmafx_nvml_read(source->nvml, ret->devices, &ret->n_devices))
        return true;
    vmafx_nvml_close(&source->nvml);
    return false;
}

static void close_nvml(Source *source)
{
    vmafx_nvml_close(&source->nvml);
}

static void close_nothing(Source *source)
{
}

/* ---- Threads ---- */

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){ .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };
}

/* With the lock. Until it is time, somebody asks, or all ends. */
static void rest(VmafxLoadMeter *meter, uint64_t until_ns, uint64_t asked)
{
    struct timespec until = time_of(until_ns);

    while (!meter->stopping && meter->asked == asked)
        if (pthread_cond_timedwait(&meter->changed, &meter->lock, &until) == ETIMEDOUT)
            return;
}

static void *run(void *arg)
{
    Source *source = arg;
    VmafxLoadMeter *meter = source->meter;

    pthread_mutex_lock(&meter->lock);
    while (!meter->stopping) {
        uint64_t begun = vmafx_monotonic_ns(), asked = meter->asked;

        source->begun_ns = begun;
        pthread_mutex_unlock(&meter->lock);
        source->fresh = (Sample){ 0 };
        bool there = source->sample(source, begun, &source->fresh);
        pthread_mutex_lock(&meter->lock);
        source->begun_ns = 0;
        source->looks++;
        source->kept = source->fresh;
        source->taken_ns = there ? vmafx_monotonic_ns() : 0;
        pthread_cond_broadcast(&meter->changed);
        rest(meter, begun + NS_OF_MS(there ? meter->period_ms : meter->absent_ms), asked);
    }
    pthread_mutex_unlock(&meter->lock);
    source->close(source);
    pthread_mutex_lock(&meter->lock);
    source->ended = true;
    pthread_cond_broadcast(&meter->changed);
    pthread_mutex_unlock(&meter->lock);
    return NULL;
}

static VmafxErr start_source(Source *source)
{
    pthread_attr_t attr;

    if (pthread_attr_init(&attr))
        return VMAFX_ERR_NOMEM;
    /* Small, but NVIDIA's library is called from it; sanitizers need more than asked for and take it. */
    int failed = pthread_attr_setstacksize(&attr, STACK_BYTES) || pthread_create(&source->thread, &attr, run, source);
    pthread_attr_destroy(&attr);
    source->started = !failed;
    return failed ? VMAFX_ERR_NOMEM : VMAFX_OK;
}

/* ---- The meter ---- */

static void meter_free(VmafxLoadMeter *meter)
{
    pthread_cond_destroy(&meter->changed);
    pthread_mutex_destroy(&meter->lock);
    free(meter->proc);
    free(meter->cgroups);
    free(meter->sys);
    free(meter->nvml);
    free(meter);
}

static VmafxLoadMeter *meter_new(const VmafxLoadConfig *config)
{
    VmafxLoadMeter *meter = calloc(1, sizeof *meter);
    pthread_condattr_t monotonic;

    if (!meter)
        return NULL;
    pthread_mutex_init(&meter->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&meter->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    meter->proc = vmafx_strdup(config->proc ? config->proc : "/proc");
    meter->cgroups = vmafx_strdup(config->cgroups ? config->cgroups : VMAFX_CGROUPS_MOUNT);
    meter->sys = vmafx_strdup(config->sys ? config->sys : "/sys");
    meter->nvml = vmafx_strdup(config->nvml);
    if (!meter->proc || !meter->cgroups || !meter->sys || !meter->nvml != !config->nvml) {
        meter_free(meter);
        return NULL;
    }
    meter->period_ms = config->period_ms ? config->period_ms : PERIOD_MS;
    meter->absent_ms = config->absent_ms ? config->absent_ms : ABSENT_MS;
    meter->stale_ms = config->stale_ms ? config->stale_ms : STALE_PERIODS * meter->period_ms + SECOND_MS;
    return meter;
}

VmafxErr vmafx_load_start(const VmafxLoadConfig *config, VmafxLoadMeter **ret)
{
    VmafxLoadMeter *meter = meter_new(config);
    VmafxErr err = meter ? VMAFX_OK : VMAFX_ERR_NOMEM;

    if (err)
        return err;
    meter->sources[0] = (Source){ .bit = VMAFX_LOAD_OF_MACHINE,
                                  .sample = sample_machine,
                                  .close = close_nothing,
                                  .machine = { .proc = meter->proc,
                                               .cgroups = meter->cgroups,
                                               .pid = config->pid,
                                               .cpus = config->cpus ? config->cpus : vmafx_cpus_allowed() } };
    meter->sources[1] = (Source){
        .bit = VMAFX_LOAD_OF_SYS, .sample = sample_devices, .close = close_nothing, .devices = { .sys = meter->sys }
    };
    meter->sources[2] = (Source){ .bit = VMAFX_LOAD_OF_NVML, .sample = sample_nvml, .close = close_nvml };
    for (size_t i = 0; !err && i < N_SOURCES; i++) {
        meter->sources[i].meter = meter;
        if (meter->sources[i].bit != VMAFX_LOAD_OF_NVML || meter->nvml)
            err = start_source(&meter->sources[i]);
    }
    if (err)
        vmafx_load_stop(&meter);
    else
        *ret = meter;
    return err;
}

/* With the lock. */
static bool all_ended(const VmafxLoadMeter *meter)
{
    bool all = true;

    for (size_t i = 0; i < N_SOURCES; i++)
        all = all && (!meter->sources[i].started || meter->sources[i].ended);
    return all;
}

void vmafx_load_stop(VmafxLoadMeter **at)
{
    VmafxLoadMeter *meter = VMAFX_TAKE(*at);

    if (!meter)
        return;
    struct timespec until = time_of(vmafx_monotonic_ns() + NS_OF_MS(STOP_MS));
    pthread_mutex_lock(&meter->lock);
    meter->stopping = true;
    pthread_cond_broadcast(&meter->changed);
    while (!all_ended(meter) && pthread_cond_timedwait(&meter->changed, &meter->lock, &until) != ETIMEDOUT)
        ;
    bool whole = all_ended(meter), ended[N_SOURCES];
    for (size_t i = 0; i < N_SOURCES; i++)
        ended[i] = meter->sources[i].ended;
    pthread_mutex_unlock(&meter->lock);
    for (size_t i = 0; i < N_SOURCES; i++)
        if (meter->sources[i].started && ended[i])
            pthread_join(meter->sources[i].thread, NULL);
        else if (meter->sources[i].started)
            pthread_detach(meter->sources[i].thread);
    if (whole)
        meter_free(meter);
    else
        vmafx_keep(meter);
}

/* ---- What is known ---- */

static bool has_device(const VmafxLoad *load, const char *id)
{
    for (size_t i = 0; i < load->n_devices; i++)
        if (!strcmp(load->devices[i].id, id))
            return true;
    return false;
}

static void take_sample(const Sample *sample, VmafxLoad *ret)
{
    if (sample->has_machine) {
        ret->has_machine = true;
        ret->machine = sample->machine;
    }
    for (size_t i = 0; i < sample->n_devices && ret->n_devices < VMAFX_LOAD_DEVICES_MAX; i++)
        if (!has_device(ret, sample->devices[i].id))
            ret->devices[ret->n_devices++] = sample->devices[i];
}

void vmafx_load_now(VmafxLoadMeter *meter, uint64_t now_ns, VmafxLoad *ret)
{
    uint64_t stale_ns = NS_OF_MS(meter->stale_ms);

    *ret = (VmafxLoad){ 0 };
    pthread_mutex_lock(&meter->lock);
    for (size_t i = N_SOURCES; i-- > 0;) { /* NVIDIA's first: the most telling devices */
        const Source *source = &meter->sources[i];
        if (source->begun_ns && now_ns > source->begun_ns && now_ns - source->begun_ns > stale_ns)
            ret->silent |= source->bit;
        if (source->taken_ns && (now_ns <= source->taken_ns || now_ns - source->taken_ns <= stale_ns))
            take_sample(&source->kept, ret);
    }
    pthread_mutex_unlock(&meter->lock);
}

bool vmafx_load_look(VmafxLoadMeter *meter, uint32_t timeout_ms)
{
    struct timespec until = time_of(vmafx_monotonic_ns() + NS_OF_MS(timeout_ms));
    uint64_t wanted[N_SOURCES];
    bool all = false;

    pthread_mutex_lock(&meter->lock);
    meter->asked++;
    for (size_t i = 0; i < N_SOURCES; i++) /* the look that goes on now began before the call */
        wanted[i] = meter->sources[i].started ? meter->sources[i].looks + 1 + (meter->sources[i].begun_ns != 0) : 0;
    pthread_cond_broadcast(&meter->changed);
    for (bool late = false; !late;) {
        all = true;
        for (size_t i = 0; i < N_SOURCES; i++)
            all = all && meter->sources[i].looks >= wanted[i];
        late = all || pthread_cond_timedwait(&meter->changed, &meter->lock, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&meter->lock);
    return all;
}

const char *vmafx_load_source_name(unsigned source)
{
    return source == VMAFX_LOAD_OF_MACHINE ? "machine" : source == VMAFX_LOAD_OF_SYS ? "devices" : "NVIDIA";
}
