/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * `vmafx dev`: a controller, nodes and an OTLP receiver in one command, for trying and for developing.
 *
 *     vmafx dev ──┬── receiver, in this process (dev_receiver.h)
 *                 ├── vmafx-controller            first; nodes follow once its port answers
 *                 └── vmafx-node × N
 *
 * One thread waits for output, for ends and for signals; who ends by himself is started again. The receiver's servers
 * have threads of their own.
 */

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/folders.h"
#include "base/clock.h"
#include "base/cpus.h"
#include "otel/api/trace.h"
#include "programs/cli/cli.h"
#include "programs/cli/dev_child.h"
#include "programs/cli/dev_place.h"
#include "programs/cli/dev_ports.h"
#include "programs/cli/dev_receiver.h"

#define NODES_MAX      16
#define ROOTS_MAX      64
#define SLOTS_MAX      256
#define NS_PER_MS      UINT64_C(1000000)
#define LOOK_MS        25 /* between looks whether the controller's port answers */
#define SLOW_START_NS  (15000 * NS_PER_MS)
#define STOP_NS        (10000 * NS_PER_MS)
#define SAME_SIGNAL_NS (200 * NS_PER_MS) /* who starts us may send one Ctrl-C to us and to our group */
#define NODE_HTTP_PORT 7820              /* of the first node */
#define OTLP_NONE      "none"

enum { DEV_DIR = 1, DEV_NODES, DEV_SLOTS, DEV_GRPC, DEV_HTTP, DEV_OTLP, DEV_OTLP_HTTP, DEV_ROOT };

static const CliOption dev_options[] = {
    { DEV_DIR, 'd', "dir", "DIR", "Where everything is kept; $XDG_STATE_HOME/vmafx/dev when not given.", NULL },
    { DEV_NODES, 'n', "nodes", "N", "How many nodes; 2 when not given.", NULL },
    { DEV_SLOTS, 0, "slots", "N", "Tasks at a time on each node; the CPUs shared out when not given.", NULL },
    { DEV_GRPC, 0, "grpc", "ADDRESS", "The controller's gRPC port; 127.0.0.1:7801. Port 0: any free one.", NULL },
    { DEV_HTTP, 0, "http", "ADDRESS", "Its HTTP port; 127.0.0.1:7800.", NULL },
    { DEV_OTLP, 0, "otlp", "ADDRESS",
      "Where telemetry goes and `vmafx trace` asks; 127.0.0.1:4317. 'none': no receiver, the OTEL_ variables count.",
      OTLP_NONE },
    { DEV_OTLP_HTTP, 0, "otlp-http", "ADDRESS", "The receiver's HTTP port; 127.0.0.1:4318. 'none': none.", OTLP_NONE },
    { DEV_ROOT, 0, "input-root", "DIR", "A folder whose videos nodes may read; may be repeated; / when not given.",
      NULL },
    { 0 },
};

typedef struct DevOptions {
    const char *dir, *grpc, *http, *otlp, *otlp_http;
    const char *roots[ROOTS_MAX];
    size_t n_roots;
    long long nodes, slots;
} DevOptions;

typedef struct Dev {
    DevOptions options;
    char programs[PATH_MAX], dir[PATH_MAX];
    char grpc[DEV_ADDRESS_SIZE], http[DEV_ADDRESS_SIZE], otlp[DEV_ADDRESS_SIZE], otlp_http[DEV_ADDRESS_SIZE];
    char node_http[NODES_MAX][DEV_ADDRESS_SIZE];
    bool otlp_theirs;         /* somebody else listens there */
    int holds[NODES_MAX + 4]; /* these ports */
    size_t n_holds;
    char *roots;
    int lock, signals;
    DevReceiver *receiver;

    DevChild children[1 + NODES_MAX]; /* the controller, then nodes */
    size_t n_children, n_inited;
    uint64_t started_ns;
    bool answering, slow_said; /* the controller's port */
    bool stopping, controller_told;
    uint64_t stop_ns, kill_ns; /* when stopping began, and when patience ends */
    int code;
    bool colour;
} Dev;

/* ---- arguments ---- */

