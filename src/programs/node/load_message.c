/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What is unknown of a machine is 0 in the message, of a device -1 or 0: fleet.proto says which. */

#include "programs/node/load_message.h"

#include "base/base.h"

static void process_message(const VmafxProcessLoad *load, Vmafx__V1__ProcessLoad *ret)
{
    vmafx__v1__process_load__init(ret);
    ret->cpu = VMAFX_MAX(load->cpu, 0);
    ret->memory_bytes = load->memory_bytes;
    ret->processes = load->processes;
}

static void gpu_message(VmafxDeviceLoad *load, Vmafx__V1__GpuLoad *ret)
{
    vmafx__v1__gpu_load__init(ret);
    ret->id = load->id;
    ret->utilization = load->utilization;
    ret->memory_used_bytes = load->memory_used;
    ret->memory_total_bytes = load->memory_total;
    ret->vendor = load->vendor;
    ret->model = load->model;
    ret->index = load->index;
    ret->pci = load->pci;
    ret->encoder_utilization = load->encoder;
    ret->decoder_utilization = load->decoder;
    ret->frequency_mhz = load->frequency_mhz;
    ret->frequency_max_mhz = load->frequency_max_mhz;
}

void load_message(LoadMessage *m)
{
    vmafx__v1__load__init(&m->message);
    if (m->load.has_machine) {
        const VmafxMachineLoad *machine = &m->load.machine;
        m->message.cpu = VMAFX_MAX(machine->cpu, 0);
        m->message.cpus = machine->cpus;
        m->message.memory_used_bytes = machine->memory_used;
        m->message.memory_total_bytes = machine->memory_total;
        process_message(&machine->own, &m->node);
        process_message(&machine->started, &m->scorers);
        m->message.node = &m->node;
        m->message.scorers = &m->scorers;
    }
    for (size_t i = 0; i < m->load.n_devices; i++) {
        gpu_message(&m->load.devices[i], &m->gpus[i]);
        m->list[i] = &m->gpus[i];
    }
    m->message.n_gpus = m->load.n_devices;
    m->message.gpus = m->list;
}
