/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* `vmafx nodes` and `vmafx drain`. */

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "programs/cli/remote.h"

enum { O_NOW = 1 };

static const CliOption nodes_options[] = { REMOTE_OPTIONS, { 0 } };
static const CliOption drain_options[] = {
    { O_NOW, 0, "now", NULL, "Hand back what it works on instead of finishing it.", NULL },
    REMOTE_OPTIONS,
    { 0 },
};

static const char *state_name(Vmafx__V1__NodeState state)
{
    static const char *const names[] = { "?", "ready", "busy", "draining", "lost" };

    return (size_t)state < VMAFX_LEN(names) ? names[state] : "?";
}

static void print_head(void)
{
    printf("%-24s  %-8s  %7s  %5s  %5s  %-9s  %-7s  %-10s  %s\n", "NODE", "STATE", "SLOTS", "CPU", "MEM", "GPU",
           "KERNELS", "VERSION", "SEEN");
}

/** "2x 37 %": how many, and how busy they are on average, as far as that is known; "-" for none. */
static void gpus_text(const Vmafx__V1__Load *load, char *ret, size_t size)
{
    double sum = 0;
    int known = 0;

    for (size_t i = 0; i < load->n_gpus; i++)
        if (load->gpus[i]->utilization >= 0) {
            sum += load->gpus[i]->utilization;
            known++;
        }
    if (!load->n_gpus)
        snprintf(ret, size, "-");
    else if (!known)
        snprintf(ret, size, "%zux ?", load->n_gpus);
    else
        snprintf(ret, size, "%zux %.0f %%", load->n_gpus, 100 * sum / known);
}

static void print_node(const Vmafx__V1__Node *node)
{
    char slots[32], cpu[16] = "", memory[16] = "", gpus[32] = "", ago[32];
    const Vmafx__V1__Load *load = node->load;
    int64_t now = (int64_t)time(NULL) * 1000000;

    snprintf(slots, sizeof slots, "%d/%d", node->slots_busy, node->slots);
    if (load) {
        snprintf(cpu, sizeof cpu, "%.0f %%", 100 * load->cpu);
        if (load->memory_total_bytes > 0)
            snprintf(memory, sizeof memory, "%.0f %%",
                     100 * (double)load->memory_used_bytes / (double)load->memory_total_bytes);
        gpus_text(load, gpus, sizeof gpus);
    }
    remote_duration(VMAFX_MAX(now - node->seen_unix_us, 0), ago, sizeof ago);
    printf("%-24s  %-8s  %7s  %5s  %5s  %-9s  %-7s  %-10s  %s ago\n", node->name, state_name(node->state), slots, cpu,
           memory, gpus, node->cpu_level, node->version, ago);
}

static int run_nodes(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__ListNodesRequest request = VMAFX__V1__LIST_NODES_REQUEST__INIT;
    size_t n;
    int parsed = remote_words(&remote, &cli_nodes, argc, argv, NULL, 0, 0, &n, NULL, NULL);

    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    int code = remote_open(&remote);
    if (!code)
        code = remote_call(&remote, VMAFX_CALL_LIST_NODES, &request.base, &answer);
    if (code)
        return code;
    const Vmafx__V1__ListNodesResponse *response = vmafx_message_get(answer);
    if (remote.json)
        return remote_print_json(&response->base);
    if (!response->n_nodes)
        puts("no nodes");
    else
        print_head();
    for (size_t i = 0; i < response->n_nodes; i++)
        print_node(response->nodes[i]);
    return EXIT_COMPLETE;
}

const CliCommand cli_nodes = {
    .name = "nodes",
    .summary = "list the nodes of a controller",
    .usage = "[options]",
    .examples = "# who is there, and how busy?\n"
                "vmafx nodes\n"
                "# every device\n"
                "vmafx nodes --json | jq '.nodes[] | {name, gpus: .load.gpus}'\n",
    .notes =
        "GPU: how many there are, and how busy they are on average. --json has each, with its memory, and what the\n"
        "processes that measure use.\n",
    .options = nodes_options,
    .run = run_nodes,
};

static bool drain_argument(void *ctx, int id, const char *value)
{
    return *(bool *)ctx = true;
}

static int run_drain(int argc, char **argv)
{
    VMAFX_AUTO(remote_done) Remote remote = { 0 };
    VMAFX_AUTO(vmafx_message_free) VmafxMessage *answer = NULL;
    Vmafx__V1__DrainNodeRequest request = VMAFX__V1__DRAIN_NODE_REQUEST__INIT;
    const char *name;
    bool now = false;
    size_t n;
    int parsed = remote_words(&remote, &cli_drain, argc, argv, &name, 1, 1, &n, drain_argument, &now);

    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    request.name = (char *)name;
    request.finish = !now;
    int code = remote_open(&remote);
    if (!code)
        code = remote_call(&remote, VMAFX_CALL_DRAIN_NODE, &request.base, &answer);
    if (code)
        return code;
    const Vmafx__V1__DrainNodeResponse *response = vmafx_message_get(answer);
    if (remote.json)
        return remote_print_json(&response->base);
    print_head();
    if (response->node)
        print_node(response->node);
    return EXIT_COMPLETE;
}

const CliCommand cli_drain = {
    .name = "drain",
    .summary = "give a node no further tasks",
    .usage = "NODE [options]",
    .examples = "# it finishes what it has\n"
                "vmafx drain node-1\n"
                "# others shall do it\n"
                "vmafx drain node-1 --now\n",
    .notes = "A drained node ends when it has nothing left to do; start it again to use it again.\n",
    .options = drain_options,
    .run = run_drain,
};