static int parse(DevOptions *o, const CliCommand *command, int argc, char **argv)
{
    CliParser parser;
    const char *value;
    int id;

    cli_parser_init(&parser, command, argc, argv);
    while ((id = cli_next(&parser, &value)) != CLI_END) {
        switch (id) {
        case CLI_HELP:
        case CLI_ERROR:
            return id;
        case CLI_POSITIONAL:
            fprintf(stderr, "vmafx dev: '%s' is too much; `vmafx dev --help` explains the options\n", value);
            return CLI_ERROR;
        case DEV_DIR:
            o->dir = value;
            break;
        case DEV_NODES:
            if (!cli_int("nodes", value, 0, NODES_MAX, &o->nodes))
                return CLI_ERROR;
            break;
        case DEV_SLOTS:
            if (!cli_int("slots", value, 1, SLOTS_MAX, &o->slots))
                return CLI_ERROR;
            break;
        case DEV_ROOT:
            if (o->n_roots == ROOTS_MAX) {
                fprintf(stderr, "vmafx dev: more than %d folders by --input-root\n", ROOTS_MAX);
                return CLI_ERROR;
            }
            o->roots[o->n_roots++] = value;
            break;
        default:
            *(id == DEV_GRPC   ? &o->grpc
              : id == DEV_HTTP ? &o->http
              : id == DEV_OTLP ? &o->otlp
                               : &o->otlp_http) = value;
        }
    }
    return CLI_END;
}

/* ---- before anything is started: roots, ports ---- */

static int take_roots(Dev *dev)
{
    for (size_t i = 0; i < dev->options.n_roots; i++) {
        char root[PATH_MAX];

        if (!realpath(dev->options.roots[i], root)) {
            fprintf(stderr, "vmafx dev: --input-root '%s': %s\n", dev->options.roots[i], strerror(errno));
            return EXIT_INPUT;
        }
        if (strchr(root, ':')) {
            fprintf(stderr, "vmafx dev: --input-root '%s': a colon separates folders, so none may have one\n", root);
            return EXIT_USAGE;
        }
        char *more = vmafx_sprintf("%s%s%s", dev->roots ? dev->roots : "", dev->roots ? ":" : "", root);
        free(dev->roots);
        dev->roots = more;
        if (!more)
            return EXIT_DEFECT;
    }
    if (!dev->roots)
        dev->roots = vmafx_strdup("/");
    return dev->roots ? EXIT_COMPLETE : EXIT_DEFECT;
}

static VmafxErr take_port(Dev *dev, const char *address, char ret[DEV_ADDRESS_SIZE], VmafxErrInfo *reterr)
{
    VmafxErr err = dev_port_check(address, ret, &dev->holds[dev->n_holds], reterr);

    dev->n_holds += !err;
    return err;
}

static int refuse_port(const char *option, VmafxErr err, const VmafxErrInfo *info)
{
    fprintf(stderr, "vmafx dev: %s%s%s%s\n", info->message, err == VMAFX_ERR_CONFLICT ? "; --" : "",
            err == VMAFX_ERR_CONFLICT ? option : "", err == VMAFX_ERR_CONFLICT ? " ADDRESS takes another" : "");
    return EXIT_USAGE;
}

/** The receiver's ports. Taken ones are somebody's receiver already, which is as good. */
static int take_otlp_ports(Dev *dev)
{
    const char *grpc = dev->options.otlp, *http = dev->options.otlp_http;
    VmafxErrInfo info = { 0 };

    if (!strcmp(grpc, OTLP_NONE))
        return EXIT_COMPLETE;
    if (!dev_address_is_loopback(grpc) || (strcmp(http, OTLP_NONE) && !dev_address_is_loopback(http))) {
        fprintf(stderr, "vmafx dev: the receiver takes anything from anybody, so --otlp and --otlp-http are loopback "
                        "addresses, such as 127.0.0.1:4317\n");
        return EXIT_USAGE;
    }
    VmafxErr err = take_port(dev, grpc, dev->otlp, &info);
    if (err == VMAFX_ERR_CONFLICT) {
        dev->otlp_theirs = true;
        snprintf(dev->otlp, sizeof dev->otlp, "%s", grpc);
        return EXIT_COMPLETE;
    }
    if (err)
        return refuse_port("otlp", err, &info);
    err = strcmp(http, OTLP_NONE) ? take_port(dev, http, dev->otlp_http, &info) : VMAFX_OK;
    if (err == VMAFX_ERR_CONFLICT)
        fprintf(stderr, "vmafx dev: %s: no OTLP over HTTP; --otlp-http ADDRESS takes another\n", info.message);
    else if (err)
        return refuse_port("otlp-http", err, &info);
    return EXIT_COMPLETE;
}

