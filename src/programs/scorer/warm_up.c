/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Two small videos in memory go the whole way, threads included: stacks, arenas, dispatch tables and pages are there.
 */

#include "programs/scorer/warm_up.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "media/warm_up.h"
#include "score/score.h"

#define SIDE 64

static bool write_all(int fd, const void *data, size_t len)
{
    return write(fd, data, len) == (ssize_t)len;
}

/* Two grey frames. -1: it cannot be. */
static int small_video(void)
{
    static const char head[] = "YUV4MPEG2 W64 H64 F25:1 Ip A1:1 Cmono\n", frame[] = "FRAME\n";
    unsigned char luma[SIDE * SIDE];
    int fd = memfd_create("vmafx-warm-up", MFD_CLOEXEC);
    bool ok = fd >= 0 && write_all(fd, head, sizeof head - 1);

    for (int t = 0; t < 2 && ok; t++) {
        for (int i = 0; i < SIDE * SIDE; i++)
            luma[i] = (unsigned char)(i * 7 + t * 13);
        ok = write_all(fd, frame, sizeof frame - 1) && write_all(fd, luma, sizeof luma);
    }
    if (ok && !lseek(fd, 0, SEEK_SET))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/*
 * x265 places its threads by what libnuma knows of the machine, and libnuma reads that from /sys when it is first
 * asked, which fails in the sandbox: then x265 would have no threads, and make other bytes than outside. It is there
 * when FFmpeg has x265 linked, so it is asked for by name. Opening an encoder would do as well, and take twenty
 * milliseconds.
 */
static void warm_up_numa(void)
{
    int (*available)(void);
    int (*max_node)(void);
    void *(*allocate)(void);
    int (*node_to_cpus)(int node, void *mask);
    void (*release)(void *mask);

    /* How POSIX has it: an object pointer is a function pointer's bits. */
    *(void **)&available = dlsym(RTLD_DEFAULT, "numa_available");
    *(void **)&max_node = dlsym(RTLD_DEFAULT, "numa_max_node");
    *(void **)&allocate = dlsym(RTLD_DEFAULT, "numa_allocate_cpumask");
    *(void **)&node_to_cpus = dlsym(RTLD_DEFAULT, "numa_node_to_cpus");
    *(void **)&release = dlsym(RTLD_DEFAULT, "numa_bitmask_free");
    if (!available || !max_node || !allocate || !node_to_cpus || !release || available() < 0)
        return;
    for (int node = 0; node <= max_node(); node++) {
        void *mask = allocate();

        if (!mask)
            return;
        VMAFX_IGNORE(node_to_cpus(node, mask)); /* a node that is not there has none */
        release(mask);
    }
}

void warm_up(const VmafxModelRegistry *models)
{
    VMAFX_AUTO(vmafx_result_done) VmafxResult result = { 0 };
    const VmafxKnownModel *first = vmafx_model_registry_at(models, 0);
    const VmafxModelRequest model = { .version = first ? first->version : NULL };
    const VmafxFeatureRequest features[] = { { .name = "vif" }, { .name = "adm" }, { .name = "motion" } };
    const int fds[] = { small_video(), small_video() };
    VmafxPairOptions pair = { .models = &model,
                              .n_models = first ? 1 : 0,
                              .features = features,
                              .n_features = VMAFX_LEN(features),
                              .threads = 1,
                              .digest = true,
                              .fds = fds,
                              .registry = models };

    tzset(); /* reads a file */
    vmafx_media_warm_up();
    warm_up_numa();
    if (fds[0] >= 0 && fds[1] >= 0)
        VMAFX_IGNORE(vmafx_score_pair("warm-up", "warm-up", &pair, &result, NULL)); /* see the header */
    for (size_t i = 0; i < VMAFX_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

const char *kernel_level(void)
{
    VmafxEngine *engine = NULL;

    if (vmafx_engine_new(&(VmafxEngineSettings){ 0 }, &engine))
        return "c";
    const char *level = vmafx_engine_kernels(engine); /* a static string */
    vmafx_engine_free(&engine);
    return level;
}
