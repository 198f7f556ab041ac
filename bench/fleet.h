/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What the files of bench-fleet share: loads that a controller is put under, each a mode of the program. */
#ifndef VMAFX_BENCH_FLEET_H
#define VMAFX_BENCH_FLEET_H

#include <stddef.h>
#include <stdint.h>

#include "client/client.h"

#define NODES_MAX 1000
#define SLOTS_MAX 256

/**
 * n simulated nodes, a connection each. They answer every task at once with a result of a usual size and say heartbeats
 * as often as they are told. Prints "ready" when all are welcome, works until stdin is closed, then prints what was
 * done.
 * @return 0; 1 when a stream was lost or a result refused, with a line about it
 */
int fleet_nodes(const char *address, int n, int slots);

/** n streams that watch one job, which is then cancelled: how long until the first and the last have seen it. */
int fleet_watch(const char *address, int n);

/** Jobs one after the other, each followed to its end: trace id and the time at which its submission began, a line
 * each. */
int fleet_first(const char *address, int n, const char *reference, const char *distorted);

/** A request of a usual size, of files that nobody opens; or of these files. Borrows what it points to, for ever. */
typedef struct FleetSpec {
    Vmafx__V1__JobSpec spec;
    Vmafx__V1__Input reference, distorted;
    Vmafx__V1__ModelRequest model, *models[1];
    Vmafx__V1__KeyValue labels[2], *label_list[2];
} FleetSpec;
void fleet_spec_init(FleetSpec *spec, const char *reference, const char *distorted);

/** A client, or a line about why there is none and NULL. */
VmafxClient *fleet_client(const char *address);

/** Microseconds, sorted in place: the value below which this share of them lies. */
double fleet_percentile(double *values, size_t n, double share);
#endif