static int take_ports(Dev *dev)
{
    VmafxErrInfo info = { 0 };
    VmafxErr err = take_port(dev, dev->options.grpc, dev->grpc, &info);

    if (err)
        return refuse_port("grpc", err, &info);
    err = take_port(dev, dev->options.http, dev->http, &info);
    if (err)
        return refuse_port("http", err, &info);
    for (long long i = 0; i < dev->options.nodes; i++) {
        char address[DEV_ADDRESS_SIZE];

        snprintf(address, sizeof address, "127.0.0.1:%lld", NODE_HTTP_PORT + i);
        err = take_port(dev, address, dev->node_http[i], &info);
        if (err) /* nobody was promised these */
            err = take_port(dev, "127.0.0.1:0", dev->node_http[i], &info);
        if (err)
            return refuse_port("nodes", err, &info);
    }
    return take_otlp_ports(dev);
}

/* ---- telemetry ---- */

static int start_receiver(Dev *dev)
{
    VmafxErrInfo info = { 0 };
    char endpoint[DEV_ADDRESS_SIZE + 8];

    if (!*dev->otlp)
        return EXIT_COMPLETE;
    /* Our own server spans would go to ourselves, and the spans of that again. */
    vmafx_tracer_provider_set(NULL);
    /* Before the receiver has threads that could read the environment meanwhile. */
    snprintf(endpoint, sizeof endpoint, "http://%s", dev->otlp);
    setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint, 1);
    setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", 1);
    setenv("OTEL_BSP_SCHEDULE_DELAY", "500", 0); /* somebody is waiting to see them */
    static const char *const parts[] = { "ENDPOINT", "PROTOCOL", "COMPRESSION" };
    static const char *const signals[] = { "TRACES_", "METRICS_", "LOGS_" };
    for (size_t i = 0; i < VMAFX_LEN(parts) * VMAFX_LEN(signals); i++) {
        char name[64];
        snprintf(name, sizeof name, "OTEL_EXPORTER_OTLP_%s%s", signals[i % VMAFX_LEN(signals)],
                 parts[i / VMAFX_LEN(signals)]);
        unsetenv(name); /* would stand over these */
    }
    unsetenv("OTEL_EXPORTER_OTLP_COMPRESSION"); /* our gRPC server takes none, and within a machine none is needed */
    if (dev->otlp_theirs)
        return EXIT_COMPLETE;
    VmafxErr err = dev_receiver_start(dev->otlp, *dev->otlp_http ? dev->otlp_http : NULL, &dev->receiver, &info);
    if (!err)
        return EXIT_COMPLETE;
    fprintf(stderr, "vmafx dev: cannot start the receiver: %s\n", *info.message ? info.message : vmafx_err_text(err));
    return EXIT_DEFECT;
}

/* ---- children ---- */

static void print_line(void *ctx, const DevChild *child, const char *line)
{
    static const char *const colours[] = { "36", "33", "35", "34", "32" };
    const Dev *dev = ctx;
    size_t i = (size_t)(child - dev->children);

    if (dev->colour)
        fprintf(stderr, "\033[%sm%-10s |\033[0m %s\n", colours[i % VMAFX_LEN(colours)], child->name, line);
    else
        fprintf(stderr, "%-10s | %s\n", child->name, line);
}

