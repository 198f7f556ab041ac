/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/*
 * vmafx-scorer: decodes and measures for programs that do not want to do that in their own process. It is started by
 * them, with a socket as descriptor 3 (proto/vmafx/v1/scorer.proto), and has no options of its own; models are looked
 * for as everywhere (VMAFX_MODEL_PATH and the model folders).
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <vmafx/engine.h>

#include "base/base.h"
#include "media/encode.h"
#include "otel/api/log.h"
#include "programs/scorer/lines.h"
#include "programs/scorer/supervisor.h"

enum { SOCKET = 3, EXIT_WRONG_USE = 2 };

static const char help[] =
    "vmafx-scorer: the program that decodes, in sandboxed children, for vmafx-node, vmafx-server and vmafx-mcp\n"
    "\n"
    "It is started by them and takes no options; descriptor 3 is the socket it is spoken to through.\n"
    "VMAFX_MODEL_PATH names folders of models; VMAFX_LOG_FORMAT is logfmt or json.\n"
    "To score two videos on this machine: vmafx score --reference FILE --distorted FILE\n";

static bool is_packet_socket(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;

    return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
    VmafxErrInfo info = { 0 };

    vmafx_encoders_prepare();
    if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
        puts("vmafx-scorer " VMAFX_ENGINE_VERSION);
        return 0;
    }
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        fputs(help, stdout);
        return 0;
    }
    if (argc > 1 || !is_packet_socket(SOCKET) || fcntl(SOCKET, F_SETFD, FD_CLOEXEC)) {
        fputs(help, stderr);
        return EXIT_WRONG_USE;
    }
    if (supervisor_run(SOCKET, &info)) {
        line_log(VMAFX_ERROR, "the scorer cannot work", *info.message ? info.message : "out of memory");
        return 1;
    }
    return 0;
}