static bool make_children(Dev *dev)
{
    VMAFX_AUTO(vmafx_free_p) char *controller = vmafx_sprintf("%s/vmafx-controller", dev->programs);
    VMAFX_AUTO(vmafx_free_p) char *node = vmafx_sprintf("%s/vmafx-node", dev->programs);
    VMAFX_AUTO(vmafx_free_p) char *store = vmafx_sprintf("%s/jobs.db", dev->dir);
    VMAFX_AUTO(vmafx_free_p) char *slots = vmafx_sprintf("%lld", dev->options.slots);

    if (!controller || !node || !store || !slots)
        return false;
    const char *const controller_argv[] = {
        controller, "--grpc", dev->grpc, "--http", dev->http, "--store", store, NULL
    };
    dev->n_inited = 1;
    if (dev_child_init(&dev->children[0], "controller", controller_argv))
        return false;
    for (long long i = 0; i < dev->options.nodes; i++) {
        char name[DEV_NAME_SIZE];
        snprintf(name, sizeof name, "node-%lld", i + 1);
        VMAFX_AUTO(vmafx_free_p) char *state = vmafx_sprintf("%s/%s", dev->dir, name);
        if (!state || vmafx_make_folders(state, 0700, NULL))
            return false;
        const char *const node_argv[] = {
            node,  "--name",        name,       "--controller", dev->grpc,         "--slots", slots, "--state",
            state, "--input-roots", dev->roots, "--http",       dev->node_http[i], NULL
        };
        dev->n_inited++;
        if (dev_child_init(&dev->children[1 + i], name, node_argv))
            return false;
    }
    return true;
}

static void start_child(Dev *dev, DevChild *child, uint64_t now)
{
    VmafxErrInfo info = { 0 };

    if (!dev_child_start(child, now, &info))
        return;
    child->started_ns = now;
    child->again_ns = now + dev_child_backoff_ns(child, now);
    fprintf(stderr, "vmafx dev: %s; trying again\n", info.message);
}

static void stop(Dev *dev, uint64_t now, int code)
{
    if (dev->stopping)
        return;
    dev->stopping = true;
    dev->stop_ns = now;
    dev->kill_ns = now + STOP_NS;
    dev->code = code;
    for (size_t i = 0; i < dev->n_children; i++) {
        dev->children[i].again_ns = 0;
        if (i) /* nodes first: they give back to the controller what they have */
            dev_child_signal(&dev->children[i], SIGTERM, false);
    }
}

/** The controller's turn, when no node is left or patience with them has ended. */
static void stop_controller(Dev *dev, uint64_t now)
{
    bool nodes = false;

    for (size_t i = 1; i < dev->n_children; i++)
        nodes |= dev->children[i].pid != 0;
    if (!dev->stopping || dev->controller_told || (nodes && now + STOP_NS / 2 < dev->kill_ns))
        return;
    dev->controller_told = true;
    dev_child_signal(&dev->children[0], SIGTERM, false);
}

static void child_ended(Dev *dev, DevChild *child, int status, uint64_t now)
{
    char how[64];

    dev_child_read(child, print_line, dev); /* its last words before ours */
    dev_child_status_text(status, how, sizeof how);
    if (dev->stopping) {
        if (status)
            fprintf(stderr, "vmafx dev: %s ended with %s\n", child->name, how);
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE) { /* another try would be told the same */
        fprintf(stderr, "vmafx dev: %s does not take its settings, see above; stopping\n", child->name);
        stop(dev, now, EXIT_USAGE);
        return;
    }
    double ran = (double)(now - child->started_ns) / 1e9;
    uint64_t wait = dev_child_backoff_ns(child, now);
    child->again_ns = now + wait;
    fprintf(stderr, "vmafx dev: %s ended with %s after %.1f s; starting it again in %.1f s\n", child->name, how, ran,
            (double)wait / 1e9);
}

static void print_banner(const Dev *dev)
{
    const DevOptions *o = &dev->options;

    printf("vmafx dev: a controller and %lld node%s; everything is kept in %s\n\n", o->nodes, o->nodes == 1 ? "" : "s",
           dev->dir);
    printf("  %-12s gRPC %s, http://%s/metrics\n", "controller", dev->grpc, dev->http);
    for (long long i = 0; i < o->nodes; i++)
        printf("  %-12s %lld slot%s, http://%s/metrics\n", dev->children[1 + i].name, o->slots,
               o->slots == 1 ? "" : "s", dev->node_http[i]);
    if (dev->otlp_theirs)
        printf("  %-12s goes to what listens on %s already; --otlp ADDRESS takes another port\n", "telemetry",
               dev->otlp);
    else if (*dev->otlp)
        printf("  %-12s OTLP %s%s%s; recent traces stay in memory\n", "telemetry", dev->otlp,
               *dev->otlp_http ? ", http://" : "", dev->otlp_http);
    else
        printf("  %-12s as the OTEL_ variables say\n", "telemetry");
    if (o->n_roots)
        printf("  %-12s nodes read videos below %s\n", "inputs", dev->roots);
    else
        printf("  %-12s nodes read any file that you may read; --input-root DIR narrows that\n", "inputs");
    puts("\nTry, in another terminal:");
    if (strcmp(dev->grpc, "127.0.0.1:7801"))
        printf("  export VMAFX_CONTROLLER=%s\n", dev->grpc);
    if (dev->receiver && strcmp(dev->otlp, "127.0.0.1:4317"))
        printf("  export VMAFX_TRACE_SOURCE=%s\n", dev->otlp);
    puts("  vmafx submit --reference reference.mp4 --distorted distorted.mp4 --wait\n"
         "  vmafx jobs\n"
         "  vmafx trace JOB\n"
         "Ctrl-C stops everything.\n");
    fflush(stdout);
}

/* ---- the loop ---- */

static void on_signals(Dev *dev, uint64_t now)
{
    struct signalfd_siginfo info;

    while (read(dev->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            continue; /* every turn looks who has ended */
        if (!dev->stopping) {
            fputs("\nvmafx dev: stopping; once more ends it at once\n", stderr);
            stop(dev, now, EXIT_COMPLETE);
        } else if (now - dev->stop_ns >= SAME_SIGNAL_NS) {
            dev->kill_ns = now;
        }
    }
}

/** The controller answers: now the nodes, and who waits for it may know. */
static void look_for_controller(Dev *dev, uint64_t now)
{
    if (dev->answering || dev->stopping)
        return;
    if (dev->children[0].pid && dev_port_answers(dev->grpc)) {
        dev->answering = true;
        print_banner(dev);
        for (size_t i = 1; i < dev->n_inited; i++)
            start_child(dev, &dev->children[i], now);
        dev->n_children = dev->n_inited;
    } else if (!dev->slow_said && now - dev->started_ns > SLOW_START_NS) {
        dev->slow_said = true;
        fprintf(stderr, "vmafx dev: the controller does not answer on %s yet; still waiting\n", dev->grpc);
    }
}

static bool turn_children(Dev *dev, uint64_t now)
{
    bool running = false;

    for (size_t i = 0; i < dev->n_children; i++) {
        DevChild *child = &dev->children[i];
        int status;

        if (dev_child_reap(child, &status))
            child_ended(dev, child, status, now);
        if (!dev->stopping && !child->pid && child->again_ns && child->again_ns <= now)
            start_child(dev, child, now);
        if (dev->stopping && child->pid && now >= dev->kill_ns)
            dev_child_signal(child, SIGKILL, true);
        running |= child->pid != 0;
    }
    return running;
}

/** Until something happens, or is due. */
static void wait_for_something(Dev *dev, uint64_t now)
{
    struct pollfd fds[2 + NODES_MAX] = { { .fd = dev->signals, .events = POLLIN } };
    uint64_t due = dev->answering || dev->stopping ? UINT64_MAX : now + LOOK_MS * NS_PER_MS;

    for (size_t i = 0; i < dev->n_children; i++) {
        fds[1 + i] = (struct pollfd){ .fd = dev->children[i].out, .events = POLLIN };
        if (dev->children[i].again_ns)
            due = VMAFX_MIN(due, dev->children[i].again_ns);
    }
    if (dev->stopping)
        due = VMAFX_MIN(due, VMAFX_MAX(dev->kill_ns, now + LOOK_MS * NS_PER_MS));
    int timeout = due == UINT64_MAX ? -1 : due <= now ? 0 : (int)((due - now) / NS_PER_MS) + 1;
    if (poll(fds, 1 + dev->n_children, timeout) <= 0)
        return;
    for (size_t i = 0; i < dev->n_children; i++)
        if (fds[1 + i].revents)
            dev_child_read(&dev->children[i], print_line, dev);
}

static void run(Dev *dev)
{
    bool running = true;

    dev->started_ns = vmafx_monotonic_ns();
    dev->n_children = 1;
    start_child(dev, &dev->children[0], dev->started_ns);
    while (running || !dev->stopping) {
        uint64_t now = vmafx_monotonic_ns();

        wait_for_something(dev, now);
        now = vmafx_monotonic_ns();
        on_signals(dev, now);
        look_for_controller(dev, now);
        running = turn_children(dev, now);
        stop_controller(dev, now);
    }
    if (dev->code == EXIT_COMPLETE)
        fprintf(stderr, "vmafx dev: stopped; what there is stays in %s\n", dev->dir);
}

/* ---- the command ---- */

/** Blocks what is waited for, before there are threads to inherit it. */
static bool take_signals(Dev *dev)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    /* A log that is piped away and closed must not end us before our children. */
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL))
        return false;
    dev->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return dev->signals >= 0;
}

static void dev_done(Dev *dev)
{
    dev_receiver_stop(&dev->receiver);
    for (size_t i = 0; i < dev->n_inited; i++)
        dev_child_done(&dev->children[i]);
    for (size_t i = 0; i < dev->n_holds; i++)
        close(dev->holds[i]);
    free(dev->roots);
    if (dev->signals >= 0)
        close(dev->signals);
    if (dev->lock >= 0)
        close(dev->lock); /* the file stays: removing it would let two of us lock two files of one name */
}

static int run_dev(int argc, char **argv)
{
    VMAFX_AUTO(vmafx_free_p) Dev *dev = calloc(1, sizeof *dev);

    if (!dev)
        return EXIT_DEFECT;
    dev->lock = dev->signals = -1;
    dev->options = (DevOptions){ .grpc = "127.0.0.1:7801",
                                 .http = "127.0.0.1:7800",
                                 .otlp = "127.0.0.1:4317",
                                 .otlp_http = "127.0.0.1:4318",
                                 .nodes = 2 };
    int parsed = parse(&dev->options, &cli_dev, argc, argv);
    if (parsed != CLI_END)
        return parsed == CLI_HELP ? EXIT_COMPLETE : EXIT_USAGE;
    if (!dev->options.slots)
        dev->options.slots = VMAFX_MAX(vmafx_cpus_allowed() / VMAFX_MAX((int)dev->options.nodes, 1), 1);
    dev->colour = isatty(STDERR_FILENO) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));

    int code = dev_place_programs(dev->programs);
    code = code ? code : dev_place_folder(dev->options.dir, dev->dir, &dev->lock);
    code = code ? code : take_roots(dev);
    code = code ? code : take_ports(dev);
    if (!code && (!take_signals(dev) || !make_children(dev))) {
        fprintf(stderr, "vmafx dev: cannot prepare its programs: %s\n", strerror(errno));
        code = EXIT_DEFECT;
    }
    code = code ? code : start_receiver(dev);
    if (!code) {
        run(dev);
        code = dev->code;
    }
    dev_done(dev);
    return code;
}

const CliCommand cli_dev = {
    .name = "dev",
    .summary = "run a controller, nodes and a trace receiver here, to try things",
    .usage = "[options]",
    .examples = "# then, in another terminal: vmafx submit …, vmafx jobs, vmafx trace JOB\n"
                "vmafx dev\n"
                "# one node, everything below a folder of its own\n"
                "vmafx dev --nodes 1 --dir /tmp/try\n",
    .notes =
        "Everything listens on loopback and is kept in one folder; jobs are there again the next time. Programs that "
        "end are started again. Ctrl-C stops everything cleanly, a second one at once, and whatever happens to "
        "`vmafx dev`, its programs end with it.\n\n"
        "The receiver takes OTLP, keeps recent traces in memory (1000 traces, 10 000 spans each, 64 MiB in all) for "
        "`vmafx trace`, and counts metrics and log records. If its port is taken, telemetry goes to whoever has it.\n\n"
        "VMAFX_LIBEXEC names the folder of vmafx-controller and vmafx-node, which are looked for beside vmafx.",
    .options = dev_options,
    .run = run_dev,
};
